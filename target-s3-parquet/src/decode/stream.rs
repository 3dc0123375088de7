//! The buffers of one stream while a chunk is decoded.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use lake::schema::{Column, fields};
use lake::table::key;

use super::chunk::Chunk;
use super::column::{Changes, StructBuffer};
use super::context::{Context, Effect};
use super::facts::{Facts, RowFacts, ValueChange};
use super::fault::{Fault, LineFault, place};
use super::plan::Plan;
use super::rows::Rows;
use super::scan::Cursor;
use crate::error::{Error, Result};

/// The rows of one stream so far.
#[derive(Debug)]
pub(crate) struct Stream {
    plan: Arc<Plan>,
    schema: SchemaRef,
    /// One row for each of the facts, and the record at hand.
    record: StructBuffer,
    context: Context,
    facts: Facts,
    at_hand: AtHand,
    version: Option<i64>,
    rejected: u64,
}

/// What has become of the record whose line is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtHand {
    /// None is being read.
    Nothing,
    /// It is in the buffers, and a row once its envelope was read to the end.
    Record,
    /// It cannot be stored.
    Rejected,
}

impl Stream {
    pub(super) fn new(plan: Arc<Plan>) -> Result<Self> {
        let mut record = StructBuffer::new(&plan.reads);
        for key in &plan.keys {
            let origin = match &plan.derivation {
                Some(derivation) => derivation.origin(*key)?,
                None => Some(std::slice::from_ref(key)),
            };
            if let Some(origin) = origin {
                record.keep_key(origin, !plan.rejects_records())?;
            }
        }
        let lenient = plan.conventions.is_lenient;
        Ok(Self {
            record,
            context: Context::new(plan.on_invalid, plan.max_string_bytes, lenient),
            facts: Facts::default(),
            at_hand: AtHand::Nothing,
            version: None,
            rejected: 0,
            schema: Arc::new(Schema::new(fields(&plan.spec.columns))),
            plan,
        })
    }

    /// The plan by which the stream's records are read.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether the stream has no rows yet.
    pub(super) fn is_empty(&self) -> bool {
        self.facts.rows.is_empty()
    }

    /// Reads one record, which is no row before it is [kept](Self::keep).
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>, number: u64) -> Result<(), LineFault> {
        let row = self.facts.rows.len();
        let start = cursor.position();
        self.record
            .push(row, cursor, &mut self.context)
            .map_err(|fault| self.plan.fault(fault, number))?;
        if self.plan.derivation.is_none()
            && let Some(key) = self.plan.keys.iter().find(|key| self.record.is_null(**key, row))
        {
            if !self.plan.rejects_records() {
                return Err(self.plan.missing_key(*key, number).into());
            }
            self.take_back();
            self.at_hand = AtHand::Rejected;
            return Ok(());
        }
        if let Some(validator) = &self.plan.validator {
            validate(validator, cursor.since(start), &self.plan.source, number)?;
        }
        self.at_hand = AtHand::Record;
        Ok(())
    }

    /// The envelope of the record at hand was read to its end: the record is a row, unless it was
    /// rejected.
    pub(crate) fn keep(&mut self, row: RowFacts) -> Result<()> {
        match std::mem::replace(&mut self.at_hand, AtHand::Nothing) {
            AtHand::Record => {
                self.version = row.version.or(self.version);
                self.facts.rows.push(row);
                self.context.changes.clear();
                Ok(())
            }
            AtHand::Rejected => {
                self.rejected += 1;
                Ok(())
            }
            AtHand::Nothing => Err(Error::internal("a row is read before it is kept")),
        }
    }

    /// The record at hand is none of this stream's.
    pub(crate) fn discard(&mut self) {
        self.at_hand = AtHand::Nothing;
        self.take_back();
    }

    fn take_back(&mut self) {
        self.record.truncate(self.facts.rows.len());
        self.context.changes.clear();
    }

    /// What became of the values of the record at hand, for which `word` has words; then what is in
    /// `noted` already. Nothing where no column holds it.
    pub(crate) fn note_changes(
        &mut self,
        word: impl Fn(Effect) -> (&'static str, &'static str),
        noted: impl FnOnce() -> Vec<(String, String, String)>,
    ) {
        let row = self.facts.rows.len();
        let own = self.context.changes.drain(..).map(|change| {
            let (done, reason) = word(change.effect);
            ValueChange { row, field: change.field, change: done.into(), reason: reason.into() }
        });
        if self.at_hand != AtHand::Record || self.plan.extra_from.is_none() {
            return;
        }
        self.facts.changes.extend(own);
        self.facts.changes.extend(noted().into_iter().map(|(field, change, reason)| ValueChange {
            row,
            field,
            change: change.into(),
            reason: reason.into(),
        }));
    }

    /// The rows so far; the buffers are empty afterwards.
    pub(super) fn take(&mut self, chunk: &Chunk) -> Result<Rows> {
        // A record that broke off in the middle has left values behind its predecessors'.
        self.discard();
        let facts = std::mem::take(&mut self.facts);
        let rows = facts.rows.len();
        let mut arrays = self.record.take().map_err(Error::arrow)?;
        let mut mask = None;
        if let Some(derivation) = &self.plan.derivation {
            mask = derivation.mask(&arrays, rows)?;
            arrays = derivation.columns(&arrays, rows)?;
            self.check_keys(&arrays, mask.as_ref(), &facts)?;
        }
        if let Some(from) = self.plan.extra_from {
            let extra = self.plan.spec.columns.get(from..);
            let extra = extra.ok_or_else(|| Error::internal("extra columns are columns"))?;
            for column in extra {
                arrays.push(self.plan.conventions.extra.array(column, &facts, chunk)?);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = SchemaRef::clone(&self.schema);
        let mut batch =
            RecordBatch::try_new_with_options(schema, arrays, &options).map_err(Error::arrow)?;
        if let Some(mask) = mask {
            batch = filter_record_batch(&batch, &mask).map_err(Error::arrow)?;
        }
        let mut changes = Changes::default();
        if self.record.has_changes() {
            self.record.take_changes("", &mut changes);
        }
        Ok(Rows {
            hashes: key::hash_rows(&batch, &self.plan.keys)?,
            filtered: (rows - batch.num_rows()) as u64,
            plan: Arc::clone(&self.plan),
            batch,
            invalid: changes.invalid,
            rounded: changes.rounded,
            unknown_keys: self.take_unknown_keys(),
            truncated: std::mem::take(&mut self.context.truncated),
            replaced: std::mem::take(&mut self.context.replaced),
            version: self.version.take(),
            rejected: std::mem::take(&mut self.rejected),
        })
    }

    /// Keys that the schema does not know. What a map leaves unread is known.
    fn take_unknown_keys(&mut self) -> Vec<(String, u64)> {
        let derivation = self.plan.derivation.as_ref();
        let keys = self.context.unknown_keys.drain();
        keys.map(|(name, count)| (String::from_utf8_lossy(&name).into_owned(), count))
            .filter(|(name, _)| derivation.is_none_or(|plan| !plan.is_unread(name)))
            .collect()
    }

    /// Rows that a filter leaves must have their key.
    fn check_keys(
        &self,
        arrays: &[ArrayRef],
        mask: Option<&BooleanArray>,
        facts: &Facts,
    ) -> Result<()> {
        for key in &self.plan.keys {
            let array = arrays.get(*key);
            let array = array.ok_or_else(|| Error::internal("a key is among the columns"))?;
            if array.null_count() == 0 {
                continue;
            }
            let goes_on = |row: usize| mask.is_none_or(|mask| mask.value(row));
            let lacking =
                facts.rows.iter().enumerate().find(|(row, _)| array.is_null(*row) && goes_on(*row));
            if let Some((_, facts)) = lacking {
                return Err(self.plan.missing_key(*key, facts.line));
            }
        }
        Ok(())
    }
}

/// Stands in an error for a value of a column that is marked as personal.
const HIDDEN: &str = "a value (not shown: the column is personal)";

impl Plan {
    /// What a fault in a record is to whoever reads the line.
    #[cold]
    fn fault(&self, fault: Fault, line: u64) -> LineFault {
        match fault {
            // Of a record that breaks off, nobody knows which column the text belongs to.
            Fault::Syntax(syntax) if self.reads.iter().any(Column::is_personal) => {
                LineFault::Text(place(syntax))
            }
            Fault::Syntax(syntax) => LineFault::Syntax(syntax),
            Fault::Broken(expected) => Error::internal(expected).into(),
            Fault::Value(misfit) => LineFault::Error(Box::new(Error::Value {
                line,
                stream: self.source.clone(),
                value: if self.is_personal(&misfit.path) { HIDDEN.into() } else { misfit.value },
                column: misfit.path.replace(".[", "["),
                expected: misfit.expected,
            })),
        }
    }

    /// Whether what stands at a dotted path of a record may be personal data.
    fn is_personal(&self, path: &str) -> bool {
        let personal = self.reads.iter().filter(|column| column.is_personal());
        personal
            .map(|column| path.strip_prefix(&column.source))
            .any(|rest| rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    }
}

fn validate(
    validator: &jsonschema::Validator,
    text: &[u8],
    stream: &str,
    line: u64,
) -> Result<(), LineFault> {
    let record: serde_json::Value = serde_json::from_slice(text)
        .map_err(|error| LineFault::Text(format!("its record is no JSON: {error}")))?;
    validator.validate(&record).map_err(|error| {
        LineFault::Error(Box::new(Error::Invalid {
            line,
            stream: stream.to_owned(),
            path: error.instance_path().to_string(),
            // Without the value: a rule about an object would tell all that is in it.
            reason: error.masked().to_string(),
        }))
    })
}
