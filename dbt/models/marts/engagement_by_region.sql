{# Views of a video by country and region, in a month. Visitors of two rows may be the same person: only views add up. #}
select
    views.month,
    views.viewer_country as country,
    coalesce(countries.country_name, views.viewer_country) as country_name,
    views.viewer_region as region,
    views.media_id,
    count(*) as views,
    count(distinct views.visitor_key) as visitors,
    cast(sum(case when views.known_email = 1 then 1 else 0 end) as {{ type_of('bigint') }}) as views_by_known_people,
    count(views.conversion_type) as conversions,
    sum(views.percent_viewed) as percent_viewed_total,
    count(views.percent_viewed) as percent_viewed_known,
    {{ share('sum(views.percent_viewed)', 'count(views.percent_viewed)') }} as mean_percent_viewed
from {{ ref('int_wistia__views') }} as views
left join {{ ref('country_names') }} as countries on countries.country = views.viewer_country
where views.month is not null
group by
    views.month,
    views.viewer_country,
    coalesce(countries.country_name, views.viewer_country),
    views.viewer_region,
    views.media_id
