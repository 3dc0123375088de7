{{ stage('dim_channels', [
    column('channel_id', 'string', 'hashed_id'),
    column('channel_number', 'bigint', 'id'),
    column('channel', 'string', 'name'),
    column('media_count', 'bigint'),
    column('created_at', 'timestamp', 'created'),
]) }}
