{# How much a viewer looks like a lead. The score is the sum of the points of five signs; what each weighs is in the
   variable `wistia_lead_weights`. Wistia's addresses are not in the lake: `known_email` says whether there is one. #}
{% set weights = var('wistia_lead_weights') %}
with newest as (
    select max(last_day) as newest_day
    from {{ ref('viewer_journey') }}
),

named as (
    select
        visitor_key,
        max(identity_name) as identity_name,
        max(identity_organisation) as identity_organisation,
        max(known_email) as known_email
    from {{ ref('stg_wistia__identities') }}
    group by visitor_key
),

signs as (
    select
        journey.*,
        named.identity_name,
        named.identity_organisation,
        case when journey.known_email = 1 or named.known_email = 1 then 1 else 0 end as email_is_known,
        {{ days_between('journey.last_day', 'newest.newest_day') }} as days_since
    from {{ ref('viewer_journey') }} as journey
    cross join newest
    left join named on named.visitor_key = journey.visitor_key
),

points as (
    select
        signs.*,
        {{ weights.known_email }} * signs.email_is_known as points_known_email,
        {{ weights.conversion }} * case when signs.conversions > 0 then 1 else 0 end as points_conversion,
        {{ weights.watched }} * 1.0 * least(signs.watched_to_the_end, {{ var('wistia_lead_full_views') }})
            / {{ var('wistia_lead_full_views') }} as points_watched,
        {{ weights.visits }} * 1.0 * least(signs.visits, {{ var('wistia_lead_full_visits') }})
            / {{ var('wistia_lead_full_visits') }} as points_visits,
        case
            when signs.days_since <= {{ var('wistia_lead_recent_days') }} then {{ weights.recent }}
            else 0
        end as points_recent
    from signs
)

select
    points.visitor_key,
    points.identity_name,
    points.identity_organisation,
    cast(
        points.points_known_email + points.points_conversion + points.points_watched + points.points_visits
        + points.points_recent
        as {{ type_of('double') }}
    ) as score,
    points.points_known_email,
    points.points_conversion,
    cast(points.points_watched as {{ type_of('double') }}) as points_watched,
    cast(points.points_visits as {{ type_of('double') }}) as points_visits,
    points.points_recent,
    points.email_is_known,
    points.conversions,
    points.watched_to_the_end,
    points.visits,
    points.views,
    points.last_day,
    points.days_since,
    points.country,
    points.last_media_id,
    points.last_video
from points
