{# A channel's, project's or tag's plays are some of the account's. #}
with everything as (
    select month, sum(plays) as plays
    from {{ ref('video_performance_daily') }}
    group by month
)

select channels.grouped_by, channels.name, channels.month, channels.plays, everything.plays as of_all
from {{ ref('watch_time_by_channel') }} as channels
inner join everything on everything.month = channels.month
where channels.grouped_by in ('channel', 'project', 'section', 'tag') and channels.plays > everything.plays
