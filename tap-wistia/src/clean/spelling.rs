//! Fields of two names. The documented one wins where both stand in one object, unless it is empty.

use serde_json::{Map, Value};

/// A field that is seen under two names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spelling {
    /// Where the object is, by the documented names of its parents; empty for the row itself.
    pub(crate) object: &'static str,
    /// The name in Wistia's description of the API.
    pub(crate) documented: &'static str,
    /// The other one.
    pub(crate) other: &'static str,
}

/// Leaves one name of each field that has two. Of a name that stands twice in an object, JSON parsers
/// have kept the last value already.
pub(crate) fn settle(value: &mut Value, spellings: &[Spelling]) {
    walk(value, "", spellings);
}

fn walk(value: &mut Value, path: &str, spellings: &[Spelling]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, path, spellings)),
        Value::Object(members) => {
            for spelling in spellings.iter().filter(|spelling| spelling.object == path) {
                choose(members, spelling);
            }
            for (name, member) in members {
                if matches!(member, Value::Array(_) | Value::Object(_)) {
                    let documented = spellings
                        .iter()
                        .find(|spelling| spelling.object == path && spelling.other == name)
                        .map_or(name.as_str(), |spelling| spelling.documented);
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(member, &format!("{path}{dot}{documented}"), spellings);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn choose(members: &mut Map<String, Value>, spelling: &Spelling) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    match members.get(spelling.documented) {
        None => {}
        Some(documented) if is_empty(documented) && members.contains_key(spelling.other) => {
            members.remove(spelling.documented);
        }
        Some(_) => _ = members.remove(spelling.other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPELLINGS: &[Spelling] = &[
        Spelling { object: "", documented: "project", other: "folder" },
        Spelling { object: "project", documented: "hashedId", other: "hashed_id" },
    ];

    fn settled(json: &str) -> String {
        let mut value: Value = serde_json::from_str(json).unwrap();
        settle(&mut value, SPELLINGS);
        value.to_string()
    }

    #[test]
    fn the_documented_name_wins_unless_it_is_empty() {
        for (json, expected) in [
            (r#"[{"folder":{"a":1},"project":{"b":2}}]"#, r#"[{"project":{"b":2}}]"#),
            (r#"[{"folder":{"a":1},"project":null}]"#, r#"[{"folder":{"a":1}}]"#),
            (r#"{"project":{}}"#, r#"{"project":{}}"#),
            (r#"{"folder":{"hashedId":"a","hashed_id":"b"}}"#, r#"{"folder":{"hashedId":"a"}}"#),
            (r#"{"hashedId":"a","hashed_id":"b"}"#, r#"{"hashedId":"a","hashed_id":"b"}"#),
        ] {
            assert_eq!(settled(json), expected);
        }
    }
}
