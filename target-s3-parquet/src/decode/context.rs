//! What goes along while the records of a chunk are read: the rules, and what is counted.

use hashbrown::HashMap;

use crate::settings::stream::OnInvalid;

/// What decoding one chunk of one stream counts, and its rules.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) on_invalid: OnInvalid,
    pub(crate) max_string_bytes: Option<usize>,
    /// Strings truncated to `max_string_bytes`.
    pub(crate) truncated: u64,
    /// Lone surrogates replaced by U+FFFD.
    pub(crate) replaced: u64,
    /// Values of keys that the schema does not know, by name.
    pub(crate) unknown_keys: HashMap<Box<[u8]>, u64>,
    /// Whether a value that only looks like another type is taken for it: a number in a string, a
    /// number for a string, an object as JSON text; and whether it is noted what became of values.
    pub(super) lenient: bool,
    /// What became of values in the record at hand.
    pub(crate) changes: Vec<Change>,
    /// Where strings with escapes are decoded before they are parsed.
    pub(super) scratch: Vec<u8>,
}

/// What became of a value that did not fit its column.
#[derive(Debug)]
pub(crate) struct Change {
    /// Dotted path of the column, filled in from the inside out.
    pub(crate) field: String,
    pub(crate) effect: Effect,
}

/// How a value was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is of another type, and null now.
    Nulled,
    /// It is beyond what the column can hold, and null now.
    TooLarge,
    /// It is a string, and was truncated.
    Truncated,
}

impl Context {
    pub(crate) fn new(
        on_invalid: OnInvalid,
        max_string_bytes: Option<usize>,
        lenient: bool,
    ) -> Self {
        Self {
            on_invalid,
            max_string_bytes,
            truncated: 0,
            replaced: 0,
            unknown_keys: HashMap::new(),
            lenient,
            changes: Vec::new(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn changed(&mut self, effect: Effect) {
        if self.lenient {
            self.changes.push(Change { field: String::new(), effect });
        }
    }

    /// Puts a name before the paths of the changes since there were `known`.
    #[cold]
    pub(super) fn under(&mut self, known: usize, name: &str) {
        for change in self.changes.iter_mut().skip(known) {
            let dot =
                if change.field.is_empty() || change.field.starts_with('[') { "" } else { "." };
            change.field = format!("{name}{dot}{}", change.field);
        }
    }

    pub(super) fn count_unknown_key(&mut self, key: &[u8]) {
        match self.unknown_keys.get_mut(key) {
            Some(count) => *count += 1,
            None => _ = self.unknown_keys.insert(key.into(), 1),
        }
    }
}
