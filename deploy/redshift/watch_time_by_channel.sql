-- How long is watched in each channel? Needs the stream `bridge_media_channel`. A media that both
-- Wistia and a rule put into a channel counts once there; one in two channels counts in both.
-- Edit: the first month.
with shown_in as (
    select distinct c.media_id, c.channel
    from wistia.bridge_media_channel c
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
