{# Every view of the lake is in one region and one month. #}
with views as (
    select count(*) as row_count from {{ ref('stg_wistia__events') }} where received_at is not null
),

regions as (
    select coalesce(sum(views), 0) as row_count from {{ ref('engagement_by_region') }}
),

videos as (
    select coalesce(sum(views), 0) as row_count from {{ ref('events_per_video') }}
)

select views.row_count, regions.row_count as in_regions, videos.row_count as in_videos
from views
cross join regions
cross join videos
where views.row_count <> regions.row_count or views.row_count <> videos.row_count
