{{ stage('fact_media_actions', [
    column('media_id', 'string'),
    column('day', 'date', 'date'),
    column('action_type', 'string', 'type'),
    column('impression_count', 'bigint'),
    column('action_count', 'bigint'),
    column('rate', 'double'),
]) }}
