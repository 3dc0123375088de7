-- Counts the views of visitors into the tables of `wistia_views`. Run it after each night, as one who may
-- use `wistia_personal` and owns these tables. It reads all months, because a night may restate any, and
-- who asks meanwhile sees the figures of the night before. `commit` shows all three at once.

begin;

delete from wistia_views.viewing_by_media;

insert into wistia_views.viewing_by_media (
    month, media_id, media, watched_count, visitors, by_known_people, watched_to_the_end, conversions,
    on_mobile_devices, percent_viewed_total, percent_viewed_known, last_day
)
select
    e.month,
    e.media_id,
    max(e.media_name) as media,
    count(*) as watched_count,
    count(distinct e.visitor_key) as visitors,
    sum(e.email) as by_known_people,
    sum(case when e.percent_viewed >= 0.9 then 1 else 0 end) as watched_to_the_end,
    count(e.conversion_type) as conversions,
    sum(case when e.user_agent_details.mobile then 1 else 0 end) as on_mobile_devices,
    sum(e.percent_viewed) as percent_viewed_total,
    count(e.percent_viewed) as percent_viewed_known,
    substring(max(e.received_at), 1, 10) as last_day
from wistia_personal.fact_events e
group by e.month, e.media_id;

delete from wistia_views.viewing_by_region;

-- The country belongs to the visitor, the region to the view.
insert into wistia_views.viewing_by_region (
    month, country, visitor_region, watched_count, visitors, percent_viewed_total, percent_viewed_known
)
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
    from wistia_personal.fact_events e
) watched
left join wistia_personal.dim_visitors v on v.visitor_id = watched.visitor_key
group by 1, 2, 3;

delete from wistia_views.viewing_by_device;

insert into wistia_views.viewing_by_device (
    month, device, device_platform, browser, watched_count, visitors, percent_viewed_total, percent_viewed_known
)
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
from wistia_personal.fact_events e
group by 1, 2, 3, 4;

commit;
