{# Wistia's own total of each day against the sum of the videos. It counts deleted videos too, so it may be more: a
   warning, where the tables are both there. #}
{{ config(severity='warn') }}
with videos as (
    select day, sum(plays) as plays
    from {{ ref('video_performance_daily') }}
    group by day
)

select account.day, account.play_count, videos.plays
from {{ ref('stg_wistia__account_byday') }} as account
inner join videos on videos.day = account.day
where account.play_count < videos.plays
