{# The pages on which a video was watched in a month, without what stands behind `?` or `#`. #}
select
    views.month,
    views.media_id,
    views.page,
    count(*) as views,
    {{ share('sum(views.percent_viewed)', 'count(views.percent_viewed)') }} as mean_percent_viewed
from {{ ref('int_wistia__views') }} as views
where views.month is not null and views.page is not null
group by views.month, views.media_id, views.page
