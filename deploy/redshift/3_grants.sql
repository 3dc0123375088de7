-- Lets analysts read. `usage` on the external schema opens its tables, and without it not even a view
-- of them can be read. Put the analysts' group, or `role …`, in the place of `analysts`.

create group analysts;

grant usage on schema wistia to group analysts;
grant usage on schema wistia_views to group analysts;
grant select on all tables in schema wistia_views to group analysts;

-- Joins of external tables put their parts into temporary tables.
grant temp on database dev to group analysts;
