-- The tags of each media, for Spark.
select m.hashed_id as media_id, u.tag_name
from wistia.dim_media m
lateral view explode(m.tags) u as tag_name;
