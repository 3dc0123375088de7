{{ stage('fact_engagements_byday', [
    column('media_id', 'string'),
    column('day', 'date', 'date'),
    column('load_count', 'bigint'),
    column('play_count', 'bigint'),
    column('hours_watched', 'double'),
]) }}
