//! The states that a source is given, in every form that exists.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// States by stream.
pub type StreamStates = BTreeMap<String, Value>;

/// Reads a state file: nothing, `{}`, one state or a list of them, whole messages, lines of messages,
/// and the object by stream of the days before there were state messages.
pub fn parse(text: &str) -> Result<StreamStates, String> {
    let mut states = StreamStates::new();
    let text = text.trim_start_matches('\u{feff}');
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        collect(value.map_err(|error| error.to_string())?, &mut states)?;
    }
    Ok(states)
}

fn collect(value: Value, states: &mut StreamStates) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items.into_iter().try_for_each(|item| collect(item, states)),
        Value::Object(object) => message(object, states),
        _ => Err("a state is an object or a list of them".into()),
    }
}

fn message(mut object: Map<String, Value>, states: &mut StreamStates) -> Result<(), String> {
    let kind = object.get("type").and_then(Value::as_str).map(str::to_owned);
    match kind.as_deref() {
        Some("STATE") => collect(object.remove("state").unwrap_or_default(), states),
        Some("STREAM") => stream(object.remove("stream").unwrap_or_default(), states),
        Some("GLOBAL") => {
            // Without the alias, Python's models write what is a word of the language with a `_`.
            let global = ["global", "global_"]
                .into_iter()
                .find_map(|key| object.remove(key).filter(|value| !value.is_null()));
            let Some(Value::Object(mut global)) = global else {
                return Err("a GLOBAL state has no `global`".into());
            };
            match global.remove("stream_states") {
                Some(Value::Array(streams)) => {
                    streams.into_iter().try_for_each(|state| stream(state, states))
                }
                _ => Ok(()),
            }
        }
        // No type is LEGACY, in a message's place or on its own.
        Some("LEGACY") | None => match object.remove("data") {
            Some(Value::Object(data)) => legacy(data, states),
            Some(Value::Null) if kind.is_some() => Ok(()),
            Some(_) => Err("the `data` of a LEGACY state is no object".into()),
            None => legacy(object, states),
        },
        Some(other) => Err(format!("there are no states of type {other}")),
    }
}

fn stream(state: Value, states: &mut StreamStates) -> Result<(), String> {
    let name = state.pointer("/stream_descriptor/name").and_then(Value::as_str);
    let name = name.ok_or("a STREAM state has no `stream_descriptor.name`")?.to_owned();
    match state {
        // Null asks for a fresh start.
        Value::Object(mut state) => match state.remove("stream_state") {
            None | Some(Value::Null) => _ = states.remove(&name),
            Some(state) => _ = states.insert(name, state),
        },
        _ => _ = states.remove(&name),
    }
    Ok(())
}

/// States by stream; those of a Singer tap are under `bookmarks`.
fn legacy(mut object: Map<String, Value>, states: &mut StreamStates) -> Result<(), String> {
    match object.remove("bookmarks") {
        Some(Value::Object(bookmarks)) => states.extend(bookmarks),
        Some(_) => return Err("its `bookmarks` are no object".into()),
        None => states.extend(object.into_iter().filter(|(_, state)| !state.is_null())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_a_state_file_is_read() {
        let message = r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"s","namespace":null},"stream_state":{"day":1}},"global_":null,"data":null,"sourceStats":{"recordCount":2.0},"destinationStats":null,"global_":null}"#;
        for text in [
            message.to_owned(),
            format!("[{message}\n, {message}]"),
            format!("{message}\n{message}\n"),
            format!(r#"{{"type":"STATE","state":{message}}}"#),
            r#"[{"type":"GLOBAL","global":{"shared_state":null,"stream_states":[{"stream_descriptor":{"name":"s"},"stream_state":{"day":1}}]}}]"#.into(),
            r#"[{"type":"GLOBAL","global_":{"stream_states":[{"stream_descriptor":{"name":"s"},"stream_state":{"day":1}}]}}]"#.into(),
            r#"{"type":"LEGACY","data":{"s":{"day":1}}}"#.into(),
            r#"[{"data":{"s":{"day":1}}}]"#.into(),
            r#"{"s":{"day":1}}"#.into(),
            r#"{"bookmarks":{"s":{"day":1}}}"#.into(),
        ] {
            let states = parse(&text).unwrap();
            assert_eq!(states.get("s"), Some(&json!({"day": 1})), "{text}");
            assert_eq!(states.len(), 1, "{text}");
        }
    }

    #[test]
    fn nothing_is_a_first_sync_and_null_a_fresh_start() {
        for text in
            ["", "\n", "null", "{}", "[]", "[{}]", "\u{feff}[]", r#"{"type":"LEGACY","data":null}"#]
        {
            assert!(parse(text).unwrap().is_empty(), "{text}");
        }
        let reset = r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"s"},"stream_state":null}}]"#;
        assert!(parse(reset).unwrap().is_empty());
    }

    #[test]
    fn damage_is_an_error() {
        for text in ["[", "7", r#"["x"]"#, r#"[{"type":"STREAM"}]"#, r#"[{"type":"FILE"}]"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
