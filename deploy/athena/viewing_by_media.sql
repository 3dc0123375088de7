-- How often each media was watched in a month, for Athena and Spark. A view asks with the rights of
-- whoever asks it: who may not read `wistia__personal` gets no answer.
create or replace view wistia_views.viewing_by_media as
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
from wistia__personal.fact_events e
group by e.month, e.media_id;
