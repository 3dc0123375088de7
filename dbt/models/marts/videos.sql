{# A video, with where it belongs and whether it is gone. #}
with deleted as (
    select
        media_id,
        max(media) as media,
        max(kind) as kind,
        max(duration_seconds) as duration_seconds,
        max(project_id) as project_id,
        max(project) as project,
        max(deleted_at) as deleted_at
    from {{ ref('stg_wistia__deleted_media') }}
    where media_id is not null
    group by media_id
),

media as (
    select
        media.*,
        row_number() over (partition by media.media_id order by media.updated_at desc, media.media_number) as newest
    from {{ ref('stg_wistia__media') }} as media
    where media.media_id is not null
)

select
    coalesce(media.media_id, deleted.media_id) as media_id,
    coalesce(media.media, deleted.media, media.media_id, deleted.media_id) as media,
    coalesce(media.kind, deleted.kind) as kind,
    media.archived,
    coalesce(media.duration_seconds, deleted.duration_seconds) as duration_seconds,
    coalesce(media.project_id, deleted.project_id) as project_id,
    coalesce(media.project, deleted.project, 'in no project') as project,
    coalesce(media.project_section, 'in no section') as project_section,
    media.created_at,
    media.updated_at,
    coalesce(media.deleted_at, deleted.deleted_at) as deleted_at
from (select * from media where newest = 1) as media
full outer join deleted on deleted.media_id = media.media_id
