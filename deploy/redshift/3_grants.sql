-- Lets analysts read what is not personal, and those who may know the visitors read of them. Run it as
-- superuser. Put your groups, or `role …`, in the place of `analysts` and `visitor_analysts`; who is
-- to read everything is in both.

create group analysts;
create group visitor_analysts;

-- `usage` on an external schema opens all of its tables, and without it not even a view of them can be
-- read, a materialized one neither
-- (https://docs.aws.amazon.com/redshift/latest/dg/materialized-view-query.html). What analysts see of
-- views by visitors are tables of Redshift's own, which 4_refresh.sql fills.
grant usage on schema wistia to group analysts;
grant usage on schema wistia_views to group analysts;
grant select on all tables in schema wistia_views to group analysts;

grant usage on schema wistia_personal to group visitor_analysts;
grant usage on schema wistia_personal_views to group visitor_analysts;
grant select on all tables in schema wistia_personal_views to group visitor_analysts;

-- By default everyone may `copy` and `unload` with every role of the cluster, and so read the files of any
-- table (https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT-usage-notes.html). This is for the whole
-- cluster: grant `assumerole` to those who load other data. Nor give to anyone who may not see visitors
-- `create` on the database, with which they make an external schema of their own, or `usage` on
-- `awsdatacatalog` (https://docs.aws.amazon.com/redshift/latest/mgmt/query-editor-v2-glue.html).
revoke assumerole on all from public for all;

-- Joins of external tables put their parts into temporary tables.
grant temp on database dev to group analysts;
grant temp on database dev to group visitor_analysts;
