-- Views of plain columns for tools that know no nested ones. They bind late, because tables of an
-- external schema may come and go: a view of a stream that is not selected fails when it is asked,
-- not when it is made. A view whose columns have changed has to be dropped before it is made again.

-- What is in `wistia_views` has no personal column, and analysts may read it; `wistia_personal_views` is
-- for those who may know the visitors.

create schema if not exists wistia_views;
create schema if not exists wistia_personal_views;

-- A media, with its project and its still.
create or replace view wistia_views.media as
select
    m.hashed_id as media_id,
    m.id as media_number,
    m.name as media,
    m."type" as kind,
    m.status as processing_status,
    m.archived,
    m.duration,
    m.section as project_section,
    m.project.hashed_id as project_id,
    m.project.name as project,
    m.thumbnail.url as thumbnail_url,
    m.thumbnail.width as thumbnail_width,
    m.thumbnail.height as thumbnail_height,
    m.description as description_html,
    cast(replace(substring(m.created, 1, 19), 'T', ' ') as timestamp) as created_at,
    cast(replace(substring(m.updated, 1, 19), 'T', ' ') as timestamp) as updated_at,
    m.subfolder.hashed_id as subfolder_id,
    m.subfolder.name as subfolder
from wistia.dim_media m
with no schema binding;

-- A media that is gone. Needs the stream `dim_deleted_media`, because Wistia tells of deleted medias
-- apart from the others, and by `media_id` alone. One that was measured on a later day was restored, and
-- is not here. `media` keeps what was known of it, and the medias that there are now are those of
-- `media` that are not here.
create or replace view wistia_views.deleted_media as
select
    gone.media_id,
    gone.media,
    gone.kind,
    gone.duration,
    gone.project_id,
    gone.project,
    gone.deleted_at,
    gone.restore_expires_at
from (
    select
        d.hashed_id as media_id,
        d.name as media,
        d."type" as kind,
        d.duration,
        d.folder.hashed_id as project_id,
        d.folder.name as project,
        cast(replace(substring(d.deleted_at, 1, 19), 'T', ' ') as timestamp) as deleted_at,
        cast(replace(substring(d.restore_expires_at, 1, 19), 'T', ' ') as timestamp) as restore_expires_at
    from wistia.dim_deleted_media d
) gone
left join (
    select e.media_id, max(e."date") as as_of
    from wistia.fact_engagements e
    group by e.media_id
) measured on measured.media_id = gone.media_id
where measured.as_of is null or measured.as_of <= cast(gone.deleted_at as date)
with no schema binding;

-- A file of a media.
create or replace view wistia_views.media_assets as
select
    m.hashed_id as media_id,
    a."type" as kind,
    a.content_type,
    a.width,
    a.height,
    a.file_size,
    a.url
from wistia.dim_media m, m.assets a
with no schema binding;

-- A tag of a media.
create or replace view wistia_views.media_tags as
select
    m.hashed_id as media_id,
    t as tag_name
from wistia.dim_media m, m.tags t
with no schema binding;

-- Plays of a media on a day. Say which `month`s, or all are read.
create or replace view wistia_views.engagement_by_day as
select
    b.media_id,
    cast(b."date" as date) as day_played,
    b.month,
    b.load_count,
    b.play_count,
    b.hours_watched
from wistia.fact_engagements_byday b
with no schema binding;

-- Each media's lifetime figures, as of its newest snapshot.
create or replace view wistia_views.engagement_latest as
select
    newest.media_id,
    newest."date" as as_of,
    newest.load_count,
    newest.play_count,
    newest.play_rate,
    newest.hours_watched,
    newest.engagement,
    newest.visitors
from (
    select e.*, row_number() over (partition by e.media_id order by e."date" desc nulls last) as age
    from wistia.fact_engagements e
) newest
where newest.age = 1
with no schema binding;

-- A view of a media, with its visitor and their device. Say which `month`s, or all are read.
create or replace view wistia_personal_views.events as
select
    e.event_key,
    cast(replace(substring(e.received_at, 1, 19), 'T', ' ') as timestamp) as received_at,
    e.month,
    e.media_id,
    e.media_name as media,
    e.visitor_key,
    e.email as email_known,
    e.region as visitor_region,
    e.city,
    e.lat,
    e.lon,
    e.org,
    e.percent_viewed,
    e.conversion_type,
    e.embed_url,
    e.user_agent_details.browser as browser,
    e.user_agent_details.browser_version as browser_version,
    e.user_agent_details.platform as device_platform,
    e.user_agent_details.mobile as mobile,
    e.thumbnail.url as thumbnail_url,
    e.country,
    e.is_new_lead
from wistia_personal.fact_events e
with no schema binding;

-- The rest are tables: how often was watched, counted from the views of visitors by 4_refresh.sql. A row
-- each is of one month, and `visitors` are those of that month: they do not add up, who came in two months
-- is in both. The mean share that was watched is `percent_viewed_total / percent_viewed_known`.

-- Of a media.
create table if not exists wistia_views.viewing_by_media (
    month varchar(64),
    media_id varchar(65535),
    media varchar(65535),
    watched_count bigint,
    visitors bigint,
    by_known_people bigint,
    watched_to_the_end bigint,
    conversions bigint,
    on_mobile_devices bigint,
    percent_viewed_total double precision,
    percent_viewed_known bigint,
    last_day varchar(10)
);

-- In a region.
create table if not exists wistia_views.viewing_by_region (
    month varchar(64),
    country varchar(65535),
    visitor_region varchar(65535),
    watched_count bigint,
    visitors bigint,
    percent_viewed_total double precision,
    percent_viewed_known bigint
);

-- On a kind of device.
create table if not exists wistia_views.viewing_by_device (
    month varchar(64),
    device varchar(7),
    device_platform varchar(65535),
    browser varchar(65535),
    watched_count bigint,
    visitors bigint,
    percent_viewed_total double precision,
    percent_viewed_known bigint
);
