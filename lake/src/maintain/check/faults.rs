//! What is wrong with a table, counted, with the first examples.

use std::collections::BTreeMap;

use serde::Serialize;

/// Examples that are kept of a kind.
const EXAMPLES: usize = 5;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Two rows of a partition have one key.
    KeyTwice,
    /// A row has no value in a column of its key.
    NoKey,
    /// A row is in a partition where its value does not belong.
    Partition,
    /// A row is in an object where its key does not belong.
    Shard,
    /// A footer says of a column what is not so.
    Statistics,
    /// A manifest says of a file what is not so.
    Manifest,
    /// A file has a column that the table has not, or a wider one.
    Columns,
    /// A file cannot be read.
    Unreadable,
    /// A file is gone that the table names.
    Gone,
    /// A run has left something half done, by which readers find rows twice or not as they should be.
    Unfinished,
    /// The catalog has something else than the lake.
    Catalog,
}

/// Faults of one kind.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which.
    pub kind: FaultKind,
    /// How often it is found: in rows, of keys and places; else in what the examples are of.
    pub count: u64,
    /// Where, for the first ones. Values are not shown, which may be a person's.
    pub examples: Vec<String>,
}

/// Faults so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(BTreeMap<FaultKind, (u64, Vec<String>)>);

impl Faults {
    /// One was found so many times.
    pub(crate) fn add(&mut self, kind: FaultKind, count: u64, example: impl FnOnce() -> String) {
        let (known, examples) = self.0.entry(kind).or_default();
        *known += count;
        if examples.len() < EXAMPLES {
            examples.push(example());
        }
    }

    /// Adds those of another.
    pub(super) fn extend(&mut self, other: Self) {
        for (kind, (count, examples)) in other.0 {
            let (known, own) = self.0.entry(kind).or_default();
            *known += count;
            own.extend(examples);
            own.truncate(EXAMPLES);
        }
    }
}

impl From<Faults> for Vec<Fault> {
    fn from(faults: Faults) -> Self {
        let fault = |(kind, (count, examples))| Fault { kind, count, examples };
        faults.0.into_iter().map(fault).collect()
    }
}
