{{ stage('fact_engagement_graph_points', [
    column('media_id', 'string'),
    column('point', 'bigint', 'position'),
    column('engagement', 'bigint'),
    column('rewatch', 'bigint'),
]) }}
