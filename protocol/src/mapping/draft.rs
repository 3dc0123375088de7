//! A property while its stream is being mapped.

use std::borrow::Cow;

use serde_json::Value;

use super::filter::Literal;
use super::path::Path;
use crate::personal;

/// Where the values of a property come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A property of the record.
    Property {
        /// Where it is.
        path: Path,
        /// Whether it becomes JSON text, because it is still nested.
        text: bool,
    },
    /// The same value for all records.
    Constant(Literal),
}

/// A property while it is being mapped.
pub(super) struct Draft<'a> {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) schema: Cow<'a, Value>,
    /// Whether it comes from something that is marked as personal data.
    pub(super) is_personal: bool,
}

impl Draft<'_> {
    /// Its name and its schema.
    pub(super) fn into_property(self) -> (String, Value) {
        let mut schema = self.schema.into_owned();
        if self.is_personal {
            personal::mark(&mut schema);
        }
        (self.name, schema)
    }
}
