{{ stage('dim_projects', [
    column('project_id', 'string', 'hashed_id'),
    column('project_number', 'bigint', 'id'),
    column('project', 'string', 'name'),
    column('media_count', 'bigint'),
    column('created_at', 'timestamp', 'created'),
]) }}
