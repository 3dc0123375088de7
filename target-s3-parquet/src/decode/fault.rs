//! What keeps a value, a record or a line from being decoded.

use memchr::memchr;

use super::scan::Syntax;
use super::text;
use crate::error::Error;

/// A value could not be decoded.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The text is no JSON.
    Syntax(Syntax),
    /// The value does not fit its column.
    Value(Box<Misfit>),
    /// An invariant of the buffers does not hold: this one.
    Broken(&'static str),
}

/// A value that does not fit its column.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// Dotted path below the record, filled in from the inside out.
    pub(crate) path: String,
    /// The start of the value's text.
    pub(crate) value: String,
    /// What belongs there.
    pub(crate) expected: String,
}

impl From<Syntax> for Fault {
    fn from(syntax: Syntax) -> Self {
        Self::Syntax(syntax)
    }
}

impl Fault {
    /// The same fault, found inside of a field or an element of this name.
    #[cold]
    pub(super) fn under(self, name: &str) -> Self {
        match self {
            Self::Value(mut misfit) => {
                misfit.path = if misfit.path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{name}.{}", misfit.path)
                };
                Self::Value(misfit)
            }
            Self::Syntax(_) | Self::Broken(_) => self,
        }
    }
}

/// A line could not be read.
#[derive(Debug)]
pub(crate) enum LineFault {
    /// Its text is no JSON.
    Syntax(Syntax),
    /// It is JSON, but no message: in these words.
    Text(String),
    /// What it says cannot be taken.
    Error(Box<Error>),
}

impl LineFault {
    pub(crate) fn text(reason: &str) -> Self {
        Self::Text(reason.to_owned())
    }
}

impl From<Syntax> for LineFault {
    fn from(syntax: Syntax) -> Self {
        Self::Syntax(syntax)
    }
}

impl From<Error> for LineFault {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

/// A syntax error in words, with the text that stands there.
pub(crate) fn describe(line: &[u8], syntax: Syntax) -> String {
    let from = line.get(syntax.at.min(line.len())..).unwrap_or_default();
    let found = if memchr(b'\n', from) == Some(0) || from.is_empty() {
        "the end of the line".into()
    } else {
        text::shorten(from)
    };
    format!("{}, found {found}", place(syntax))
}

/// A syntax error in words, without any text of the line.
pub(super) fn place(syntax: Syntax) -> String {
    format!("expected {} at column {}", syntax.expected, syntax.at + 1)
}
