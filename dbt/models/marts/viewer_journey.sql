{# A viewer: from the first video to the last, in how many visits, over how many days. Keys are hashed unless
   `wistia_personal` is `shown`. #}
with views as (
    select
        views.*,
        row_number() over (partition by views.visitor_key order by views.received_at, views.event_key) as place,
        row_number() over (
            partition by views.visitor_key order by views.received_at desc, views.event_key desc
        ) as place_from_the_end
    from {{ ref('int_wistia__views') }} as views
    where views.visitor_key is not null and views.received_at is not null
),

journeys as (
    select
        visitor_key,
        count(*) as views,
        cast(sum(begins_visit) as {{ type_of('bigint') }}) as visits,
        count(distinct media_id) as videos,
        min(received_at) as first_seen_at,
        max(received_at) as last_seen_at,
        min(day) as first_day,
        max(day) as last_day,
        max(case when place = 1 then media_id end) as first_media_id,
        max(case when place_from_the_end = 1 then media_id end) as last_media_id,
        max(case when place_from_the_end = 1 then viewer_country end) as country,
        max(known_email) as known_email,
        count(conversion_type) as conversions,
        cast(
            sum(case when percent_viewed >= {{ var('wistia_watched_to_the_end') }} then 1 else 0 end)
            as {{ type_of('bigint') }}
        ) as watched_to_the_end,
        avg(percent_viewed) as mean_percent_viewed
    from views
    group by visitor_key
)

select
    journeys.visitor_key,
    journeys.views,
    journeys.visits,
    journeys.videos,
    journeys.first_seen_at,
    journeys.last_seen_at,
    journeys.first_day,
    journeys.last_day,
    {{ days_between('journeys.first_day', 'journeys.last_day') }} as days_between,
    journeys.first_media_id,
    coalesce(first_video.media, journeys.first_media_id) as first_video,
    journeys.last_media_id,
    coalesce(last_video.media, journeys.last_media_id) as last_video,
    journeys.country,
    journeys.known_email,
    journeys.conversions,
    journeys.watched_to_the_end,
    journeys.mean_percent_viewed
from journeys
left join {{ ref('videos') }} as first_video on first_video.media_id = journeys.first_media_id
left join {{ ref('videos') }} as last_video on last_video.media_id = journeys.last_media_id
