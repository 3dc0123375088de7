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

use super::Options;
use super::crawler::{Crawlers, Wish};
use super::refusal::{Refusal, Why};
use super::register::Tables;
use crate::aws::load;
use crate::error::{Error, Result};
use crate::options;

/// Tries of one request, the first included. The next run tries again what does not succeed.
const ATTEMPTS: u32 = 5;

/// Partitions that one request may make or replace.
const WRITTEN_AT_ONCE: usize = 100;

/// Partitions that one request may remove.
const REMOVED_AT_ONCE: usize = 25;

/// Partitions that one request may look up.
const LOOKED_UP_AT_ONCE: usize = 1000;

/// How a crawler that we make treats what it finds: new columns are added and none is changed, and
/// partitions have the columns of their table.
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
    pub(super) fn open(settings: &Options, aws: &options::Options) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::broken("a runtime for Glue can be started", error))?;
        let shared = runtime.block_on(Box::pin(load(aws)));
        let region = settings.region.clone();
        let Some(region) = region.or_else(|| shared.region().map(ToString::to_string)) else {
            return Err(Error::Option {
                name: "catalog.region",
                reason: "no region is known; set it, `s3.region` or AWS_REGION".into(),
            });
        };
        let mut builder = aws_sdk_glue::config::Builder::from(&shared)
            .region(Region::new(region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(endpoint) = &settings.endpoint_url {
            builder = builder.endpoint_url(endpoint);
        }
        Ok(Self {
            runtime,
            client: Client::from_conf(builder.build()),
            region,
            database: settings.database.clone(),
            catalog_id: settings.catalog_id.clone(),
        })
    }

    /// The ARN of something in the catalog; the account is not known before Glue has named it.
    pub(super) fn arn(&self, account: Option<&str>, resource: &str) -> String {
        let partition = match self.region.get(..3) {
            Some("cn-") => "aws-cn",
            Some("us-") if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let account = account.or(self.catalog_id.as_deref()).unwrap_or("*");
        format!("arn:{partition}:glue:{}:{account}:{resource}", self.region)
    }

    fn table_arn(&self, table: &str) -> String {
        self.describe(table, None)
    }

    /// Items of a batch that were refused. How many for the reason that is harmless.
    fn items<'a>(
        &self,
        operation: &str,
        table: &str,
        harmless: Why,
        items: impl Iterator<Item = (Option<&'a [String]>, Option<&'a ErrorDetail>)>,
    ) -> Result<usize, Refusal> {
        let mut count = 0;
        for (values, detail) in items {
            let code = detail.and_then(ErrorDetail::error_code).unwrap_or_default();
            let message = detail.and_then(ErrorDetail::error_message).unwrap_or_default();
            let object =
                format!("{}, partition {:?}", self.table_arn(table), values.unwrap_or_default());
            let refusal = Refusal::new(operation, object, code, message);
            if refusal.why != harmless {
                return Err(refusal);
            }
            count += 1;
        }
        Ok(count)
    }
}

impl Tables for Glue {
    fn create_database(&self) -> Result<(), Refusal> {
        let object = self.arn(None, &format!("database/{}", self.database));
        let database = DatabaseInput::builder().name(&self.database).build().map_err(|error| {
            Refusal::new("CreateDatabase", object.clone(), "", &error.to_string())
        })?;
        let request = self
            .client
            .create_database()
            .set_catalog_id(self.catalog_id.clone())
            .database_input(database);
        let made = self.runtime.block_on(Box::pin(request.send()));
        match made.map_err(|error| Refusal::of("CreateDatabase", object, &error)) {
            Ok(_) => {
                tracing::info!(database = self.database, "made the database in the catalog");
                Ok(())
            }
            Err(refusal) if refusal.why == Why::Exists => Ok(()),
            Err(mut refusal) => {
                refusal.reason = format!("the database does not exist; {}", refusal.reason);
                Err(refusal)
            }
        }
    }

    fn table(&self, name: &str) -> Result<Option<Table>, Refusal> {
        let request = self
            .client
            .get_table()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&self.database)
            .name(name);
        let found = self.runtime.block_on(Box::pin(request.send()));
        match found.map_err(|error| Refusal::of("GetTable", self.table_arn(name), &error)) {
            Ok(found) => Ok(found.table),
            Err(refusal) if refusal.why == Why::Missing => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn create_table(&self, table: TableInput) -> Result<(), Refusal> {
        let object = self.table_arn(&table.name);
        let request = self
            .client
            .create_table()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&self.database)
            .table_input(table);
        let made = self.runtime.block_on(Box::pin(request.send()));
        made.map(drop).map_err(|error| Refusal::of("CreateTable", object, &error))
    }

    fn update_table(&self, table: TableInput, version: Option<&str>) -> Result<(), Refusal> {
        let object = self.table_arn(&table.name);
        let request = self
            .client
            .update_table()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&self.database)
            .set_version_id(version.map(str::to_owned))
            .table_input(table);
        let done = self.runtime.block_on(Box::pin(request.send()));
        done.map(drop).map_err(|error| Refusal::of("UpdateTable", object, &error))
    }

    fn partitions(&self, table: &str) -> Result<Vec<Partition>, Refusal> {
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
                let page = page
                    .map_err(|error| Refusal::of("GetPartitions", self.table_arn(table), &error))?;
                found.extend(page.partitions.unwrap_or_default());
            }
            Ok(found)
        }))
    }

    fn find_partitions(&self, table: &str, values: &[String]) -> Result<Vec<Partition>, Refusal> {
        let mut keys = values.iter().map(value_list).collect::<Result<Vec<_>, _>>()?;
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
            let answer = self.runtime.block_on(Box::pin(request.send()));
            let answer = answer
                .map_err(|error| Refusal::of("BatchGetPartition", self.table_arn(table), &error))?;
            found.extend(answer.partitions.unwrap_or_default());
            keys = answer.unprocessed_keys.unwrap_or_default();
            if keys.len() >= asked {
                let object = self.table_arn(table);
                let message = "it leaves all partitions unprocessed";
                return Err(Refusal::new("BatchGetPartition", object, "no progress", message));
            }
            keys.extend(rest);
        }
        Ok(found)
    }

    fn create_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Refusal> {
        let mut stale = 0;
        for batch in new.chunks(WRITTEN_AT_ONCE) {
            let request = self
                .client
                .batch_create_partition()
                .set_catalog_id(self.catalog_id.clone())
                .database_name(&self.database)
                .table_name(table)
                .set_partition_input_list(Some(batch.to_vec()));
            let done = self.runtime.block_on(Box::pin(request.send()));
            let done = done.map_err(|error| {
                Refusal::of("BatchCreatePartition", self.table_arn(table), &error)
            })?;
            let items = done
                .errors()
                .iter()
                .map(|item| (item.partition_values.as_deref(), item.error_detail.as_ref()));
            stale += self.items("BatchCreatePartition", table, Why::Exists, items)?;
        }
        Ok(stale)
    }

    fn update_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Refusal> {
        let entries = new
            .into_iter()
            .map(|partition| {
                BatchUpdatePartitionRequestEntry::builder()
                    .set_partition_value_list(partition.values.clone())
                    .partition_input(partition)
                    .build()
                    .map_err(|error| unbuilt(&error.to_string()))
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
            let done = self.runtime.block_on(Box::pin(request.send()));
            let done = done.map_err(|error| {
                Refusal::of("BatchUpdatePartition", self.table_arn(table), &error)
            })?;
            let items = done
                .errors()
                .iter()
                .map(|item| (item.partition_value_list.as_deref(), item.error_detail.as_ref()));
            stale += self.items("BatchUpdatePartition", table, Why::Missing, items)?;
        }
        Ok(stale)
    }

    fn delete_partitions(&self, table: &str, values: Vec<String>) -> Result<(), Refusal> {
        let keys = values.iter().map(value_list).collect::<Result<Vec<_>, _>>()?;
        for batch in keys.chunks(REMOVED_AT_ONCE) {
            let request = self
                .client
                .batch_delete_partition()
                .set_catalog_id(self.catalog_id.clone())
                .database_name(&self.database)
                .table_name(table)
                .set_partitions_to_delete(Some(batch.to_vec()));
            let done = self.runtime.block_on(Box::pin(request.send()));
            let done = done.map_err(|error| {
                Refusal::of("BatchDeletePartition", self.table_arn(table), &error)
            })?;
            let items = done
                .errors()
                .iter()
                .map(|item| (item.partition_values.as_deref(), item.error_detail.as_ref()));
            self.items("BatchDeletePartition", table, Why::Missing, items)?;
        }
        Ok(())
    }

    fn describe(&self, name: &str, found: Option<&Table>) -> String {
        let account = found.and_then(|table| table.catalog_id.as_deref());
        self.arn(account, &format!("table/{}/{name}", self.database))
    }
}

impl Crawlers for Glue {
    fn crawler(&self, name: &str) -> Result<Option<Crawler>, Refusal> {
        let found = self.runtime.block_on(Box::pin(self.client.get_crawler().name(name).send()));
        match found.map_err(|error| Refusal::of("GetCrawler", self.crawler_arn(name), &error)) {
            Ok(found) => Ok(found.crawler),
            Err(refusal) if refusal.why == Why::Missing => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn create_crawler(&self, wish: &Wish, targets: CrawlerTargets) -> Result<(), Refusal> {
        let policy = SchemaChangePolicy::builder()
            .update_behavior(UpdateBehavior::UpdateInDatabase)
            .delete_behavior(DeleteBehavior::Log)
            .build();
        let request = self
            .client
            .create_crawler()
            .name(&wish.name)
            .set_role(wish.role.clone())
            .database_name(&self.database)
            .description("Tables of target-s3-parquet")
            .set_table_prefix(wish.table_prefix.clone())
            .targets(targets)
            .schema_change_policy(policy)
            .configuration(CRAWLER_CONFIGURATION);
        let made = self.runtime.block_on(Box::pin(request.send()));
        made.map(drop)
            .map_err(|error| Refusal::of("CreateCrawler", self.crawler_arn(&wish.name), &error))
    }

    fn update_crawler(&self, wish: &Wish, targets: CrawlerTargets) -> Result<(), Refusal> {
        let request = self
            .client
            .update_crawler()
            .name(&wish.name)
            .set_role(wish.role.clone())
            .targets(targets);
        let done = self.runtime.block_on(Box::pin(request.send()));
        done.map(drop)
            .map_err(|error| Refusal::of("UpdateCrawler", self.crawler_arn(&wish.name), &error))
    }

    fn start_crawler(&self, name: &str) -> Result<(), Refusal> {
        let started =
            self.runtime.block_on(Box::pin(self.client.start_crawler().name(name).send()));
        started
            .map(drop)
            .map_err(|error| Refusal::of("StartCrawler", self.crawler_arn(name), &error))
    }

    fn crawler_arn(&self, name: &str) -> String {
        self.arn(None, &format!("crawler/{name}"))
    }
}

fn value_list(value: &String) -> Result<PartitionValueList, Refusal> {
    PartitionValueList::builder().values(value).build().map_err(|error| unbuilt(&error.to_string()))
}

fn unbuilt(error: &str) -> Refusal {
    Refusal { why: Why::Other, object: "a partition".into(), reason: error.to_owned() }
}
