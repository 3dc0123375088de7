//! Fields that the API sends and no table has: each is named once for each kind of answer.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use serde_ignored::Path;

use crate::clean;
use crate::shown::Shown;

/// Fields that are named.
const TOLD: usize = 100;

/// Fields that the API has sent so far and no table has.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    shown: Shown,
    known: Mutex<HashSet<(&'static str, String)>>,
}

impl Drift {
    /// Nothing was sent so far. Names of fields are what a server says, and shown as such.
    pub(crate) fn new(shown: Shown) -> Self {
        Self { shown, known: Mutex::default() }
    }

    /// Logs fields of the answer to `request`, of whose rows `table` is made, unless they are known.
    pub(crate) fn note(
        &self,
        table: &'static str,
        request: &str,
        fields: impl IntoIterator<Item = String>,
    ) {
        let resource = self.shown.line(request.split('?').next().unwrap_or(request));
        for field in fields {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() > TOLD || !known.insert((table, field.clone())) {
                continue;
            }
            if known.len() > TOLD {
                tracing::warn!(resource, "there are more than {TOLD} fields that no table has");
            } else {
                let field = self.shown.line(&field);
                tracing::info!(
                    field,
                    resource,
                    "`{field}` of {resource} is a field that no table has"
                );
            }
        }
    }
}

/// Whether a field is a member of a row, and not of something within it.
pub(crate) fn is_of_row(field: &Path<'_>) -> bool {
    let Path::Map { parent, .. } = field else { return false };
    match parent {
        Path::Root => true,
        Path::Seq { parent, .. } => matches!(parent, Path::Root),
        Path::Map { .. }
        | Path::Some { .. }
        | Path::NewtypeStruct { .. }
        | Path::NewtypeVariant { .. } => false,
    }
}

/// The path of a field without its positions in lists, unless it is expected. Where something else stands
/// than an object, there is no field.
pub(crate) fn name(field: &Path<'_>, expected: &[&str]) -> Option<String> {
    // Most fields are expected, and told so without putting their paths together.
    if expected.iter().any(|expected| is(field, expected)) {
        return None;
    }
    let name = path(field);
    (!name.is_empty()).then_some(name)
}

/// Whether the path of a field is this one.
fn is(field: &Path<'_>, expected: &str) -> bool {
    match field {
        Path::Root => expected.is_empty(),
        Path::Seq { parent, .. }
        | Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => is(parent, expected),
        Path::Map { parent, key } => match expected.strip_suffix(key.as_str()) {
            Some("") => is(parent, ""),
            Some(rest) => rest.strip_suffix('.').is_some_and(|rest| is(parent, rest)),
            None => false,
        },
    }
}

fn path(field: &Path<'_>) -> String {
    match field {
        Path::Root => String::new(),
        Path::Seq { parent, .. }
        | Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => path(parent),
        Path::Map { parent, key } => {
            let (parent, key) = (path(parent), clean::name(key));
            if parent.is_empty() { key } else { format!("{parent}.{key}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_by_its_path_without_positions() {
        let drift = Drift::default();
        let note = |json: &str| {
            #[derive(serde::Deserialize)]
            struct Row {
                #[serde(rename = "inner")]
                _inner: Option<Vec<Empty>>,
            }
            #[derive(serde::Deserialize)]
            struct Empty {}

            let mut deserializer = serde_json::Deserializer::from_str(json);
            let mut fields = Vec::new();
            serde_ignored::deserialize::<_, _, Vec<Row>>(&mut deserializer, |field| {
                fields.extend(name(&field, &["inner.expected"]));
            })
            .unwrap();
            drift.note("rows", "/rows?page=1", fields);
        };
        note(r#"[{"ada@example.com":1}]"#);
        note(r#"[{"new":1,"inner":[{"expected":1},{"odd":1}]},{"new":2,"inner":[{"odd":2}]}]"#);
        let known = drift.known.lock().unwrap();
        let mut known: Vec<&str> = known.iter().map(|(_, name)| name.as_str()).collect();
        known.sort_unstable();
        assert_eq!(known, ["aaa@aaaaaaa.aaa", "inner.odd", "new"]);
    }
}
