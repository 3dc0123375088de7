{# How often each part of a video was watched: from the points where they were synced, else from the lists. #}
with points as (
    select media_id, point, engagement, rewatch
    from {{ ref('stg_wistia__graph_points') }}
),

listed as (
    {{ rows_of_graph() }}
)

select media_id, point, engagement, rewatch from points
union all
select listed.media_id, listed.point, listed.engagement, listed.rewatch
from listed
where not exists (select 1 from points where points.media_id = listed.media_id)
