{{ stage('fact_account_byday', [
    column('day', 'date', 'date'),
    column('load_count', 'bigint'),
    column('play_count', 'bigint'),
    column('hours_watched', 'double'),
]) }}
