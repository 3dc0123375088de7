//! How much of a JSON Schema is looked at.
//!
//! With `$ref` a schema of two kilobytes can describe millions of columns. What walks a schema pays
//! for each part before it looks at it, so that its time and memory are bounded by what is allowed
//! here, and not by what the references expand to.

use std::cell::Cell;

/// The most columns and fields of nested objects in a stream, counted as often as references repeat
/// them.
///
/// Redshift takes 1,600 columns of a table, also of an external one
/// (<https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_EXTERNAL_TABLE.html>); the rest is for
/// what is nested. A field costs its writer about 30 kilobytes, so these cost 300 megabytes.
pub const MAX_FIELDS: usize = 10_000;

/// The most columns and fields of all schemas of a run: a thousand streams of a thousand. What is known
/// of a field is about 700 bytes, so these are 700 megabytes.
pub const MAX_FIELDS_OF_RUN: usize = 1_000_000;

/// The most parts of a schema that are looked at: fields, elements of arrays, and the alternatives
/// of each. Ten for each field are more than any tap writes.
pub const MAX_PARTS: usize = 100_000;

/// The most bytes of names, descriptions, references and constants that are looked at: more than a
/// kilobyte for each field.
pub const MAX_TEXT: usize = 16 << 20;

/// A schema that describes more than is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "with what `$ref` repeats it has more than {limit} {what}; leave some of its properties out at the source, or the stream"
)]
pub struct TooLarge {
    limit: usize,
    what: &'static str,
}

/// What may still be looked at in a schema.
#[derive(Debug)]
pub struct Budget {
    fields: Cell<usize>,
    parts: Cell<usize>,
    text: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            fields: Cell::new(MAX_FIELDS),
            parts: Cell::new(MAX_PARTS),
            text: Cell::new(MAX_TEXT),
        }
    }
}

impl Budget {
    /// Pays for as many columns or fields, each of which is a part too.
    pub fn fields(&self, count: usize) -> Result<(), TooLarge> {
        pay(
            &self.fields,
            count,
            TooLarge { limit: MAX_FIELDS, what: "columns and nested fields" },
        )?;
        self.parts(count)
    }

    /// Pays for as many parts.
    pub fn parts(&self, count: usize) -> Result<(), TooLarge> {
        let refusal = TooLarge { limit: MAX_PARTS, what: "fields, elements and alternatives" };
        pay(&self.parts, count, refusal)
    }

    /// Pays for as many bytes.
    pub fn text(&self, bytes: usize) -> Result<(), TooLarge> {
        let refusal = TooLarge { limit: MAX_TEXT, what: "bytes of names and descriptions" };
        pay(&self.text, bytes, refusal)
    }

    /// How many parts were paid for.
    pub fn parts_seen(&self) -> usize {
        MAX_PARTS - self.parts.get()
    }
}

/// What the schemas of a run may still have.
#[derive(Debug)]
pub struct RunBudget(Cell<usize>);

impl Default for RunBudget {
    fn default() -> Self {
        Self(Cell::new(MAX_FIELDS_OF_RUN))
    }
}

impl RunBudget {
    /// Pays for the columns and fields of one more schema.
    pub fn fields(&self, count: usize) -> Result<(), TooLarge> {
        let what = "columns and nested fields, together with the schemas before it";
        pay(&self.0, count, TooLarge { limit: MAX_FIELDS_OF_RUN, what })
    }
}

fn pay(left: &Cell<usize>, price: usize, refusal: TooLarge) -> Result<(), TooLarge> {
    left.set(left.get().checked_sub(price).ok_or(refusal)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paid_for_is_gone_and_what_is_not_is_refused() {
        let budget = Budget::default();
        assert!(budget.fields(MAX_FIELDS + 1).is_err());
        assert_eq!(budget.fields(MAX_FIELDS - 1), Ok(()));
        assert_eq!(budget.parts_seen(), MAX_FIELDS - 1);
        assert_eq!(budget.fields(1), Ok(()));
        assert!(budget.fields(1).unwrap_err().to_string().contains("more than 10000 columns"));
        assert_eq!(budget.parts(MAX_PARTS - MAX_FIELDS), Ok(()));
        assert!(budget.parts(1).is_err());
        assert!(budget.text(usize::MAX).is_err());
        assert_eq!(budget.text(MAX_TEXT), Ok(()));
        let budget = RunBudget::default();
        assert_eq!(budget.fields(MAX_FIELDS_OF_RUN), Ok(()));
        assert!(budget.fields(1).unwrap_err().to_string().contains("together"));
    }
}
