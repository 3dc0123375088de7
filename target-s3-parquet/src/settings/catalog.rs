//! The settings of the catalog.

use lake::{IcebergCatalog, catalog};
use schemars::JsonSchema;
use serde::Deserialize;

use super::rest::RestConfig;
use crate::error::Error;

/// Settings of the catalog in which queries find the tables.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct CatalogConfig {
    /// `glue` registers tables and partitions in the Glue Data Catalog, with exact types; `crawler`
    /// starts a Glue crawler after every run that changed anything; `rest` is a catalog of Iceberg tables
    /// alone; `none` leaves the catalog alone. Iceberg tables are committed to in `glue` or `rest`; with `none`
    /// each is its own catalog.
    #[serde(default, rename = "type")]
    pub(crate) kind: CatalogKind,

    /// Database of the tables in the catalog. It is made if it is not there.
    pub(crate) database: Option<String>,

    /// Another database, for the tables that hold personal data: a column of theirs is marked
    /// `x-personal` in the schema of its stream. Whoever may read `database` only sees none of them.
    pub(crate) personal_database: Option<String>,

    /// Put before the name of every table in the catalog.
    pub(crate) table_prefix: Option<String>,

    /// Account whose catalog it is, where that is not the account of the credentials.
    pub(crate) catalog_id: Option<String>,

    /// AWS region of the catalog. Default: the one of `s3`. Credentials are always those of `s3`.
    pub(crate) region: Option<String>,

    /// Another endpoint of Glue, such as that of a VPC.
    pub(crate) endpoint_url: Option<String>,

    /// The crawler of the type `crawler`.
    #[serde(default)]
    pub(crate) crawler: CrawlerConfig,

    /// The catalog of the type `rest`.
    #[serde(default)]
    pub(crate) rest: RestConfig,
}

/// How the catalog learns of the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CatalogKind {
    /// Not at all.
    #[default]
    None,
    /// From a crawler.
    Crawler,
    /// From this program.
    Glue,
    /// By the commits themselves, which go through it.
    Rest,
}

/// Settings of the crawler.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct CrawlerConfig {
    /// Its name.
    pub(crate) name: Option<String>,

    /// Name of the crawler of `personal_database`, for which all of these settings hold as well.
    pub(crate) personal_name: Option<String>,

    /// Make the crawler if it is not there, and give it a target for every table. Without it, the
    /// crawler must exist and cover the tables.
    #[serde(default)]
    pub(crate) create: bool,

    /// Role that the crawler runs as. Needed to make it.
    pub(crate) role_arn: Option<String>,

    /// Wait for the crawl to end, and fail when it fails. Without it, the next run looks how the
    /// crawl has ended.
    #[serde(default = "default_wait")]
    pub(crate) wait: bool,

    /// Seconds to wait for the crawler.
    #[serde(default = "default_timeout_seconds")]
    #[schemars(range(min = 1))]
    pub(crate) timeout_seconds: u64,
}

fn default_wait() -> bool {
    true
}

fn default_timeout_seconds() -> u64 {
    1800
}

impl Default for CrawlerConfig {
    fn default() -> Self {
        Self {
            name: None,
            personal_name: None,
            create: false,
            role_arn: None,
            wait: default_wait(),
            timeout_seconds: default_timeout_seconds(),
        }
    }
}

/// Longest name in the catalog
/// (<https://docs.aws.amazon.com/glue/latest/webapi/API_DatabaseInput.html>).
const MAX_NAME: usize = 255;

/// Longest name of a table that Redshift takes, in bytes
/// (<https://docs.aws.amazon.com/redshift/latest/dg/r_names.html>). A prefix fills it at most.
const MAX_PREFIX: usize = 127;

impl CatalogConfig {
    /// Checks what the types cannot.
    pub(crate) fn validate(&self, destination: &str) -> Result<(), Error> {
        let fault = |key: &str, reason: &str| {
            Err(Error::Setting { key: format!("catalog.{key}"), reason: reason.into() })
        };
        match self.kind {
            CatalogKind::None => return Ok(()),
            CatalogKind::Rest => return self.rest.validate(),
            CatalogKind::Glue | CatalogKind::Crawler => {}
        }
        let endpoint = self.endpoint_url.as_deref();
        program::warn_of_plain_http("catalog.endpoint_url", endpoint, "requests to Glue go");
        if !destination.starts_with("s3://") {
            return fault(
                "type",
                "Glue knows tables on S3 only; set `destination` to s3://bucket/prefix or `catalog.type` to `none`",
            );
        }
        if destination.trim_start_matches("s3://").contains("//") {
            return fault("type", "Glue reads no path with `//` in it, as `destination` has");
        }
        let is_plain = |name: &str| {
            name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
            })
        };
        let databases =
            [("database", &self.database), ("personal_database", &self.personal_database)];
        for (key, name) in databases {
            match name.as_deref() {
                None if key == "personal_database" => {}
                None | Some("") => return fault(key, "it is missing; name a Glue database"),
                Some(name) if !is_plain(name) || name.len() > MAX_NAME => {
                    return fault(
                        key,
                        "it may have lower case letters, digits, `_` and `-`, and 255 of them",
                    );
                }
                Some(_) => {}
            }
        }
        if self.database == self.personal_database {
            return fault("personal_database", "it must be another than `catalog.database`");
        }
        if self
            .table_prefix
            .as_deref()
            .is_some_and(|name| !is_plain(name) || name.len() > MAX_PREFIX)
        {
            return fault(
                "table_prefix",
                "it may have lower case letters, digits, `_` and `-`, and 127 of them",
            );
        }
        if self.kind == CatalogKind::Crawler {
            if self.crawler.name.as_deref().unwrap_or_default().is_empty() {
                return fault("crawler.name", "it is missing; name the crawler to start");
            }
            let personal = self.crawler.personal_name.as_deref().unwrap_or_default();
            if self.personal_database.is_some() && personal.is_empty() {
                return fault(
                    "crawler.personal_name",
                    "it is missing; a crawler writes one database, so name another for `catalog.personal_database`",
                );
            }
            if self.crawler.personal_name.is_some() && self.personal_database.is_none() {
                return fault(
                    "crawler.personal_name",
                    "it is for `catalog.personal_database`, which is missing",
                );
            }
            if self.crawler.personal_name == self.crawler.name {
                return fault(
                    "crawler.personal_name",
                    "it must be another than `catalog.crawler.name`",
                );
            }
            if self.crawler.create && self.crawler.role_arn.is_none() {
                return fault(
                    "crawler.role_arn",
                    "it is missing; a crawler needs a role to be made",
                );
            }
            if self.crawler.timeout_seconds == 0 {
                return fault("crawler.timeout_seconds", "it must be at least 1");
            }
        }
        Ok(())
    }

    /// Checks that it fits the tables, of which some are Iceberg's or none.
    pub(crate) fn validate_for(&self, has_iceberg: bool) -> Result<(), Error> {
        let fault = |key: &str, reason: &str| {
            Err(Error::Setting { key: format!("catalog.{key}"), reason: reason.into() })
        };
        if !has_iceberg {
            return match self.kind {
                CatalogKind::Rest => fault(
                    "type",
                    "`rest` knows Iceberg tables only; set `table_format` to `iceberg`, or this to `glue` or `none`",
                ),
                CatalogKind::None | CatalogKind::Crawler | CatalogKind::Glue => Ok(()),
            };
        }
        match self.kind {
            CatalogKind::Crawler => fault(
                "type",
                "a crawler takes the files of an Iceberg table for those of a plain one; set it to `glue`, `rest` \
                 or `none`",
            ),
            CatalogKind::Glue | CatalogKind::Rest if self.personal_database.is_some() => fault(
                "personal_database",
                "it is for plain tables; a pipeline of its own for the streams with personal data can write \
                 Iceberg tables to another `catalog.database`",
            ),
            CatalogKind::None | CatalogKind::Glue | CatalogKind::Rest => Ok(()),
        }
    }

    /// Who keeps the pointers of Iceberg tables.
    pub(crate) fn iceberg(&self) -> IcebergCatalog {
        match self.kind {
            CatalogKind::Rest => {
                IcebergCatalog::Rest(self.rest.options(self.table_prefix.as_ref()))
            }
            CatalogKind::Glue => {
                self.options().map_or(IcebergCatalog::Folder, IcebergCatalog::Glue)
            }
            CatalogKind::None | CatalogKind::Crawler => IcebergCatalog::Folder,
        }
    }

    /// What the lake gets of its catalog, if it has one.
    pub(crate) fn options(&self) -> Option<catalog::Options> {
        self.options_of(self.database.as_ref(), self.crawler.name.as_ref())
    }

    /// What it gets of the catalog of personal data, if that has a database of its own.
    pub(crate) fn personal_options(&self) -> Option<catalog::Options> {
        let database = Some(self.personal_database.as_ref()?);
        self.options_of(database, self.crawler.personal_name.as_ref())
    }

    fn options_of(
        &self,
        database: Option<&String>,
        crawler: Option<&String>,
    ) -> Option<catalog::Options> {
        let method = match self.kind {
            CatalogKind::None | CatalogKind::Rest => return None,
            CatalogKind::Glue => catalog::Method::Registration,
            CatalogKind::Crawler => catalog::Method::Crawler(catalog::CrawlerOptions {
                name: crawler.cloned().unwrap_or_default(),
                create: self.crawler.create,
                role_arn: self.crawler.role_arn.clone(),
                wait: self.crawler.wait,
                timeout_seconds: self.crawler.timeout_seconds,
            }),
        };
        Some(catalog::Options {
            method,
            database: database.cloned().unwrap_or_default(),
            table_prefix: self.table_prefix.clone(),
            catalog_id: self.catalog_id.clone(),
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, destination: &str) -> Option<String> {
        let config: CatalogConfig = serde_json::from_str(text).unwrap();
        config.validate(destination).err().map(|error| error.to_string())
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_their_key() {
        for (text, destination, key) in [
            (r#"{"type":"glue","database":"d"}"#, "lake", "catalog.type"),
            (r#"{"type":"glue","database":"d"}"#, "s3://b/x//y", "catalog.type"),
            (r#"{"type":"glue"}"#, "s3://b", "catalog.database"),
            (r#"{"type":"glue","database":"Lake"}"#, "s3://b", "catalog.database"),
            (
                r#"{"type":"glue","database":"d","table_prefix":"X"}"#,
                "s3://b",
                "catalog.table_prefix",
            ),
            (
                r#"{"type":"glue","database":"d","personal_database":"d"}"#,
                "s3://b",
                "catalog.personal_database",
            ),
            (
                r#"{"type":"glue","database":"d","personal_database":""}"#,
                "s3://b",
                "catalog.personal_database",
            ),
            (
                r#"{"type":"crawler","database":"d","personal_database":"p","crawler":{"name":"c"}}"#,
                "s3://b",
                "catalog.crawler.personal_name",
            ),
            (
                r#"{"type":"crawler","database":"d","crawler":{"name":"c","personal_name":"p"}}"#,
                "s3://b",
                "catalog.crawler.personal_name",
            ),
            (
                r#"{"type":"crawler","database":"d","personal_database":"p","crawler":{"name":"c","personal_name":"c"}}"#,
                "s3://b",
                "catalog.crawler.personal_name",
            ),
            (r#"{"type":"crawler","database":"d"}"#, "s3://b", "catalog.crawler.name"),
            (
                r#"{"type":"crawler","database":"d","crawler":{"name":"c","create":true}}"#,
                "s3://b",
                "catalog.crawler.role_arn",
            ),
        ] {
            let error = fault(text, destination).unwrap();
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }

    #[test]
    fn without_a_catalog_nothing_is_asked_for() {
        assert_eq!(fault("{}", "lake"), None);
        assert_eq!(fault(r#"{"type":"glue","database":"d"}"#, "s3://b/x"), None);
    }

    #[test]
    fn iceberg_tables_are_committed_to_where_a_catalog_can_keep_their_pointers() {
        let config = |text: &str| serde_json::from_str::<CatalogConfig>(text).unwrap();
        let rest = config(r#"{"type":"rest","rest":{"uri":"https://h","namespace":"n"}}"#);
        rest.validate("lake").unwrap();
        assert!(rest.options().is_none());
        assert!(matches!(rest.iceberg(), IcebergCatalog::Rest(_)));
        let glue = config(r#"{"type":"glue","database":"d"}"#);
        assert!(matches!(glue.iceberg(), IcebergCatalog::Glue(_)));
        assert!(matches!(config("{}").iceberg(), IcebergCatalog::Folder));
        for (text, key) in [
            (r#"{"type":"crawler"}"#, "catalog.type"),
            (
                r#"{"type":"glue","database":"d","personal_database":"p"}"#,
                "catalog.personal_database",
            ),
        ] {
            let error = config(text).validate_for(true).unwrap_err().to_string();
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
        glue.validate_for(true).unwrap();
        let refused = config(r#"{"type":"rest"}"#).validate("lake").unwrap_err().to_string();
        assert!(refused.contains("`catalog.rest.uri`"), "{refused}");
    }

    #[test]
    fn the_lake_gets_the_settings_under_its_own_names() {
        let options = |text: &str| {
            let config: CatalogConfig = serde_json::from_str(text).unwrap();
            config.options()
        };
        assert!(options(r#"{"database":"d"}"#).is_none());
        let glue = options(
            r#"{"type":"glue","database":"d","table_prefix":"p_","catalog_id":"1","region":"r","endpoint_url":"e"}"#,
        )
        .unwrap();
        assert_eq!((glue.method, glue.database.as_str()), (catalog::Method::Registration, "d"));
        let texts = [glue.table_prefix, glue.catalog_id, glue.region, glue.endpoint_url];
        assert_eq!(texts.map(Option::unwrap), ["p_", "1", "r", "e"]);
        let config: CatalogConfig = serde_json::from_str(
            r#"{"type":"glue","database":"d","table_prefix":"p_","personal_database":"e"}"#,
        )
        .unwrap();
        let personal = config.personal_options().unwrap();
        assert_eq!(
            (personal.database.as_str(), personal.table_prefix.as_deref()),
            ("e", Some("p_"))
        );
        let crawler =
            options(r#"{"type":"crawler","database":"d","crawler":{"name":"c","wait":false}}"#);
        let expected = catalog::CrawlerOptions {
            name: "c".into(),
            create: false,
            role_arn: None,
            wait: false,
            timeout_seconds: 1800,
        };
        assert_eq!(crawler.unwrap().method, catalog::Method::Crawler(expected));
    }
}
