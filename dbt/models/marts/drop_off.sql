{# Where viewers leave a video, cut into parts of one length. `lost` is how many fewer watch the beginning of the next
   part, `steepest` 1 where most are lost. #}
with counted as (
    select media_id, count(*) as points
    from {{ ref('int_wistia__graph') }}
    group by media_id
),

sized as (
    select
        media_id,
        points,
        cast(ceil(points * 1.0 / {{ var('wistia_drop_off_parts') }}) as {{ type_of('bigint') }}) as points_a_part
    from counted
),

placed as (
    select
        graph.media_id,
        sized.points,
        sized.points_a_part,
        graph.point,
        graph.point - mod(graph.point, sized.points_a_part) as first_point,
        graph.engagement,
        graph.rewatch
    from {{ ref('int_wistia__graph') }} as graph
    inner join sized on sized.media_id = graph.media_id
),

parts as (
    select
        media_id,
        points,
        first_point,
        max(case when point = first_point then engagement end) as watching,
        cast(sum(rewatch) as {{ type_of('bigint') }}) as watched_again
    from placed
    group by media_id, points, first_point
),

losses as (
    select
        media_id,
        points,
        first_point,
        row_number() over (partition by media_id order by first_point) as part,
        watching,
        watched_again,
        first_value(watching) over (
            partition by media_id order by first_point rows between unbounded preceding and current row
        ) as watching_at_first,
        watching - lead(watching) over (partition by media_id order by first_point) as lost
    from parts
)

select
    losses.media_id,
    coalesce(videos.media, losses.media_id) as media,
    losses.part,
    losses.first_point * videos.duration_seconds / losses.points as from_second,
    1.0 * losses.first_point / losses.points as from_share,
    losses.watching,
    {{ share('losses.watching', 'losses.watching_at_first') }} as share_watching,
    losses.lost,
    case
        when losses.lost is not null
            then rank() over (partition by losses.media_id order by coalesce(losses.lost, -1000000000) desc)
    end as steepest,
    losses.watched_again
from losses
left join {{ ref('videos') }} as videos on videos.media_id = losses.media_id
