{{ stage('dim_deleted_media', [
    column('media_id', 'string', 'hashed_id'),
    column('media', 'string', 'name'),
    column('kind', 'string', 'type'),
    column('duration_seconds', 'double', 'duration'),
    column('project_id', 'string', 'folder', field='hashed_id'),
    column('project', 'string', 'folder', field='name'),
    column('deleted_at', 'timestamp'),
    column('restore_expires_at', 'timestamp'),
]) }}
