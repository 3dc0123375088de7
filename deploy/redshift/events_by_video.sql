-- What happened on each video in each month? For dashboards: a row a video and month.
-- Edit: the first month.
with watched as (
    select
        e.month,
        e.media_id,
        e.media_name,
        e.received_at,
        e.visitor_key,
        e.email,
        e.percent_viewed,
        e.conversion_type,
        e.user_agent_details.mobile as mobile
    from wistia.fact_events e
    where e.month >= '2026-01'
)

select
    w.month,
    w.media_id,
    max(w.media_name) as media,
    count(*) as watched_count,
    count(distinct w.visitor_key) as visitors,
    sum(w.email) as by_known_people,
    sum(case when w.percent_viewed >= 0.9 then 1 else 0 end) as watched_to_the_end,
    count(w.conversion_type) as conversions,
    sum(case when w.mobile then 1 else 0 end) as on_mobile_devices,
    round(100 * avg(w.percent_viewed), 1) as mean_percent_viewed,
    substring(max(w.received_at), 1, 10) as last_day
from watched w
group by w.month, w.media_id
order by w.month desc nulls last, watched_count desc nulls last, w.media_id;
