//! What is asked of Glue: the tables of one database, and the crawlers of an account.

use std::fmt::Debug;

use aws_sdk_glue::types::{Crawler, CrawlerTargets, Partition, PartitionInput, Table, TableInput};

use super::rejection::Rejection;

/// The tables of one database.
pub(crate) trait TableApi {
    /// Makes the database. It is no error if it is there.
    fn create_database(&self) -> Result<(), Rejection>;
    /// A table, if it is there.
    fn table(&self, name: &str) -> Result<Option<Table>, Rejection>;
    /// Makes a table.
    fn create_table(&self, table: TableInput) -> Result<(), Rejection>;
    /// Replaces a table that is still of this version.
    fn update_table(&self, table: TableInput, version: Option<&str>) -> Result<(), Rejection>;
    /// Replaces a table that is still of this version, and keeps no copy of what it was.
    #[cfg_attr(not(feature = "iceberg"), allow(dead_code, reason = "tables of Iceberg ask for it"))]
    fn replace_table(&self, table: TableInput, version: Option<&str>) -> Result<(), Rejection>;
    /// All partitions of a table.
    fn partitions(&self, table: &str) -> Result<Vec<Partition>, Rejection>;
    /// The partitions of these values, as far as they are there.
    fn find_partitions(&self, table: &str, values: &[String]) -> Result<Vec<Partition>, Rejection>;
    /// Makes partitions. How many were there already.
    fn create_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Rejection>;
    /// Replaces partitions. How many were gone.
    fn update_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Rejection>;
    /// Removes partitions. It is no error if they are gone.
    fn delete_partitions(&self, table: &str, values: Vec<String>) -> Result<(), Rejection>;
    /// The ARN of a table, with its account where the table itself has named it.
    fn table_arn(&self, name: &str, found: Option<&Table>) -> String;
}

/// The crawlers of an account.
pub(super) trait CrawlerApi {
    /// A crawler, if it is there.
    fn crawler(&self, name: &str) -> Result<Option<Crawler>, Rejection>;
    /// Makes a crawler.
    fn create_crawler(&self, spec: &CrawlerSpec, targets: CrawlerTargets) -> Result<(), Rejection>;
    /// Replaces the targets of a crawler, and its role by that of the spec.
    fn update_crawler(&self, spec: &CrawlerSpec, targets: CrawlerTargets) -> Result<(), Rejection>;
    /// Starts a crawl.
    fn start_crawler(&self, name: &str) -> Result<(), Rejection>;
    /// The ARN of a crawler.
    fn crawler_arn(&self, name: &str) -> String;
}

/// All that is asked of Glue.
pub(super) trait GlueApi: TableApi + CrawlerApi + Debug + Send {}

impl<T: TableApi + CrawlerApi + Debug + Send> GlueApi for T {}

/// The crawler that the options ask for.
#[derive(Debug, Clone)]
pub(super) struct CrawlerSpec {
    /// Its name.
    pub(super) name: String,
    /// Whether it may be made, and be changed to cover the tables.
    pub(super) create: bool,
    /// The role it runs as.
    pub(super) role: Option<String>,
    /// The database it writes to.
    pub(super) database: String,
    /// What it puts before the names of tables.
    pub(super) table_prefix: Option<String>,
}
