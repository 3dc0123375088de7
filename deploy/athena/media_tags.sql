-- The tags of each media, for Athena.
select m.hashed_id as media_id, u.tag_name
from wistia.dim_media m
cross join unnest(m.tags) as u (tag_name);
