//! What stands in the place of Iceberg in a program that was built without the feature `iceberg`.

use std::sync::Arc;

use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::store::Store;

pub(crate) mod table {
    //! None is ever opened.

    use crate::error::Result;
    use crate::store::Object;
    use crate::table::definition::Definition;

    /// See the type of this name with the feature.
    #[derive(Debug)]
    pub(crate) enum Table {}

    impl Table {
        pub(crate) fn root(&self, _: &Definition) -> Result<String> {
            match *self {}
        }

        pub(crate) fn is_made(&self) -> bool {
            match *self {}
        }

        pub(crate) fn objects(&self) -> Result<Vec<Object>> {
            match *self {}
        }
    }
}

pub(crate) mod metrics {
    //! Of no file they are kept.

    use parquet::file::metadata::RowGroupMetaData;

    /// See the type of this name with the feature.
    #[derive(Debug, Clone)]
    pub(crate) enum Metrics {}

    impl Metrics {
        pub(crate) fn of(_: &[RowGroupMetaData]) -> Option<Self> {
            None
        }
    }
}

/// None is ever asked.
#[derive(Debug)]
pub(crate) struct Catalog {
    store: Arc<dyn Store>,
}

impl Catalog {
    pub(crate) fn new(store: Arc<dyn Store>, _: &Aws, _: &str, _: usize) -> Self {
        Self { store }
    }

    /// The store of the lake.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    #[expect(clippy::unused_self, reason = "it has the form of the other")]
    pub(crate) fn table(&self, _: &str) -> Result<table::Table> {
        Err(Error::Absent { what: "Iceberg tables", feature: "iceberg" })
    }
}
