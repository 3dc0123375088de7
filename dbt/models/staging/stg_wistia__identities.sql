{{ stage('visitors', [
    column('visitor_key', 'string'),
    column('first_seen_at', 'timestamp', 'created_at'),
    column('last_active_at', 'timestamp'),
    column('load_count', 'bigint'),
    column('play_count', 'bigint'),
    column('identifying_event_key', 'string'),
    column('identity_name', 'string', 'visitor_identity', field='name'),
    column('identity_organisation', 'string', 'visitor_identity', field='org.name'),
    column('known_email', 'bigint', 'visitor_identity', field='email', expression='$'),
]) }}
