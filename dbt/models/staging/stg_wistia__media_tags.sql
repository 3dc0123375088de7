{{ rows_of_list('dim_media', 'hashed_id', 'tags', 'tag') }}
