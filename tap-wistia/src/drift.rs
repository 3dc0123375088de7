//! Fields that the API sends and no table has: each is named once for each kind of answer.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use serde_ignored::Path;

/// Fields that the API has sent so far and no table has.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    known: Mutex<HashSet<(&'static str, String)>>,
}

impl Drift {
    /// Logs a field that was ignored in the answer to `request`, of whose rows `table` is made, unless it is expected or known.
    pub(crate) fn note(
        &self,
        table: &'static str,
        expected: &[&str],
        request: &str,
        field: &Path<'_>,
    ) {
        let name = name(field);
        if expected.contains(&name.as_str()) {
            return;
        }
        let resource = request.split('?').next().unwrap_or(request);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert((table, name.clone())) {
            tracing::info!(
                field = printable(&name),
                resource,
                "`{}` of {resource} is a field that no table has",
                printable(&name)
            );
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
}

/// A name as it may stand in a line of log.
fn printable(name: &str) -> String {
    name.chars().take(100).flat_map(char::escape_debug).collect()
}

/// The path of a field without its positions in lists.
fn name(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, .. }
        | Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => name(parent),
        Path::Map { parent, key } => {
            let parent = name(parent);
            if parent.is_empty() { key.clone() } else { format!("{parent}.{key}") }
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
            serde_ignored::deserialize::<_, _, Vec<Row>>(&mut deserializer, |field| {
                drift.note("rows", &["inner.expected"], "/rows?page=1", &field);
            })
            .unwrap();
        };
        note(r#"[{"new":1,"inner":[{"expected":1},{"odd":1}]},{"new":2,"inner":[{"odd":2}]}]"#);
        let known = drift.known.lock().unwrap();
        let mut known: Vec<&str> = known.iter().map(|(_, name)| name.as_str()).collect();
        known.sort_unstable();
        assert_eq!(known, ["inner.odd", "new"]);
    }
}
