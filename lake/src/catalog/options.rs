//! What catalog a lake has, and how a run keeps it up to date.

/// Which catalog a lake has, and how it is kept up.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the catalog learns of the tables.
    pub method: Method,
    /// Database of the tables. It is made if it is not there.
    pub database: String,
    /// Put before the name of every table.
    pub table_prefix: Option<String>,
    /// Account whose catalog it is, where that is not the account of the credentials.
    pub catalog_id: Option<String>,
    /// AWS region of the catalog. Default: that of S3.
    pub region: Option<String>,
    /// Another endpoint of Glue.
    pub endpoint_url: Option<String>,
}

/// How the catalog learns of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// They are registered with their exact types.
    Registration,
    /// A crawler reads them from the files.
    Crawler(CrawlerOptions),
}

/// A crawler and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrawlerOptions {
    /// Its name.
    pub name: String,
    /// Make it if it is not there, and add a target for every table that it does not cover.
    pub create: bool,
    /// Role that it runs as. Needed to make it.
    pub role_arn: Option<String>,
    /// Wait for the crawl to end.
    pub wait: bool,
    /// Seconds to wait for it.
    pub timeout_seconds: u64,
}

/// Whether the end of a run may wait for its catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As the options allow.
    Configured,
    /// Not at all: the run has failed or was stopped.
    Never,
}

impl Options {
    /// The name of a table in the catalog.
    #[cfg_attr(not(feature = "glue"), allow(dead_code, reason = "only the catalog asks for it"))]
    pub(crate) fn table_name(&self, table: &str) -> String {
        match &self.table_prefix {
            Some(prefix) => format!("{prefix}{table}"),
            None => table.to_owned(),
        }
    }
}
