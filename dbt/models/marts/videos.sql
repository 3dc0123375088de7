{# A video, with where it belongs and whether it is gone. #}
with deleted as (
    select media_id, max(deleted_at) as deleted_at
    from {{ ref('stg_wistia__deleted_media') }}
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
    media.media_id,
    coalesce(media.media, media.media_id) as media,
    media.kind,
    media.archived,
    media.duration_seconds,
    media.project_id,
    coalesce(media.project, 'in no project') as project,
    coalesce(media.project_section, 'in no section') as project_section,
    media.created_at,
    media.updated_at,
    coalesce(media.deleted_at, deleted.deleted_at) as deleted_at
from media
left join deleted on deleted.media_id = media.media_id
where media.newest = 1
