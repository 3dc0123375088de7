//! What stands in the place of the commits of Iceberg tables in a program that was built without the feature
//! `iceberg`.

use arrow::array::RecordBatch;

use super::append::NewFiles;
use super::committed::Committed;
use super::core::Core;
use crate::error::{Error, Result};
use crate::format::iceberg::table::Table;
use crate::lake::Lake;
use crate::schema::Column;
use crate::table::definition::Definition;

pub mod covered {
    //! No snapshot says which state covers it.

    use std::collections::BTreeMap;

    use super::absent;
    use crate::error::Result;
    use crate::lake::Lake;
    use crate::write::journal::Receipt;

    /// See the type of this name with the feature.
    #[derive(Debug, Clone)]
    pub struct CommitNote {
        /// See the field of this name with the feature.
        pub number: u32,
        /// See the field of this name with the feature.
        pub tables: Vec<String>,
        /// See the field of this name with the feature.
        pub new: Vec<String>,
        /// See the field of this name with the feature.
        pub receipt: Option<(String, Option<String>)>,
    }

    impl CommitNote {
        /// See the function of this name with the feature.
        pub fn notes(
            &self,
            _: &Lake,
            _: &str,
            _: Option<&str>,
        ) -> Result<BTreeMap<String, String>> {
            absent()
        }
    }

    /// See the function of this name with the feature.
    pub fn newest_state(_: &Lake) -> Result<Option<String>> {
        absent()
    }

    #[derive(Debug)]
    pub(crate) struct Preceding {
        pub(crate) commit: Option<String>,
        pub(crate) doubtful: Vec<String>,
    }

    impl Preceding {
        pub(crate) fn of(_: &Lake, _: &str, _: Option<&dyn Receipt>) -> Result<Self> {
            absent()
        }
    }
}

fn absent<T>() -> Result<T> {
    Err(Error::Absent { what: "Iceberg tables", feature: "iceberg" })
}

pub(super) fn open(
    lake: &Lake,
    definition: &Definition,
    _: bool,
) -> Result<Option<(Table, Vec<Column>)>> {
    if definition.is_iceberg() {
        return lake.iceberg(&definition.table).map(|table| Some((table, Vec::new())));
    }
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "it may fail with the feature")]
pub(super) fn number(_: &mut Core) -> Result<()> {
    Ok(())
}

pub(super) fn upsert(_: &mut Core, _: &mut Committed) -> Result<()> {
    absent()
}

pub(super) fn append(_: &mut Core, _: &mut NewFiles, _: &mut Committed) -> Result<()> {
    absent()
}

pub(super) fn replace(_: &mut Core, _: &mut Committed) -> Result<()> {
    absent()
}

pub(super) fn add_staged(_: &mut Core, _: &mut Committed) -> Result<()> {
    absent()
}

pub(super) fn rewrite_files(
    _: &mut Core,
    _: &dyn Fn(&str) -> bool,
    _: &mut dyn FnMut(&RecordBatch) -> Result<Option<RecordBatch>>,
    _: &mut Committed,
) -> Result<()> {
    absent()
}
