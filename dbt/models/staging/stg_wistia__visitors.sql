{{ stage('dim_visitors', [
    column('visitor_key', 'string', 'visitor_id'),
    column('country', 'string'),
    column('ip_address', 'string'),
]) }}
