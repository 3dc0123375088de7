-- What happened on each video in each month? For dashboards: a row a video and month.
-- Edit: the first month.
select
    v.month,
    v.media_id,
    v.media,
    v.watched_count,
    v.visitors,
    v.by_known_people,
    v.watched_to_the_end,
    v.conversions,
    v.on_mobile_devices,
    round(100 * v.percent_viewed_total / nullif(v.percent_viewed_known, 0), 1) as mean_percent_viewed,
    v.last_day
from wistia_views.viewing_by_media v
where v.month >= '2026-01'
order by v.month desc nulls last, v.watched_count desc nulls last, v.media_id;
