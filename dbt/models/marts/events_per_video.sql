{# What happened on a video in a month. #}
select
    views.month,
    views.media_id,
    max(coalesce(videos.media, views.media, views.media_id)) as media,
    max(coalesce(videos.project, 'unknown')) as project,
    count(*) as views,
    count(distinct views.visitor_key) as visitors,
    cast(sum(case when views.known_email = 1 then 1 else 0 end) as {{ type_of('bigint') }}) as views_by_known_people,
    cast(
        sum(case when views.percent_viewed >= {{ var('wistia_watched_to_the_end') }} then 1 else 0 end)
        as {{ type_of('bigint') }}
    ) as watched_to_the_end,
    count(views.conversion_type) as conversions,
    cast(sum(case when views.mobile then 1 else 0 end) as {{ type_of('bigint') }}) as on_mobile_devices,
    sum(views.percent_viewed) as percent_viewed_total,
    count(views.percent_viewed) as percent_viewed_known,
    {{ share('sum(views.percent_viewed)', 'count(views.percent_viewed)') }} as mean_percent_viewed,
    max(views.day) as last_day
from {{ ref('int_wistia__views') }} as views
left join {{ ref('videos') }} as videos on videos.media_id = views.media_id
where views.month is not null
group by views.month, views.media_id
