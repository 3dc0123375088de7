//! What stands in the place of Iceberg in a program that was built without the feature `iceberg`.

use std::sync::Arc;

use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::store::Store;

pub(crate) mod table {
    //! None is ever opened.

    use crate::error::Result;
    use crate::store::Object;

    /// See the type of this name with the feature.
    #[derive(Debug)]
    pub(crate) enum Table {}

    impl Table {
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

/// See the function of this name with the feature.
pub(crate) fn open(
    _: &Arc<dyn Store>,
    _: &Aws,
    _: &str,
    _: &str,
    _: usize,
) -> Result<table::Table> {
    Err(Error::Absent { what: "Iceberg tables", feature: "iceberg" })
}
