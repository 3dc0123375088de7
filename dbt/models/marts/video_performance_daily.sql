{# A video on a day: how often it was loaded and played, how long it was watched, and how the week went. #}
with days as (
    select
        coalesce(computed.media_id, measured.media_id) as media_id,
        coalesce(computed.day, measured.day) as day,
        computed.load_count as loads,
        computed.play_count as plays,
        computed.hours_watched as hours_computed,
        measured.seconds_played / 3600.0 as hours_measured,
        measured.unique_plays,
        measured.cta_impressions,
        measured.cta_conversions,
        measured.form_conversions
    from {{ ref('stg_wistia__engagements_byday') }} as computed
    full outer join {{ ref('stg_wistia__media_timeseries') }} as measured
        on measured.media_id = computed.media_id and measured.day = computed.day
),

-- By days and not by rows: a day on which nobody watched may have no row.
weeks as (
    select
        days.media_id,
        days.day,
        sum(case when earlier.day >= {{ days_before('days.day', 6) }} then earlier.plays end) as plays_of_7_days,
        sum(case when earlier.day < {{ days_before('days.day', 6) }} then earlier.plays end) as plays_of_7_days_before,
        sum(case when earlier.day >= {{ days_before('days.day', 6) }} then earlier.hours_computed end) as hours_of_7_days
    from days
    inner join days as earlier
        on earlier.media_id = days.media_id
        and earlier.day <= days.day
        and earlier.day >= {{ days_before('days.day', 13) }}
    group by days.media_id, days.day
)

select
    days.media_id,
    days.day,
    {{ first_day('month', 'days.day') }} as month,
    coalesce(videos.media, days.media_id) as media,
    coalesce(videos.project, 'unknown') as project,
    days.loads,
    days.plays,
    {{ share('days.plays', 'days.loads') }} as play_rate,
    days.hours_computed,
    days.hours_measured,
    days.unique_plays,
    days.cta_impressions,
    days.cta_conversions,
    days.form_conversions,
    cast(weeks.plays_of_7_days as {{ type_of('bigint') }}) as plays_of_7_days,
    cast(weeks.plays_of_7_days_before as {{ type_of('bigint') }}) as plays_of_7_days_before,
    {{ share('(weeks.plays_of_7_days - weeks.plays_of_7_days_before)', 'weeks.plays_of_7_days_before') }} as plays_trend,
    weeks.hours_of_7_days
from days
inner join weeks on weeks.media_id = days.media_id and weeks.day = days.day
left join {{ ref('videos') }} as videos on videos.media_id = days.media_id
