{# The channels that a video is shown in. Drafts of episodes do not count, and a channel of Wistia's and a rule of one
   name are one. A video in none is `in no channel`. #}
with shown_in as (
    select media_id, channel, min(channel_source) as channel_source
    from {{ ref('stg_wistia__media_channels') }}
    where channel_source = 'rule' or published
    group by media_id, channel
),

known as (
    select media_id from {{ ref('videos') }}
    union
    select media_id from {{ ref('stg_wistia__engagements_byday') }}
)

select
    known.media_id,
    coalesce(shown_in.channel, 'in no channel') as channel,
    coalesce(shown_in.channel_source, 'none') as channel_source
from known
left join shown_in on shown_in.media_id = known.media_id
