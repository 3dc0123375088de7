-- How often was watched in each region in a month, for Athena and Spark. A view asks with the rights of
-- whoever asks it: who may not read `wistia__personal` gets no answer.
create or replace view wistia_views.viewing_by_region as
select
    watched.month,
    coalesce(v.country, 'unknown') as country,
    watched.visitor_region,
    count(*) as watched_count,
    count(distinct watched.visitor_key) as visitors,
    sum(watched.percent_viewed) as percent_viewed_total,
    count(watched.percent_viewed) as percent_viewed_known
from (
    select
        e.month,
        coalesce(e.region, 'unknown') as visitor_region,
        e.visitor_key,
        e.percent_viewed
    from wistia__personal.fact_events e
) watched
left join wistia__personal.dim_visitors v on v.visitor_id = watched.visitor_key
group by 1, 2, 3;
