{{ stage('bridge_media_channel', [
    column('media_id', 'string'),
    column('channel', 'string'),
    column('channel_id', 'string'),
    column('channel_source', 'string', 'source'),
    column('published', 'boolean'),
]) }}
