-- How does each video do, day by day? Plays, how many loads became plays, hours, and the plays of the
-- seven days up to that day.
-- Edit: the first month that is read, and the first day that is shown (a week later at the earliest).
with medias as (
    select m.hashed_id, m.name as media
    from wistia.dim_media m
),

days as (
    select
        b.media_id,
        b."date" as day_played,
        b.load_count,
        b.play_count,
        b.hours_watched,
        sum(b.play_count) over (
            partition by b.media_id
            order by b."date"
            rows between 6 preceding and current row
        ) as plays_of_7_days
    from wistia.fact_engagements_byday b
    where b.month >= '2026-05'
)

select
    d.day_played,
    d.media_id,
    m.media,
    d.load_count,
    d.play_count,
    round(100.00 * d.play_count / nullif(d.load_count, 0), 1) as play_rate_percent,
    round(d.hours_watched, 2) as hours_watched,
    d.plays_of_7_days
from days d
left join medias m on m.hashed_id = d.media_id
where d.day_played >= '2026-06-01'
order by d.day_played desc nulls last, d.plays_of_7_days desc nulls last, d.media_id;
