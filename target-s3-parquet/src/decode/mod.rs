//! Record lines to Arrow columns, in one pass and without a tree between.
//!
//! [`scan`] walks the JSON text, [`mod@column`] fills typed buffers, [`context`] has the rules and what
//! is counted, [`record`] reads the envelope of a message and the chunk of lines around it. Everything here is a pure function of bytes, a plan
//! and a scratch space: no IO, no clock, no allocation per record once buffers have grown.

mod airbyte;
mod column;
mod context;
mod derive;
mod number;
mod record;
mod scan;
mod text;

pub(crate) use airbyte::metadata as airbyte_metadata;
pub use airbyte::{AirbyteStream, key as airbyte_key};
pub use derive::Derivation;
pub(crate) use derive::Derived;
pub(crate) use record::metadata;
pub use record::{Chunk, Decoded, Dialect, Plan, Registry, Rows, Scratch, decode};
pub(crate) use scan::{Cursor, Members};
pub use scan::{MessageKind, kind_of_line};

/// Why a value could not be decoded.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The text is no JSON.
    Syntax(scan::Syntax),
    /// The value does not fit its column.
    Value(Box<Misfit>),
}

/// A value that does not fit its column.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// Dotted path below the record, filled in from the inside out.
    path: String,
    /// The start of the value's text.
    value: String,
    /// What belongs there.
    expected: String,
}

impl From<scan::Syntax> for Fault {
    fn from(syntax: scan::Syntax) -> Self {
        Self::Syntax(syntax)
    }
}

impl Misfit {
    fn under(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path =
            if self.path.is_empty() { name.to_owned() } else { format!("{name}.{}", self.path) };
        self
    }
}
