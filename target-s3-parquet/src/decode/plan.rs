//! How the records of a stream become columns.

use std::sync::Arc;

use hashbrown::HashMap;
use lake::schema::Column;
use lake::table::Spec;

use super::conventions::Conventions;
use super::derive::Derivation;
use crate::error::Error;
use crate::settings::stream::OnInvalid;

/// How the records of one stream become columns. A new schema makes a new plan.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The stream's name.
    pub(crate) stream: String,
    /// Its name as its source writes it, before it was mapped.
    pub(crate) source: String,
    /// Unlike any other plan's of this run.
    pub(crate) id: u64,
    /// The table that the rows are for. Its columns are those of the batches, the extra ones included.
    pub(crate) spec: Arc<Spec>,
    /// What is read of a record: the columns without the extra ones, unless the stream is mapped.
    pub(crate) reads: Vec<Column>,
    /// How the columns come out of what is read, where the stream is mapped.
    pub(crate) derivation: Option<Derivation>,
    /// The column of dates or times whose newest value says how far the source has come.
    pub(crate) newest: Option<usize>,
    /// Positions of the key columns.
    pub(crate) keys: Vec<usize>,
    /// Treatment of values that do not fit.
    pub(crate) on_invalid: OnInvalid,
    /// Longest string in bytes.
    pub(crate) max_string_bytes: Option<usize>,
    /// Where the extra columns begin, when they are added.
    pub(crate) extra_from: Option<usize>,
    /// Checks every rule of the schema, when asked for.
    pub(crate) validator: Option<jsonschema::Validator>,
    /// Whether the settings leave open what becomes of a key whose partition has changed.
    pub(crate) asks_to_move_keys: bool,
    /// What is peculiar to the stream's protocol.
    pub(crate) conventions: Conventions,
}

/// The plans by the stream names of the source, as they are at one place of the input: none for a
/// stream that is dropped, several for one that is copied.
pub(crate) type Registry = HashMap<Box<[u8]>, Arc<[Arc<Plan>]>>;

impl Plan {
    /// The property of a record that a column comes from, as a path; nothing for one that is made here.
    pub(crate) fn origin(&self, column: usize) -> Option<Vec<&str>> {
        match &self.derivation {
            None => self.reads.get(column).map(|column| vec![column.source.as_str()]),
            Some(derivation) => self.path(derivation.origin(column).ok()??),
        }
    }

    /// The properties that decide which records go on.
    pub(crate) fn filters(&self) -> Vec<Vec<&str>> {
        let places = self.derivation.iter().flat_map(Derivation::filters);
        places.filter_map(|place| self.path(place)).collect()
    }

    /// The names on the way to what is read.
    fn path(&self, place: &[usize]) -> Option<Vec<&str>> {
        let mut columns = self.reads.as_slice();
        let mut names = Vec::new();
        for at in place {
            let column = columns.get(*at)?;
            names.push(column.source.as_str());
            columns = column.kind.fields();
        }
        Some(names)
    }

    /// Whether a record that cannot be stored is left out and counted, and does not end the run.
    pub(super) fn rejects_records(&self) -> bool {
        self.conventions.may_reject && self.on_invalid == OnInvalid::Null
    }

    /// The error for a record of that line without a value for the key column at that position.
    pub(super) fn missing_key(&self, key: usize, line: u64) -> Error {
        match self.spec.columns.get(key) {
            Some(column) => Error::MissingKey {
                line,
                stream: self.source.clone(),
                column: column.source.clone(),
            },
            None => Error::internal(format!("key {key} of `{}` is a column", self.stream)),
        }
    }
}
