-- Shows the lake's tables, as the Glue Data Catalog knows them, in Redshift as schema `wistia`.
-- Run once, with the right to create schemas in this database. Put in place of:
--   <region>    the region of bucket, Glue database and Redshift: it must be one and the same
--   <role-arn>  a role attached to the cluster or the Serverless namespace that may read the bucket
--               and the Glue database; `iam_role default` takes the default one
-- `database` is what the target's setting `catalog.database` says. The queries call the schema
-- `wistia` whatever the database is called.

create external schema if not exists wistia
from data catalog
database 'wistia'
region '<region>'
iam_role '<role-arn>';
