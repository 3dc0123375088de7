-- How long is watched in each channel? Needs the stream `bridge_media_channel`. Drafts of episodes do
-- not count. A media that both Wistia and a rule, or two channels of one name, have counts once under
-- that name; one in channels of two names counts in both. Select and group by `channel_id` too to tell
-- channels of one name apart.
-- Edit: the first month.
with shown_in as (
    select distinct c.media_id, c.channel
    from wistia.bridge_media_channel c
    where c.source = 'rule' or c.published
)

select
    coalesce(s.channel, 'in no channel') as channel,
    count(distinct b.media_id) as medias,
    sum(b.play_count) as plays,
    round(sum(b.hours_watched), 1) as hours_watched,
    round(60 * sum(b.hours_watched) / nullif(sum(b.play_count), 0), 2) as minutes_a_play
from wistia.fact_engagements_byday b
left join shown_in s on s.media_id = b.media_id
where b.month >= '2026-01'
group by 1
order by hours_watched desc nulls last, channel;
