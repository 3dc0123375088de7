-- Where are the visitors who watch most? The country belongs to the visitor, the region to the view.
-- Edit: the first month.
with watched as (
    select
        coalesce(e.region, 'unknown') as visitor_region,
        e.visitor_key,
        e.media_id,
        e.percent_viewed
    from wistia.fact_events e
    where e.month >= '2026-01'
)

select
    coalesce(v.country, 'unknown') as country,
    w.visitor_region,
    count(*) as watched_count,
    count(distinct w.visitor_key) as visitors,
    count(distinct w.media_id) as medias,
    round(100 * avg(w.percent_viewed), 1) as mean_percent_viewed,
    round(100.00 * count(*) / sum(count(*)) over (), 1) as percent_of_all
from watched w
left join wistia.dim_visitors v on v.visitor_id = w.visitor_key
group by 1, 2
order by watched_count desc nulls last, country, visitor_region
limit 20;
