{{ stage('fact_media_timeseries', [
    column('media_id', 'string'),
    column('day', 'date', 'date'),
    column('seconds_played', 'double', 'played_time'),
    column('plays', 'bigint'),
    column('unique_plays', 'bigint'),
    column('unique_loads', 'bigint'),
    column('unique_visitors', 'bigint'),
    column('cta_impressions', 'bigint'),
    column('cta_conversions', 'bigint'),
    column('form_conversions', 'bigint'),
]) }}
