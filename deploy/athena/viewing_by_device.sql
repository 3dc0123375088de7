-- How often was watched on each kind of device in a month, for Athena and Spark. A view asks with the
-- rights of whoever asks it: who may not read `wistia__personal` gets no answer.
create or replace view wistia_views.viewing_by_device as
select
    e.month,
    case
        when e.user_agent_details.mobile then 'mobile'
        when not e.user_agent_details.mobile then 'desktop'
        else 'unknown'
    end as device,
    coalesce(e.user_agent_details.platform, 'unknown') as device_platform,
    coalesce(e.user_agent_details.browser, 'unknown') as browser,
    count(*) as watched_count,
    count(distinct e.visitor_key) as visitors,
    sum(e.percent_viewed) as percent_viewed_total,
    count(e.percent_viewed) as percent_viewed_known
from wistia__personal.fact_events e
group by 1, 2, 3, 4;
