-- Shows the lake's tables, as the Glue Data Catalog knows them, in Redshift: as schema `wistia`, and those
-- with personal data as schema `wistia_personal`. They are two, because nothing can be granted on an external
-- table, only on its schema (https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_EXTERNAL_SCHEMA.html).
-- Run once, with the right to create schemas in this database. Put in place of:
--   <region>    the region of bucket, Glue databases and Redshift: it must be one and the same
--   <role-arn>  a role attached to the cluster or the Serverless namespace that may read the bucket
--               and the Glue databases; `iam_role default` takes the default one
-- `database` is what the target's settings `catalog.database` and `catalog.personal_database` say. The
-- queries call the schemas by these names whatever the databases are called.

create external schema if not exists wistia
from data catalog
database 'wistia'
region '<region>'
iam_role '<role-arn>';

create external schema if not exists wistia_personal
from data catalog
database 'wistia__personal'
region '<region>'
iam_role '<role-arn>';
