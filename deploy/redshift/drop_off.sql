-- Where do viewers leave a video? It is cut into parts of the same length, twenty at most. `lost` is how
-- many fewer watch the beginning of the next part; `steepest` 1 is where most are lost.
-- Needs the stream `fact_engagement_graph_points`, because Redshift reads a list without its order.
-- Edit: `video`, which as it stands is the one that is watched most: `where g.media_id = '…'`.
with graphs as (
    select
        p.media_id,
        count(*) as points,
        cast(ceil(count(*) / 20.0) as integer) as points_a_part
    from wistia.fact_engagement_graph_points p
    group by p.media_id
),

video as (
    select g.media_id, g.points, g.points_a_part
    from graphs g
    inner join wistia.fact_engagements e on e.media_id = g.media_id
    order by e."date" desc nulls last, e.hours_watched desc nulls last, g.media_id
    limit 1
),

medias as (
    select m.hashed_id, m.name as media, m.duration
    from wistia.dim_media m
),

points as (
    select
        p.media_id,
        v.points,
        p.position,
        p.position - mod(p.position, v.points_a_part) as first_point,
        p.engagement,
        p.rewatch
    from wistia.fact_engagement_graph_points p
    inner join video v on v.media_id = p.media_id
),

parts as (
    select
        p.media_id,
        p.points,
        p.first_point,
        max(case when p.position = p.first_point then p.engagement end) as watching,
        sum(p.rewatch) as watched_again
    from points p
    group by p.media_id, p.points, p.first_point
),

losses as (
    select
        p.media_id,
        p.points,
        p.first_point,
        p.watching,
        p.watched_again,
        first_value(p.watching) over (
            order by p.first_point rows between unbounded preceding and current row
        ) as watching_at_first,
        p.watching - lead(p.watching) over (order by p.first_point) as lost
    from parts p
)

select
    m.media,
    round(l.first_point * m.duration / l.points, 0) as from_second,
    l.watching,
    round(100.00 * l.watching / nullif(l.watching_at_first, 0), 1) as percent_watching,
    l.lost,
    case when l.lost is not null then rank() over (order by l.lost desc nulls last) end as steepest,
    l.watched_again
from losses l
inner join medias m on m.hashed_id = l.media_id
order by from_second;
