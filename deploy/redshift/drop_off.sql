-- Where do viewers leave a video? It is cut into twenty parts; `steepest` 1 is where most are lost.
-- Needs the stream `fact_engagement_graph_points`, because Redshift reads an array without its order.
-- Edit: `video`, which as it stands is the one that is watched most: `where g.media_id = '…'`.
with graphs as (
    select p.media_id, max(p.position) + 1 as points
    from wistia.fact_engagement_graph_points p
    group by p.media_id
),

video as (
    select g.media_id, g.points
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
        p.position,
        p.engagement,
        p.rewatch,
        ntile(20) over (order by p.position) as part
    from wistia.fact_engagement_graph_points p
    inner join video v on v.media_id = p.media_id
),

parts as (
    select
        p.media_id,
        p.part,
        min(p.position) as first_point,
        max(p.engagement) as watching,
        sum(p.rewatch) as watched_again
    from points p
    group by p.media_id, p.part
),

losses as (
    select
        p.media_id,
        p.part,
        p.first_point,
        p.watching,
        p.watched_again,
        first_value(p.watching) over (
            order by p.part rows between unbounded preceding and current row
        ) as watching_at_first,
        p.watching - lead(p.watching) over (order by p.part) as lost
    from parts p
)

select
    l.media_id,
    m.media,
    l.part,
    round(l.first_point * m.duration / v.points, 0) as from_second,
    l.watching,
    round(100.00 * l.watching / nullif(l.watching_at_first, 0), 1) as percent_watching,
    l.lost,
    case when l.lost is not null then rank() over (order by coalesce(l.lost, -1) desc nulls last) end as steepest,
    l.watched_again
from losses l
inner join video v on v.media_id = l.media_id
inner join medias m on m.hashed_id = l.media_id
order by l.part;
