-- On what do visitors watch?
-- Edit: the first month.
with watched as (
    select
        case
            when e.user_agent_details.mobile then 'mobile'
            when not e.user_agent_details.mobile then 'desktop'
            else 'unknown'
        end as device,
        coalesce(e.user_agent_details.platform, 'unknown') as device_platform,
        coalesce(e.user_agent_details.browser, 'unknown') as browser,
        e.visitor_key,
        e.percent_viewed
    from wistia.fact_events e
    where e.month >= '2026-01'
)

select
    w.device,
    w.device_platform,
    w.browser,
    count(*) as watched_count,
    count(distinct w.visitor_key) as visitors,
    round(100 * avg(w.percent_viewed), 1) as mean_percent_viewed,
    round(100.00 * count(*) / sum(count(*)) over (), 1) as percent_of_all
from watched w
group by w.device, w.device_platform, w.browser
order by watched_count desc nulls last, w.device, w.device_platform, w.browser;
