//! What the tests of this crate share: small lakes, rows of two columns, and what a reader finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, Schema};

use crate::error::Result;
use crate::lake::Lake;
use crate::options::{Location, Options};
use crate::schema::{Column, Kind, fields};
use crate::store::Object;
use crate::table::definition::{Granularity, PartitionBy};
use crate::table::spec::Spec;

/// A folder with a lake, which every run opens for itself.
#[derive(Debug)]
pub(crate) struct LakeFolder(tempfile::TempDir);

impl LakeFolder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The lake in another run.
    pub(crate) fn lake(&self) -> Arc<Lake> {
        self.lake_with(8 << 20)
    }

    /// The lake in another run, with a budget in bytes.
    pub(crate) fn lake_with(&self, memory: usize) -> Arc<Lake> {
        let location = Location::Folder(self.0.path().join("lake"));
        let options = Options { memory, ..Options::default() };
        Arc::new(Lake::open(&location, &options).unwrap())
    }
}

/// `id bigint, name string, month string`
pub(crate) fn columns() -> Vec<Column> {
    vec![
        Column::same("id", Kind::Bigint),
        Column::same("name", Kind::String),
        Column::same("at", Kind::String),
    ]
}

/// A table with the key `id`.
pub(crate) fn keyed() -> Arc<Spec> {
    Arc::new(Spec::upsert("t", columns(), ["id"]))
}

/// A table with the key `id`, split by the month of `at`.
pub(crate) fn by_month() -> Spec {
    let partition_by = Some(PartitionBy {
        column: "at".into(),
        granularity: Some(Granularity::Month),
        name: None,
    });
    Spec { partition_by, ..Spec::upsert("t", columns(), ["id"]) }
}

/// Rows of these ids with one name, in months that follow from the ids.
pub(crate) fn rows(ids: impl IntoIterator<Item = i64>, name: &str) -> RecordBatch {
    let ids: Vec<i64> = ids.into_iter().collect();
    let months = ids.iter().map(|id| format!("2026-{:02}-01", 1 + id.rem_euclid(3)));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.clone())),
        Arc::new(StringArray::from_iter_values(ids.iter().map(|_| name))),
        Arc::new(StringArray::from_iter_values(months)),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields(&columns()))), arrays).unwrap()
}

/// All batches of the table that a reader finds.
pub(crate) fn table(lake: &Lake) -> Vec<RecordBatch> {
    lake.scan("t").unwrap().collect::<Result<_>>().unwrap()
}

/// The names of each id that a reader finds, in order.
pub(crate) fn found(lake: &Lake) -> BTreeMap<i64, Vec<String>> {
    let mut found: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for batch in table(lake) {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let names = batch.column(1).as_string::<i32>();
        for row in 0..batch.num_rows() {
            let name = if names.is_null(row) { "" } else { names.value(row) };
            found.entry(ids.value(row)).or_default().push(name.to_owned());
        }
    }
    for names in found.values_mut() {
        names.sort();
    }
    found
}

/// What [`found`] gives where each of these ids is there once, with this name.
pub(crate) fn once<'a>(
    parts: impl IntoIterator<Item = (std::ops::Range<i64>, &'a str)>,
) -> BTreeMap<i64, Vec<String>> {
    let parts = parts.into_iter();
    parts.flat_map(|(ids, name)| ids.map(move |id| (id, vec![name.to_owned()]))).collect()
}

/// The objects that hold a table's rows.
pub(crate) fn objects(lake: &Lake) -> Vec<Object> {
    lake.store.list("t/").unwrap()
}
