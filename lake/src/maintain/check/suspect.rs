//! A file that is checked, and what is said of it beside it.

use std::fmt;

use parquet::file::metadata::ParquetMetaData;

use super::belonging::Belongs;
use super::faults::{FaultKind, Faults};
use crate::store::Object;

/// A file of a table, and where it says that its rows belong.
#[derive(Debug)]
pub(crate) struct Suspect {
    pub(crate) key: String,
    /// As it was listed; one that a snapshot names is looked for.
    pub(crate) object: Option<Object>,
    pub(crate) place: Box<dyn Belongs>,
    /// What a manifest says of it.
    pub(crate) claims: Option<Box<dyn Claims>>,
}

/// What is said of a file beside it.
pub(crate) trait Claims: Send + fmt::Debug {
    /// Compares it with the footer, which was compared with the rows.
    fn compare(&self, footer: &ParquetMetaData, faults: &mut Told<'_>);
}

/// Faults of one file.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) file: &'a str,
    pub(crate) faults: &'a mut Faults,
}

impl Told<'_> {
    /// So many times.
    pub(crate) fn add(&mut self, kind: FaultKind, count: u64, what: &str) {
        self.faults.add(kind, count, || format!("{}: {what}", self.file));
    }
}
