//! What cleaning took away: how many values and rows, and of which columns.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde::de;

/// Bytes that the columns of one answer may hold. A page of a hundred rows has a thousandth of it; what
/// has more is no page, and would be memory without a bound.
const HELD: usize = 32 << 20;

/// What cleaning changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Values that became null.
    pub(crate) nulled: u64,
    /// Rows that were left out: empty ones, and those whose key cannot be decoded.
    pub(crate) skipped: u64,
    /// Members of rows that no column has.
    pub(crate) unknown: u64,
    /// The columns, where they were [traced](trace), by their path.
    pub(crate) columns: BTreeMap<String, Column>,
}

/// What stood in a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Column {
    /// Values that are not absent.
    pub(crate) present: u64,
    /// Those of them that became null.
    pub(crate) nulled: u64,
    /// What the last one of these looks like. It tells the shape, never the value.
    pub(crate) shape: String,
}

impl Column {
    /// Whether something stood there and none of it could be read.
    pub(crate) fn is_lost(&self) -> bool {
        self.present > 0 && self.nulled == self.present
    }
}

/// What is counted while an answer is read. It is touched for every value.
#[derive(Debug, Clone, Copy)]
struct Counts {
    nulled: u64,
    skipped: u64,
    /// Members that no column has, of all rows.
    unknown: u64,
    /// The same of the present row.
    unknown_of_row: usize,
    /// The present row has a key that cannot be decoded.
    keyless: bool,
    /// Bytes that columns hold so far.
    held: usize,
    /// Columns are traced.
    is_traced: bool,
}

impl Counts {
    const NONE: Self = Self {
        nulled: 0,
        skipped: 0,
        unknown: 0,
        unknown_of_row: 0,
        keyless: false,
        held: 0,
        is_traced: false,
    };
}

/// What is traced while an answer is read.
#[derive(Debug, Default)]
struct Trace {
    /// The path of the value that is read.
    path: Vec<String>,
    columns: BTreeMap<String, Column>,
    /// Members that a row has.
    measures: &'static [&'static str],
}

impl Trace {
    fn column(&mut self) -> &mut Column {
        self.columns.entry(self.path.join(".")).or_default()
    }
}

// serde calls the functions of this folder with a deserializer and nothing else, so there is no argument
// that could carry the tally: a `DeserializeSeed` would have to replace every derived `Deserialize`. The
// channel is hidden, but it is short: it opens and closes in `count` and `trace`, around one synchronous
// call, during which nothing else runs on this thread.
thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts::NONE) };
    static TRACE: RefCell<Trace> = RefCell::default();
}

fn change(change: impl FnOnce(&mut Counts)) -> Counts {
    let mut counts = COUNTS.get();
    change(&mut counts);
    COUNTS.set(counts);
    counts
}

fn tracing(note: impl FnOnce(&mut Trace)) {
    if is_tracing() {
        TRACE.with_borrow_mut(note);
    }
}

/// Reads something, and counts what cleaning changed in it. Not to be nested.
pub(crate) fn count<T>(read: impl FnOnce() -> T) -> (T, Tally) {
    COUNTS.set(Counts::NONE);
    let value = read();
    let Counts { nulled, skipped, unknown, .. } = COUNTS.replace(Counts::NONE);
    (value, Tally { nulled, skipped, unknown, columns: BTreeMap::new() })
}

/// As [`count`], column by column. It takes longer. A row has all these `measures`: where it lacks some,
/// and has as many members that are not known, or has none but such, they have been renamed, and that is
/// an error.
pub(crate) fn trace<T>(measures: &'static [&'static str], read: impl FnOnce() -> T) -> (T, Tally) {
    TRACE.set(Trace { measures, ..Trace::default() });
    let (value, tally) = count(|| {
        change(|counts| counts.is_traced = true);
        read()
    });
    (value, Tally { columns: TRACE.take().columns, ..tally })
}

/// A member of the row that is read has no column.
pub(crate) fn unknown_member() {
    change(|counts| {
        counts.unknown += 1;
        counts.unknown_of_row += 1;
    });
}

/// Whether columns are traced.
pub(super) fn is_tracing() -> bool {
    COUNTS.get().is_traced
}

/// The value of this column is read next.
pub(super) fn enter(column: &str) {
    tracing(|trace| trace.path.push(snake_case(column)));
}

/// The value of the column has been read.
pub(super) fn leave() {
    tracing(|trace| {
        trace.path.pop();
    });
}

/// Something stands in the column that is read, and holds so many bytes.
pub(super) fn present<E: de::Error>(bytes: usize) -> Result<(), E> {
    tracing(|trace| trace.column().present += 1);
    hold(bytes)
}

/// Columns hold so many more bytes.
pub(super) fn hold<E: de::Error>(bytes: usize) -> Result<(), E> {
    if change(|counts| counts.held += bytes).held > HELD {
        return Err(E::custom(format!("its columns hold more than {} MiB", HELD >> 20)));
    }
    Ok(())
}

/// Null, because the value is nothing of the kind but something of this shape.
pub(super) fn nulled<T>(shape: impl FnOnce() -> String) -> Option<T> {
    change(|counts| counts.nulled += 1);
    tracing(|trace| {
        let column = trace.column();
        column.nulled += 1;
        column.shape = shape();
    });
    None
}

/// Nothing, because the row is empty.
pub(super) fn skipped<T>() -> Option<T> {
    change(|counts| counts.skipped += 1);
    None
}

/// The row that is read has a key that cannot be decoded.
pub(super) fn keyless() {
    change(|counts| counts.keyless = true);
}

/// A row begins.
pub(super) fn begin_row() {
    change(|counts| (counts.unknown_of_row, counts.keyless) = (0, false));
}

/// How many members of the row no column has, and whether its key cannot be decoded.
pub(super) fn end_row() -> (usize, bool) {
    let Counts { unknown_of_row, keyless, .. } = COUNTS.get();
    (unknown_of_row, keyless)
}

/// The measures that a row with members of these names has lost to `unknown` others.
pub(super) fn renamed(names: &[String], unknown: usize) -> Vec<&'static str> {
    if !is_tracing() {
        return Vec::new();
    }
    let measures = TRACE.with_borrow(|trace| trace.measures);
    let is_absent = |measure: &&'static str| !names.iter().any(|name| name == measure);
    let absent: Vec<&str> = measures.iter().copied().filter(is_absent).collect();
    let is_renamed = absent.len() <= unknown || (absent.len() == measures.len() && unknown > 0);
    if is_renamed { absent } else { Vec::new() }
}

/// The name of the column that holds a field of the API.
fn snake_case(field: &str) -> String {
    let mut name = String::with_capacity(field.len() + 2);
    for character in field.chars() {
        if character.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_within_is_counted() {
        nulled::<()>(String::new);
        let ((), tally) = count(|| {
            nulled::<()>(String::new);
            nulled::<()>(String::new);
            skipped::<()>();
        });
        assert_eq!((tally.nulled, tally.skipped, tally.columns.len()), (2, 1, 0));
        assert_eq!(count(|| ()).1, Tally::default());
    }

    #[test]
    fn a_column_is_lost_where_all_that_stood_there_became_null() {
        let ((), tally) = trace(&[], || {
            for (name, is_odd) in
                [("fileSize", true), ("fileSize", true), ("lat", true), ("lat", false)]
            {
                enter(name);
                present::<serde_json::Error>(1).unwrap();
                if is_odd {
                    nulled::<()>(|| "a list".into());
                }
                leave();
            }
        });
        let lost: Vec<&str> = tally
            .columns
            .iter()
            .filter(|(_, column)| column.is_lost())
            .map(|(name, _)| &**name)
            .collect();
        assert_eq!(lost, ["file_size"]);
        assert_eq!(tally.columns["lat"], Column { present: 2, nulled: 1, shape: "a list".into() });
    }

    #[test]
    fn columns_that_hold_too_much_are_an_error() {
        let (outcome, _) = count(|| {
            present::<serde_json::Error>(HELD)?;
            present::<serde_json::Error>(1)
        });
        assert_eq!(outcome.unwrap_err().to_string(), "its columns hold more than 32 MiB");
    }
}
