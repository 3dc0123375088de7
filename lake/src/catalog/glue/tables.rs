//! Tables and partitions: requests within the API's limits, and nothing else.

use aws_sdk_glue::types::{
    BatchUpdatePartitionRequestEntry, DatabaseInput, Partition, PartitionInput, Table, TableInput,
};

use super::client::Glue;
use crate::catalog::api::TableApi;
use crate::catalog::rejection::{Reason, Rejection};

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

impl Glue {
    /// Puts a table in the place of the one of this version.
    fn put_table(
        &self,
        table: TableInput,
        version: Option<&str>,
        skip_archive: Option<bool>,
    ) -> Result<(), Rejection> {
        let object = self.table_arn(&table.name, None);
        let request = self
            .client
            .update_table()
            .set_catalog_id(self.catalog_id.clone())
            .database_name(&self.database)
            .set_version_id(version.map(str::to_owned))
            .set_skip_archive(skip_archive)
            .table_input(table);
        let done = self.wait(request.send());
        done.map(drop).map_err(|error| Rejection::of("UpdateTable", object, error))
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
        self.put_table(table, version, None)
    }

    fn replace_table(&self, table: TableInput, version: Option<&str>) -> Result<(), Rejection> {
        self.put_table(table, version, Some(true))
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
        self.session.runtime.block_on(Box::pin(async {
            let mut found = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| {
                    Rejection::of("GetPartitions", self.table_arn(table, None), error)
                })?;
                // A page leaves out a list that is empty.
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
            // An answer leaves out a list that is empty.
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
        self.arn_of_table(name, found.and_then(|table| table.catalog_id.as_deref()))
    }
}
