-- On what do visitors watch? `visitors_a_month` is the mean of the months in which they watched.
-- Edit: the first month.
select
    v.device,
    v.device_platform,
    v.browser,
    sum(v.watched_count) as watched_count,
    round(1.0000 * sum(v.visitors) / count(*), 1) as visitors_a_month,
    round(100 * sum(v.percent_viewed_total) / nullif(sum(v.percent_viewed_known), 0), 1) as mean_percent_viewed,
    round(100.00 * sum(v.watched_count) / sum(sum(v.watched_count)) over (), 1) as percent_of_all
from wistia_views.viewing_by_device v
where v.month >= '2026-01'
group by v.device, v.device_platform, v.browser
order by watched_count desc nulls last, v.device, v.device_platform, v.browser;
