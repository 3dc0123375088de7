-- Which videos are watched most, since they were made? From each video's newest snapshot.
with medias as (
    select
        m.hashed_id,
        m.name as media,
        m.duration,
        m.project.name as project
    from wistia.dim_media m
),

snapshots as (
    select e.*, row_number() over (partition by e.media_id order by e."date" desc nulls last) as age
    from wistia.fact_engagements e
)

select
    rank() over (order by s.hours_watched desc nulls last) as place,
    s.media_id,
    m.media,
    m.project,
    round(s.hours_watched, 1) as hours_watched,
    s.play_count,
    round(100 * s.play_rate, 1) as play_rate_percent,
    s.visitors,
    round(100 * s.engagement, 1) as engagement_percent,
    round(m.duration / 60, 1) as minutes_long
from snapshots s
left join medias m on m.hashed_id = s.media_id
where s.age = 1
order by place, s.media_id
limit 10;
