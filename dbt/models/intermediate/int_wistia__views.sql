{# A view of a video, with where the viewer is, and the visit that it belongs to. #}
with views as (
    select
        events.*,
        coalesce(events.country, visitors.country, 'unknown') as viewer_country,
        coalesce(events.region, 'unknown') as viewer_region,
        lag(events.received_at) over (
            partition by events.visitor_key order by events.received_at, events.event_key
        ) as received_before
    from {{ ref('stg_wistia__events') }} as events
    left join {{ ref('stg_wistia__visitors') }} as visitors on visitors.visitor_key = events.visitor_key
)

select
    views.*,
    cast(views.received_at as date) as day,
    {{ first_day('month', 'views.received_at') }} as month,
    case
        when views.received_before is null then 1
        when {{ seconds_between('views.received_before', 'views.received_at') }}
            > 60 * {{ var('wistia_session_minutes') }} then 1
        else 0
    end as begins_visit
from views
