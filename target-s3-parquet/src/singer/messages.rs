//! Singer's messages that are no records.

use std::collections::HashSet;
use std::sync::Arc;

use lake::Aws;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::batch::BatchMessage;
use super::envelope::Singer;
use super::kind::{MessageKind, kind_of_line};
use super::schemas::{Planner, SchemaMessage};
use crate::decode::plan::Registry;
use crate::error::Error;
use crate::input::item::Item;
use crate::input::outlet::{Halt, Outlet};
use crate::input::protocol::{Messages, Protocol};
use crate::settings::config::Config;
use crate::state::State;

/// Singer at the start of a run: no stream is known before its SCHEMA.
pub(crate) fn protocol(config: &Arc<Config>, aws: &Aws) -> Protocol {
    Protocol {
        dialect: &Singer,
        messages: Box::new(SingerMessages {
            planner: Planner::new(Arc::clone(config)),
            config: Arc::clone(config),
            aws: aws.clone(),
            warned: HashSet::new(),
        }),
        registry: Registry::default(),
    }
}

/// Reads messages, and remembers the schemas and what was warned of.
#[derive(Debug)]
struct SingerMessages {
    config: Arc<Config>,
    /// Where files of batches come from that are on S3.
    aws: Aws,
    planner: Planner,
    /// Types of messages that are not known.
    warned: HashSet<String>,
}

#[derive(Deserialize)]
struct StateMessage<'a> {
    /// A state may be `null`, as of a tap that has nothing to remember; one that is not there is none.
    #[serde(borrow, default, deserialize_with = "given")]
    value: Option<&'a RawValue>,
}

/// What stands there, also if it is `null`.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct ActivateVersionMessage {
    stream: String,
    version: Option<i64>,
}

#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    kind: String,
}

impl Messages for SingerMessages {
    fn is_record(&self, line: &[u8]) -> Result<bool, String> {
        kind_of_line(line).map(|kind| kind == MessageKind::Record)
    }

    fn read(&mut self, line: &[u8], number: u64, outlet: &mut Outlet) -> Result<(), Halt> {
        let no_message = |reason| Error::Line { line: number, reason };
        let broken = |error: serde_json::Error| {
            let reason = error.to_string().replace(" at line 1 column", " at column");
            no_message(
                reason.replace("recursion limit exceeded", "it is more than 127 levels deep"),
            )
        };
        match kind_of_line(line).map_err(no_message)? {
            MessageKind::Record => {
                Err(Error::internal("a record is decoded with its chunk").into())
            }
            MessageKind::Schema => {
                let message = SchemaMessage::parse(line).map_err(broken)?;
                self.schema(message, number, outlet)
            }
            MessageKind::State => {
                let state: StateMessage<'_> = serde_json::from_slice(line).map_err(broken)?;
                let Some(value) = state.value else {
                    return Err(no_message("it is a STATE without a `value`".into()).into());
                };
                outlet.item(Item::State(State { text: value.to_owned(), stream: None }))
            }
            MessageKind::ActivateVersion => {
                let message: ActivateVersionMessage =
                    serde_json::from_slice(line).map_err(broken)?;
                activate_version(message, number, outlet)
            }
            MessageKind::Batch => {
                let message: BatchMessage = serde_json::from_slice(line).map_err(broken)?;
                self.batch(&message, number, outlet)
            }
            MessageKind::Other => {
                let TypeOnly { kind } = serde_json::from_slice(line).map_err(broken)?;
                if !self.warned.insert(kind.clone()) {
                    return Ok(());
                }
                outlet.item(Item::Warning(format!(
                    "line {number}: messages of type {kind} are not known and ignored"
                )))
            }
        }
    }

    fn at_end(&self) -> Vec<String> {
        self.planner.misnamed()
    }
}

impl SingerMessages {
    fn schema(
        &mut self,
        message: SchemaMessage,
        number: u64,
        outlet: &mut Outlet,
    ) -> Result<(), Halt> {
        let source = message.stream.as_bytes().into();
        let Some(plans) = self.planner.plans(message, number)? else { return Ok(()) };
        for warning in self.planner.take_warnings() {
            outlet.item(Item::Warning(warning))?;
        }
        outlet.define(source, &plans)
    }

    /// Reads the files of a BATCH as if their records stood in its place.
    fn batch(&self, message: &BatchMessage, number: u64, outlet: &Outlet) -> Result<(), Halt> {
        for url in &message.manifest {
            let file: Arc<str> = url.as_str().into();
            let mut blocks = message.open(url, number, &self.config, &self.aws)?;
            let received_at = chrono::Utc::now().timestamp_micros();
            while let Some((bytes, first_line)) = blocks.next()? {
                outlet.records(Some(Arc::clone(&file)), bytes, first_line, received_at)?;
            }
        }
        Ok(())
    }
}

/// The message of a copied stream is for all its copies. Without a version it says nothing.
fn activate_version(
    message: ActivateVersionMessage,
    number: u64,
    outlet: &Outlet,
) -> Result<(), Halt> {
    let Some(version) = message.version else {
        return outlet.item(Item::Warning(format!(
            "line {number}: ACTIVATE_VERSION of stream `{}` has no `version` and is ignored",
            message.stream
        )));
    };
    let Some(plans) = outlet.plans(message.stream.as_bytes()) else {
        return outlet.item(Item::ActivateVersion { stream: message.stream, version });
    };
    plans.iter().try_for_each(|plan| {
        outlet.item(Item::ActivateVersion { stream: plan.stream.clone(), version })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{config, described, read};
    use serde_json::{Value, json};

    /// Nothing is asked of it.
    fn aws() -> Aws {
        Aws::new(&lake::Options::default())
    }

    const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"a","key_properties":["id"],"schema":{"properties":{"id":{"type":"integer"}}}}"#;

    fn record(id: u64) -> String {
        format!(r#"{{"type":"RECORD","stream":"a","record":{{"id":{id}}}}}"#)
    }

    fn state(value: u64) -> String {
        format!(r#"{{"type":"STATE","value":{{"at":{value}}}}}"#)
    }

    fn read_with(lines: &[&str], settings: Value) -> (Vec<String>, Option<String>) {
        let (items, error) = read(lines.join("\n"), protocol(&config(settings), &aws()));
        (described(&items), error.map(|error| error.to_string()))
    }

    fn read_lines(lines: &[&str]) -> (Vec<String>, Option<String>) {
        read_with(lines, json!({}))
    }

    #[test]
    fn a_state_comes_behind_the_rows_that_stood_before_it() {
        let (first, second, third) = (record(1), record(2), record(3));
        let (one, two) = (state(1), state(2));
        let (items, error) = read_lines(&[SCHEMA, &first, "", &second, &one, &third, &two, &two]);
        assert_eq!(error, None);
        assert_eq!(
            items,
            [
                "schema a",
                "rows 2 a",
                r#"state {"at":1}"#,
                "rows 1 a",
                r#"state {"at":2}"#,
                r#"state {"at":2}"#,
            ]
        );
    }

    #[test]
    fn the_order_holds_over_many_blocks_and_workers() {
        let mut lines = vec![SCHEMA.to_owned()];
        let padding = "x".repeat(4000);
        for id in 0..2000_u64 {
            lines.push(format!(
                r#"{{"type":"RECORD","stream":"a","record":{{"id":{id}}},"padding":"{padding}"}}"#
            ));
            if id % 100 == 99 {
                lines.push(state(id));
            }
        }
        let (items, error) = read(lines.join("\n"), protocol(&config(json!({})), &aws()));
        assert!(error.is_none());
        let mut next = 0;
        for item in &items {
            match item {
                Item::Rows(decoded) => {
                    for row in
                        decoded.rows.iter().flat_map(|rows| crate::testing::rows_of(&rows.batch))
                    {
                        assert_eq!(row["id"], next);
                        next += 1;
                    }
                }
                Item::State(state) => {
                    assert_eq!(state.text.get(), format!(r#"{{"at":{}}}"#, next - 1));
                }
                Item::Schema(_) => assert_eq!(next, 0),
                Item::Ended { .. } | Item::ActivateVersion { .. } | Item::Warning(_) => {
                    panic!("{item:?}")
                }
            }
        }
        assert_eq!(next, 2000);
    }

    #[test]
    fn a_state_keeps_its_bytes() {
        let (items, _) =
            read_lines(&[r#"{"value": {"b": 1.10,  "a":12345678901234567890} ,"type":"state"}"#]);
        assert_eq!(items, [r#"state {"b": 1.10,  "a":12345678901234567890}"#]);
    }

    #[test]
    fn the_same_schema_again_is_nothing_new_and_another_one_is() {
        let wider = SCHEMA.replace(r#""id":{"#, r#""t":{},"id":{"#);
        let row = record(1);
        let (items, error) = read_lines(&[SCHEMA, &row, SCHEMA, &row, &wider, &row, SCHEMA]);
        assert_eq!(error, None);
        let expected = ["schema a", "rows 1 a", "rows 1 a", "schema a", "rows 1 a", "schema a"];
        assert_eq!(items, expected);
    }

    #[test]
    fn an_error_comes_in_its_place() {
        let (row, one, two) = (record(1), state(1), state(2));
        for (line, reason) in [
            (
                "Traceback (most recent call last):",
                "expected an object at column 1, found Traceback",
            ),
            (r#"{"value":{}}"#, "it has no `type`"),
            (r#"{"type":"STATE"}"#, "it is a STATE without a `value`"),
            (r#"{"type":"STATE","value":{}"#, "EOF while parsing an object at column 26"),
            (r#"{"type":"SCHEMA","schema":{}}"#, "missing field `stream`"),
            (
                &format!(r#"{{"type":"SCHEMA","stream":"a","schema":{}"#, "[".repeat(200)),
                "it is more than 127 levels deep at column",
            ),
            (r#"{"type":"ACTIVATE_VERSION"}"#, "missing field `stream`"),
            (r#"{"type":"BATCH","stream":"a"}"#, "missing field `encoding`"),
        ] {
            let (items, error) = read_lines(&[SCHEMA, &row, &one, &row, line, &row, &two]);
            assert_eq!(items, ["schema a", "rows 1 a", r#"state {"at":1}"#, "rows 1 a"], "{line}");
            let error = error.unwrap();
            assert!(error.starts_with("line 5 is not a message: "), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_state_may_be_null_but_not_missing() {
        let (items, error) = read_lines(&[r#"{"type":"STATE","value": null}"#]);
        assert_eq!((items, error), (vec!["state null".to_owned()], None));
        let (_, error) = read_lines(&[r#"{"type":"STATE"}"#]);
        assert_eq!(error.unwrap(), "line 1 is not a message: it is a STATE without a `value`");
    }

    #[test]
    fn messages_of_an_unknown_type_are_warned_of_once() {
        let log = r#"{"type":"LOG","message":"x"}"#;
        let (items, error) = read_lines(&[log, log, r#"{"type":"CONTROL"}"#]);
        assert_eq!(error, None);
        assert_eq!(
            items,
            [
                "warning line 1: messages of type LOG are not known and ignored",
                "warning line 3: messages of type CONTROL are not known and ignored",
            ]
        );
    }

    #[test]
    fn a_version_is_for_every_copy_of_its_stream() {
        let maps = json!({"stream_maps": {"copy": {"__source__": "a"}}});
        let version = r#"{"type":"ACTIVATE_VERSION","stream":"a","version":7}"#;
        let none = r#"{"type":"ACTIVATE_VERSION","stream":"a","version":null}"#;
        let unknown = r#"{"type":"ACTIVATE_VERSION","stream":"x","version":8}"#;
        let (items, error) = read_with(&[SCHEMA, version, none, unknown], maps);
        assert_eq!(error, None);
        let versions: Vec<_> = items.iter().filter(|item| item.starts_with("version")).collect();
        assert_eq!(versions.last().unwrap().as_str(), "version x 8");
        assert!(versions.iter().any(|item| *item == "version a 7"), "{items:?}");
        let warning =
            "warning line 3: ACTIVATE_VERSION of stream `a` has no `version` and is ignored";
        assert!(items.iter().any(|item| item == warning), "{items:?}");
        assert_eq!(
            versions.len(),
            items.iter().filter(|item| item.starts_with("schema")).count() + 1
        );
    }

    #[test]
    fn a_stream_that_the_settings_nearly_name_is_asked_about_at_the_end() {
        let settings = json!({"streams": {"aa_events": {"shards": 2}}});
        let schema = SCHEMA.replace(r#""stream":"a""#, r#""stream":"a_events""#);
        let (items, _) = read_with(&[&schema, &state(1)], settings);
        let last = items.last().unwrap();
        assert!(
            last.contains("`streams` names the stream `aa_events`, which did not come"),
            "{last}"
        );
        assert!(last.contains("a_events"), "{last}");
    }

    fn batch(files: &[String], compression: &str) -> String {
        json!({
            "type": "BATCH",
            "stream": "a",
            "encoding": {"format": "jsonl", "compression": compression},
            "manifest": files,
        })
        .to_string()
    }

    #[test]
    fn the_records_of_a_batch_stand_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("1.jsonl");
        std::fs::write(&plain, "{\"id\":1}\n\n{\"id\":2}").unwrap();
        let packed = folder.path().join("2.jsonl.gz");
        let file = std::fs::File::create(&packed).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, b"{\"id\":3}\r\n").unwrap();
        encoder.finish().unwrap();
        let name = |path: &std::path::Path| path.display().to_string();
        let (items, error) = read_lines(&[
            SCHEMA,
            &record(0),
            &batch(&[format!("file://{}", name(&plain))], "none"),
            &batch(&[name(&packed)], "gzip"),
            &state(1),
        ]);
        assert_eq!(error, None);
        let expected = ["schema a", "rows 1 a", "rows 2 a", "rows 1 a", r#"state {"at":1}"#];
        assert_eq!(items, expected);
    }

    #[test]
    fn what_is_wrong_in_a_batch_is_said_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.jsonl");
        let name = path.display().to_string();
        for (content, encoding, reason) in [
            (&b"{\"id\":1}\n{\"id\":\"x\"}\n"[..], "none", "line 2: stream `a`, column `id`"),
            (b"{\"id\":1}\n\xff\n", "none", "line 2 is not a message: it is not valid UTF-8"),
            (b"{}", "zip", "the compression `zip` is not known; gzip and none are"),
            (b"no gzip", "gzip", "line 1: "),
        ] {
            std::fs::write(&path, content).unwrap();
            let (items, error) =
                read_lines(&[SCHEMA, &batch(std::slice::from_ref(&name), encoding)]);
            let of_rows = items.last().unwrap();
            let error = error.unwrap_or_else(|| of_rows.clone());
            assert!(error.contains(&format!("the batch file {name}: ")), "{error}");
            assert!(error.contains(reason), "{error}");
        }
        let settings = json!({"batch_from": ["/nowhere", "s3://b/in"]});
        let (items, error) =
            read_with(&[SCHEMA, &batch(std::slice::from_ref(&name), "none")], settings);
        let error = error.unwrap();
        assert_eq!(items, ["schema a"]);
        assert!(
            error.starts_with(&format!(
                "the batch file {name}: the BATCH message of stream `a` in line 2 "
            )),
            "{error}"
        );
        assert!(
            error.contains("below s3://b/in is read") && error.contains("`batch_from`"),
            "{error}"
        );
        std::fs::remove_file(&path).unwrap();
        let (_, error) = read_lines(&[SCHEMA, &batch(std::slice::from_ref(&name), "none")]);
        assert_eq!(error.unwrap(), format!("the batch file {name}: it does not exist"));
    }
}
