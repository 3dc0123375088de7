{# How long is watched in a month by what a video belongs to (`grouped_by`: channel, project, section, tag) and by what
   a link said (utm_source, utm_medium, utm_campaign). A video in two channels counts in both, so rows add up within one
   project or section only. #}
with months as (
    select
        media_id,
        month,
        sum(loads) as loads,
        sum(plays) as plays,
        sum(hours_computed) as hours_computed,
        sum(hours_measured) as hours_measured
    from {{ ref('video_performance_daily') }}
    group by media_id, month
),

groups as (
    select media_id, 'channel' as grouped_by, channel as name
    from {{ ref('video_channels') }}
    union all
    select media_id, 'project' as grouped_by, project as name
    from {{ ref('videos') }}
    union all
    select media_id, 'section' as grouped_by, {{ dbt.concat(['project', "' / '", 'project_section']) }} as name
    from {{ ref('videos') }}
    union all
    select media_id, 'tag' as grouped_by, tag as name
    from {{ ref('stg_wistia__media_tags') }}
),

-- Wistia's figures do not know by which link a viewer came. Views do, and how much of a video they watched.
tagged as (
    {% for parameter in ['utm_source', 'utm_medium', 'utm_campaign'] %}
    select
        views.month,
        views.media_id,
        '{{ parameter }}' as grouped_by,
        views.{{ parameter }} as name,
        count(*) as plays,
        sum(views.percent_viewed * videos.duration_seconds) / 3600.0 as hours_measured
    from {{ ref('int_wistia__views') }} as views
    left join {{ ref('videos') }} as videos on videos.media_id = views.media_id
    where views.{{ parameter }} is not null and views.month is not null
    group by views.month, views.media_id, views.{{ parameter }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    groups.grouped_by,
    groups.name,
    months.month,
    count(distinct months.media_id) as videos,
    cast(sum(months.loads) as {{ type_of('bigint') }}) as loads,
    cast(sum(months.plays) as {{ type_of('bigint') }}) as plays,
    sum(months.hours_computed) as hours_computed,
    sum(months.hours_measured) as hours_measured,
    60 * {{ share('sum(months.hours_computed)', 'sum(months.plays)') }} as minutes_a_play
from months
inner join groups on groups.media_id = months.media_id
group by groups.grouped_by, groups.name, months.month
union all
select
    tagged.grouped_by,
    tagged.name,
    tagged.month,
    count(distinct tagged.media_id) as videos,
    cast(null as {{ type_of('bigint') }}) as loads,
    cast(sum(tagged.plays) as {{ type_of('bigint') }}) as plays,
    cast(null as {{ type_of('double') }}) as hours_computed,
    sum(tagged.hours_measured) as hours_measured,
    60 * {{ share('sum(tagged.hours_measured)', 'sum(tagged.plays)') }} as minutes_a_play
from tagged
group by tagged.grouped_by, tagged.name, tagged.month
