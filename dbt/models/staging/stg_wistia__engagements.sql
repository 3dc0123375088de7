{{ stage('fact_engagements', [
    column('media_id', 'string'),
    column('day', 'date', 'date'),
    column('load_count', 'bigint'),
    column('play_count', 'bigint'),
    column('play_rate', 'double'),
    column('hours_watched', 'double'),
    column('engagement', 'double'),
    column('visitors', 'bigint'),
]) }}
