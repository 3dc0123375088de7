-- How long is watched of the videos with each tag? A video with two tags counts for both.
-- In Athena and Spark, `tagged` is media_tags.sql of their folders: they walk into a list in another way.
-- Edit: the first month.
with tagged as (
    select m.hashed_id as media_id, t as tag_name
    from wistia.dim_media m, m.tags t
)

select
    t.tag_name,
    count(distinct b.media_id) as medias,
    sum(b.play_count) as plays,
    round(sum(b.hours_watched), 1) as hours_watched
from wistia.fact_engagements_byday b
inner join tagged t on t.media_id = b.media_id
where b.month >= '2026-01'
group by t.tag_name
order by hours_watched desc nulls last, t.tag_name;
