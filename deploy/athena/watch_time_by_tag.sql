-- redshift/watch_time_by_tag.sql for Athena, where a list is read with `unnest`.
-- Edit: the first month.
with tagged as (
    select m.hashed_id, u.tag_name
    from wistia.dim_media m
    cross join unnest(m.tags) as u (tag_name)
)

select
    t.tag_name,
    count(distinct b.media_id) as medias,
    sum(b.play_count) as plays,
    round(sum(b.hours_watched), 1) as hours_watched
from wistia.fact_engagements_byday b
inner join tagged t on t.hashed_id = b.media_id
where b.month >= '2026-01'
group by t.tag_name
order by hours_watched desc nulls last, t.tag_name;
