-- How long is watched in each project and in each of its sections?
-- Edit: the first month.
with medias as (
    select
        m.hashed_id,
        coalesce(m.project.name, 'in no project') as project,
        coalesce(m.section, 'in no section') as project_section
    from wistia.dim_media m
)

select
    coalesce(m.project, 'unknown') as project,
    coalesce(m.project_section, 'unknown') as project_section,
    count(distinct b.media_id) as medias,
    sum(b.play_count) as plays,
    round(sum(b.hours_watched), 1) as hours_watched,
    round(100 * sum(b.hours_watched) / sum(sum(b.hours_watched)) over (), 1) as percent_of_all
from wistia.fact_engagements_byday b
left join medias m on m.hashed_id = b.media_id
where b.month >= '2026-01'
group by 1, 2
order by hours_watched desc nulls last, project, project_section;
