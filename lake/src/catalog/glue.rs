//! The Glue Data Catalog: requests within the API's limits, and nothing else.

use aws_sdk_glue::Client;
use aws_sdk_glue::config::Region;
use aws_sdk_glue::config::retry::RetryConfig;
use aws_sdk_glue::types::{
    BatchUpdatePartitionRequestEntry, Crawler, CrawlerTargets, DatabaseInput, DeleteBehavior,
    ErrorDetail, Partition, PartitionInput, PartitionValueList, SchemaChangePolicy, Table,
    TableInput, UpdateBehavior,
};
use tokio::runtime::Runtime;

use super::api::{CrawlerApi, CrawlerSpec, TableApi};
use super::options::Options;
use super::rejection::{Reason, Rejection};
use crate::aws::load;
use crate::error::{Error, Result};
use crate::options::Options as LakeOptions;

/// Tries of one request, the first included. The next run tries again what does not succeed.
const ATTEMPTS: u32 = 5;

/// Partitions that one request may make or replace
/// (<https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html>,
/// <https://docs.aws.amazon.com/glue/latest/webapi/API_BatchUpdatePartition.html>).
const WRITTEN_AT_ONCE: usize = 100;

/// Partitions that one request may remove
/// (<https://docs.aws.amazon.com/glue/latest/webapi/API_BatchDeletePartition.html>).
const REMOVED_AT_ONCE: usize = 25;

/// Partitions that one request may look up
/// (<https://docs.aws.amazon.com/glue/latest/webapi/API_BatchGetPartition.html>).
const LOOKED_UP_AT_ONCE: usize = 1000;

/// How a crawler that we make treats what it finds: new columns are added and none is changed, and
/// partitions have the columns of their table
/// (<https://docs.aws.amazon.com/glue/latest/dg/crawler-schema-changes-prevent.html>).
const CRAWLER_CONFIGURATION: &str = r#"{"Version":1.0,"CrawlerOutput":{"Partitions":{"AddOrUpdateBehavior":"InheritFromTable"},"Tables":{"AddOrUpdateBehavior":"MergeNewColumns"}}}"#;

/// A database of the catalog.
#[derive(Debug)]
pub(super) struct Glue {
    runtime: Runtime,
    client: Client,
    region: String,
    database: String,
    catalog_id: Option<String>,
}

impl Glue {
    /// Opens the database that the settings name. Nothing is asked of it yet.
    pub(super) fn open(options: &Options, aws: &LakeOptions) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::broken("a runtime for Glue can be started", error))?;
        let shared = runtime.block_on(Box::pin(load(aws)));
        let region = options.region.clone();
        let Some(region) = region.or_else(|| shared.region().map(ToString::to_string)) else {
            return Err(Error::Option {
                name: "catalog.region",
                reason: "no region is known; set it, `s3.region` or AWS_REGION".into(),
            });
        };
        let mut builder = aws_sdk_glue::config::Builder::from(&shared)
            .region(Region::new(region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(endpoint) = &options.endpoint_url {
            builder = builder.endpoint_url(endpoint);
        }
        Ok(Self {
            runtime,
            client: Client::from_conf(builder.build()),
            region,
            database: options.database.clone(),
            catalog_id: options.catalog_id.clone(),
        })
    }

    /// The ARN of something in the catalog; the account is not known before Glue has named it. The
    /// regions of China and of the government have partitions of their own
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
    fn arn(&self, account: Option<&str>, resource: &str) -> String {
        let partition = match self.region.get(..3) {
            Some("cn-") => "aws-cn",
            Some("us-") if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let account = account.or(self.catalog_id.as_deref()).unwrap_or("*");
        format!("arn:{partition}:glue:{}:{account}:{resource}", self.region)
    }

    /// Waits for the answer to a request.
    fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        self.runtime.block_on(Box::pin(request))
    }

    /// The values of partitions as a request names them.
    fn value_lists(
        &self,
        operation: &str,
        table: &str,
        values: &[String],
    ) -> Result<Vec<PartitionValueList>, Rejection> {
        let list = |value: &String| PartitionValueList::builder().values(value).build();
        values
            .iter()
            .map(list)
            .collect::<Result<_, _>>()
            .map_err(|error| Rejection::unbuilt(operation, self.table_arn(table, None), error))
    }

    /// Items of a batch that were rejected. How many for the reason that is harmless.
    fn items<'a>(
        &self,
        operation: &str,
        table: &str,
        harmless: Reason,
        items: impl Iterator<Item = (Option<&'a [String]>, Option<&'a ErrorDetail>)>,
    ) -> Result<usize, Rejection> {
        let mut count = 0;
        for (values, detail) in items {
            let code = detail.and_then(ErrorDetail::error_code).unwrap_or_default();
            let message = detail.and_then(ErrorDetail::error_message).unwrap_or_default();
            let object = format!(
                "{}, partition {:?}",
                self.table_arn(table, None),
                values.unwrap_or_default()
            );
            let rejection = Rejection::new(operation, object, code, message);
            if rejection.reason != harmless {
                return Err(rejection);
            }
            count += 1;
        }
        Ok(count)
    }
}

impl TableApi for Glue {
    fn create_database(&self) -> Result<(), Rejection> {
        let object = self.arn(None, &format!("database/{}", self.database));
        let database = DatabaseInput::builder()
            .name(&self.database)
            .build()
            .map_err(|error| Rejection::unbuilt("CreateDatabase", object.clone(), error))?;
        let request = self
            .client
            .create_database()
            .set_catalog_id(self.catalog_id.clone())
            .database_input(database);
        let made = self.wait(request.send());
        match made.map_err(|error| Rejection::of("CreateDatabase", object, error)) {
            Ok(_) => {
                tracing::info!(database = self.database, "made the database in the catalog");
                Ok(())
            }
            Err(rejection) if rejection.reason == Reason::Exists => Ok(()),
            Err(rejection) => Err(rejection.with_context("the database does not exist")),
        }
    }

    fn table(&self, name: &str) -> Result<Option<Table>, Rejection> {
        let request = self
            .client
            .get_table()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&self.database)
            .name(name);
        let found = self.wait(request.send());
        match found.map_err(|error| Rejection::of("GetTable", self.table_arn(name, None), error)) {
            Ok(found) => found.table.map(Some).ok_or_else(|| {
                Rejection::incomplete("GetTable", self.table_arn(name, None), "a table")
            }),
            Err(rejection) if rejection.reason == Reason::Missing => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }

    fn create_table(&self, table: TableInput) -> Result<(), Rejection> {
        let object = self.table_arn(&table.name, None);
        let request = self
            .client
            .create_table()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&self.database)
            .table_input(table);
        let made = self.wait(request.send());
        made.map(drop).map_err(|error| Rejection::of("CreateTable", object, error))
    }

    fn update_table(&self, table: TableInput, version: Option<&str>) -> Result<(), Rejection> {
        let object = self.table_arn(&table.name, None);
        let request = self
            .client
            .update_table()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&self.database)
            .set_version_id(version.map(str::to_owned))
            .table_input(table);
        let done = self.wait(request.send());
        done.map(drop).map_err(|error| Rejection::of("UpdateTable", object, error))
    }

    fn partitions(&self, table: &str) -> Result<Vec<Partition>, Rejection> {
        let mut pages = self
            .client
            .get_partitions()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&self.database)
            .table_name(table)
            .into_paginator()
            .send();
        self.runtime.block_on(Box::pin(async {
            let mut found = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| {
                    Rejection::of("GetPartitions", self.table_arn(table, None), error)
                })?;
                found.extend(page.partitions.unwrap_or_default());
            }
            Ok(found)
        }))
    }

    fn find_partitions(&self, table: &str, values: &[String]) -> Result<Vec<Partition>, Rejection> {
        let mut keys = self.value_lists("BatchGetPartition", table, values)?;
        let mut found = Vec::new();
        while !keys.is_empty() {
            let rest = keys.split_off(keys.len().min(LOOKED_UP_AT_ONCE));
            let asked = keys.len();
            let request = self
                .client
                .batch_get_partition()
                .set_catalog_id(self.catalog_id.clone())
                .database_name(&self.database)
                .table_name(table)
                .set_partitions_to_get(Some(keys));
            let answer = self.wait(request.send());
            let answer = answer.map_err(|error| {
                Rejection::of("BatchGetPartition", self.table_arn(table, None), error)
            })?;
            found.extend(answer.partitions.unwrap_or_default());
            keys = answer.unprocessed_keys.unwrap_or_default();
            if keys.len() >= asked {
                let object = self.table_arn(table, None);
                let message = "it leaves all partitions unprocessed";
                return Err(Rejection::new("BatchGetPartition", object, "no progress", message));
            }
            keys.extend(rest);
        }
        Ok(found)
    }

    fn create_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Rejection> {
        let mut stale = 0;
        for batch in new.chunks(WRITTEN_AT_ONCE) {
            let request = self
                .client
                .batch_create_partition()
                .set_catalog_id(self.catalog_id.clone())
                .database_name(&self.database)
                .table_name(table)
                .set_partition_input_list(Some(batch.to_vec()));
            let done = self.wait(request.send());
            let done = done.map_err(|error| {
                Rejection::of("BatchCreatePartition", self.table_arn(table, None), error)
            })?;
            let items = done
                .errors()
                .iter()
                .map(|item| (item.partition_values.as_deref(), item.error_detail.as_ref()));
            stale += self.items("BatchCreatePartition", table, Reason::Exists, items)?;
        }
        Ok(stale)
    }

    fn update_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Rejection> {
        let entries = new
            .into_iter()
            .map(|partition| {
                BatchUpdatePartitionRequestEntry::builder()
                    .set_partition_value_list(partition.values.clone())
                    .partition_input(partition)
                    .build()
                    .map_err(|error| {
                        let object = self.table_arn(table, None);
                        Rejection::unbuilt("BatchUpdatePartition", object, error)
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut stale = 0;
        for batch in entries.chunks(WRITTEN_AT_ONCE) {
            let request = self
                .client
                .batch_update_partition()
                .set_catalog_id(self.catalog_id.clone())
                .database_name(&self.database)
                .table_name(table)
                .set_entries(Some(batch.to_vec()));
            let done = self.wait(request.send());
            let done = done.map_err(|error| {
                Rejection::of("BatchUpdatePartition", self.table_arn(table, None), error)
            })?;
            let items = done
                .errors()
                .iter()
                .map(|item| (item.partition_value_list.as_deref(), item.error_detail.as_ref()));
            stale += self.items("BatchUpdatePartition", table, Reason::Missing, items)?;
        }
        Ok(stale)
    }

    fn delete_partitions(&self, table: &str, values: Vec<String>) -> Result<(), Rejection> {
        let keys = self.value_lists("BatchDeletePartition", table, &values)?;
        for batch in keys.chunks(REMOVED_AT_ONCE) {
            let request = self
                .client
                .batch_delete_partition()
                .set_catalog_id(self.catalog_id.clone())
                .database_name(&self.database)
                .table_name(table)
                .set_partitions_to_delete(Some(batch.to_vec()));
            let done = self.wait(request.send());
            let done = done.map_err(|error| {
                Rejection::of("BatchDeletePartition", self.table_arn(table, None), error)
            })?;
            let items = done
                .errors()
                .iter()
                .map(|item| (item.partition_values.as_deref(), item.error_detail.as_ref()));
            self.items("BatchDeletePartition", table, Reason::Missing, items)?;
        }
        Ok(())
    }

    fn table_arn(&self, name: &str, found: Option<&Table>) -> String {
        let account = found.and_then(|table| table.catalog_id.as_deref());
        self.arn(account, &format!("table/{}/{name}", self.database))
    }
}

impl CrawlerApi for Glue {
    fn crawler(&self, name: &str) -> Result<Option<Crawler>, Rejection> {
        let found = self.runtime.block_on(Box::pin(self.client.get_crawler().name(name).send()));
        match found.map_err(|error| Rejection::of("GetCrawler", self.crawler_arn(name), error)) {
            Ok(found) => found.crawler.map(Some).ok_or_else(|| {
                Rejection::incomplete("GetCrawler", self.crawler_arn(name), "a crawler")
            }),
            Err(rejection) if rejection.reason == Reason::Missing => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }

    fn create_crawler(&self, spec: &CrawlerSpec, targets: CrawlerTargets) -> Result<(), Rejection> {
        let policy = SchemaChangePolicy::builder()
            .update_behavior(UpdateBehavior::UpdateInDatabase)
            .delete_behavior(DeleteBehavior::Log)
            .build();
        let request = self
            .client
            .create_crawler()
            .name(&spec.name)
            .set_role(spec.role.clone())
            .database_name(&self.database)
            .description("Tables of target-s3-parquet")
            .set_table_prefix(spec.table_prefix.clone())
            .targets(targets)
            .schema_change_policy(policy)
            .configuration(CRAWLER_CONFIGURATION);
        let made = self.wait(request.send());
        made.map(drop)
            .map_err(|error| Rejection::of("CreateCrawler", self.crawler_arn(&spec.name), error))
    }

    fn update_crawler(&self, spec: &CrawlerSpec, targets: CrawlerTargets) -> Result<(), Rejection> {
        let request = self
            .client
            .update_crawler()
            .name(&spec.name)
            .set_role(spec.role.clone())
            .targets(targets);
        let done = self.wait(request.send());
        done.map(drop)
            .map_err(|error| Rejection::of("UpdateCrawler", self.crawler_arn(&spec.name), error))
    }

    fn start_crawler(&self, name: &str) -> Result<(), Rejection> {
        let started =
            self.runtime.block_on(Box::pin(self.client.start_crawler().name(name).send()));
        started
            .map(drop)
            .map_err(|error| Rejection::of("StartCrawler", self.crawler_arn(name), error))
    }

    fn crawler_arn(&self, name: &str) -> String {
        self.arn(None, &format!("crawler/{name}"))
    }
}
