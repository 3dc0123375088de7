{{ stage('dim_tags', [
    column('tag', 'string', 'name'),
    column('media_count', 'bigint', 'taggings_count'),
    column('created_at', 'timestamp', 'created'),
]) }}
