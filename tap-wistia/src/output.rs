//! Where records go: the selected streams, projected and mapped, and the messages of them.

use chrono::Utc;
use protocol::mapping::{Mapped, Mapper, Names};
use protocol::singer::{Fields, Selection};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::messages::{Extracted, JSON, Messages};
use crate::state::State;
use crate::stream::Stream;

/// A stream that is synced.
#[derive(Debug)]
pub(crate) struct Selected {
    /// The stream as the tap knows it, whatever a map calls it.
    pub(crate) stream: &'static Stream,
    /// The columns that the catalog selects.
    selection: Selection,
    /// The streams that maps make of it: at least one.
    pub(crate) mapped: Vec<Mapped>,
    /// Records written so far.
    pub(crate) records: u64,
    /// It cannot be read; nothing more is written of it.
    failed: bool,
}

/// Writes what is read of the selected streams. What is read of other streams is not written.
#[derive(Debug)]
pub(crate) struct Output {
    messages: Box<dyn Messages>,
    selected: Vec<Selected>,
    extracted: Extracted,
    /// The record that is being written. It is one for all, because growing one for each takes time.
    text: Vec<u8>,
}

impl Output {
    /// Writes the selected streams, as `mapper` maps them. A stream that it drops is as good as not
    /// selected.
    pub(crate) fn new(
        messages: Box<dyn Messages>,
        selected: Vec<(&'static Stream, Selection)>,
        mapper: &Mapper,
    ) -> Result<Self> {
        let mut names = Names::default();
        let mut kept = Vec::with_capacity(selected.len());
        for (stream, selection) in selected {
            let keys: Vec<String> = stream.keys.iter().map(|key| (*key).to_owned()).collect();
            let mapped = mapper.map(stream.name, &selection.schema, &keys)?;
            for mapped in &mapped {
                names.claim(&mapped.stream, stream.name)?;
                mapped.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            if !mapped.is_empty() {
                kept.push(Selected { stream, selection, mapped, records: 0, failed: false });
            }
        }
        Ok(Self { messages, selected: kept, extracted: Utc::now().into(), text: Vec::new() })
    }

    /// The streams that are synced, in the order of the catalog, failed ones too.
    pub(crate) fn selected(&self) -> &[Selected] {
        &self.selected
    }

    /// How many records of a stream were written.
    pub(crate) fn records(&self, stream: &Stream) -> u64 {
        let found = self.selected.iter().find(|selected| selected.stream == stream);
        found.map_or(0, |selected| selected.records)
    }

    /// Whether a stream is synced and has not failed.
    pub(crate) fn wants(&self, stream: &Stream) -> bool {
        self.selected.iter().any(|selected| selected.stream == stream && !selected.failed)
    }

    /// Those of the streams that are synced and have not failed.
    pub(crate) fn wanted(&self, streams: &[&'static Stream]) -> Vec<&'static Stream> {
        streams.iter().copied().filter(|stream| self.wants(stream)).collect()
    }

    /// Writes the schema of every selected stream.
    pub(crate) fn schemas(&mut self) -> Result<()> {
        for Selected { stream, mapped, .. } in &self.selected {
            for mapped in mapped {
                self.messages.schema(stream, mapped)?;
            }
        }
        self.messages.flush()
    }

    /// The records that follow are of an answer that arrived now.
    pub(crate) fn extracted_now(&mut self) {
        self.extracted = Utc::now().into();
    }

    /// A stream is about to be read.
    pub(crate) fn started(&mut self, stream: &Stream) -> Result<()> {
        self.messages.started(stream)
    }

    /// A stream is likely to have so many rows.
    pub(crate) fn estimate(&mut self, stream: &Stream, rows: u64) -> Result<()> {
        if self.selected.iter().any(|selected| selected.stream == stream) {
            self.messages.estimate(stream, rows)?;
        }
        Ok(())
    }

    /// Writes a record, where its stream is wanted.
    pub(crate) fn record<R: Serialize>(&mut self, stream: &Stream, record: &R) -> Result<()> {
        let found = self.selected.iter_mut().find(|selected| selected.stream == stream);
        let Some(selected) = found.filter(|selected| !selected.failed) else { return Ok(()) };
        let is_whole = selected.selection.fields == Fields::All;
        if is_whole
            && let [only] = &selected.mapped[..]
            && only.is_plain()
        {
            selected.records += 1;
            let record = text(&mut self.text, record)?;
            return self.messages.record(stream, &only.stream, record, &self.extracted);
        }
        let mut value = serde_json::to_value(record).map_err(Error::unexpected(JSON))?;
        if !is_whole {
            selected.selection.project(&mut value);
        }
        for mapped in &selected.mapped {
            if let Some(record) = mapped.record(&value) {
                selected.records += 1;
                let record = text(&mut self.text, &record)?;
                self.messages.record(stream, &mapped.stream, record, &self.extracted)?;
            }
        }
        Ok(())
    }

    /// Writes how far all streams have come.
    pub(crate) fn state(&mut self, state: &State) -> Result<()> {
        self.messages.state(state)
    }

    /// A stream was read to its end.
    pub(crate) fn completed(&mut self, stream: &Stream, state: &State) -> Result<()> {
        self.messages.completed(stream, state)
    }

    /// A stream cannot be read. It is wanted no more.
    pub(crate) fn fail(&mut self, stream: &Stream, error: &Error) -> Result<()> {
        for selected in &mut self.selected {
            selected.failed |= selected.stream == stream;
        }
        self.messages.failed(stream, error)
    }

    /// Nothing more comes, of streams that are not complete either.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.messages.end()
    }
}

/// A record as JSON, in place of what stood in `buffer`.
fn text<'a, R: Serialize>(buffer: &'a mut Vec<u8>, record: &R) -> Result<&'a str> {
    buffer.clear();
    serde_json::to_writer(&mut *buffer, record).map_err(Error::unexpected(JSON))?;
    std::str::from_utf8(buffer).map_err(Error::unexpected(JSON))
}

#[cfg(test)]
mod tests {
    use protocol::mapping::StreamMaps;
    use serde_json::json;

    use super::*;
    use crate::singer::Singer;
    use crate::testing::{EVENTS, PLACES, Written};

    fn output(selected: &[(&'static Stream, Fields)], maps: &str) -> Result<(Output, Written)> {
        let written = Written::default();
        let maps: StreamMaps = serde_json::from_str(maps).unwrap();
        let selected = selected
            .iter()
            .map(|(stream, fields)| {
                let all = Selection::all((stream.schema)());
                (*stream, Selection { fields: fields.clone(), ..all })
            })
            .collect();
        let messages = Box::new(Singer::new(Box::new(written.clone())));
        Ok((Output::new(messages, selected, &Mapper::new(maps, None))?, written))
    }

    #[test]
    fn every_selected_stream_has_a_schema_before_its_records() {
        let selected = [(&EVENTS, Fields::All), (&PLACES, Fields::All)];
        let (mut output, written) = output(&selected, "{}").unwrap();
        output.schemas().unwrap();
        let messages = written.messages();
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0]["stream"], "events");
        assert_eq!(messages[0]["bookmark_properties"], json!(["day"]));
        assert_eq!(messages[1]["stream"], "places");
        assert!(messages[1].get("bookmark_properties").is_none());
    }

    #[test]
    fn what_is_not_selected_is_not_written_and_not_counted() {
        let (mut output, written) = output(&[(&EVENTS, Fields::All)], "{}").unwrap();
        output.record(&EVENTS, &json!({"id": "a"})).unwrap();
        output.record(&PLACES, &json!({"id": "b"})).unwrap();
        output.end().unwrap();
        assert_eq!(written.lines(), [r#"events {"id":"a"}"#]);
        assert_eq!(output.selected().len(), 1);
        assert_eq!(output.selected()[0].records, 1);
        assert!(output.wants(&EVENTS) && !output.wants(&PLACES));
        assert_eq!(output.wanted(&[&PLACES, &EVENTS]), [&EVENTS]);
    }

    #[test]
    fn a_stream_that_failed_is_wanted_no_more() {
        let (mut output, written) = output(&[(&EVENTS, Fields::All)], "{}").unwrap();
        output.record(&EVENTS, &json!({"id": "a"})).unwrap();
        output.fail(&EVENTS, &Error::internal("order")).unwrap();
        output.record(&EVENTS, &json!({"id": "b"})).unwrap();
        output.end().unwrap();
        assert_eq!(written.lines(), [r#"events {"id":"a"}"#]);
        assert!(!output.wants(&EVENTS));
        assert_eq!(output.selected().len(), 1, "the summary still names it");
    }

    #[test]
    fn maps_rename_and_drop_streams_and_columns() {
        let selected = [(&EVENTS, Fields::All), (&PLACES, Fields::All)];
        let maps = r#"{"events":{"__alias__":"plays","day":"__NULL__"},"places":"__NULL__"}"#;
        let (mut output, written) = output(&selected, maps).unwrap();
        output.schemas().unwrap();
        output.record(&EVENTS, &json!({"id": "a", "day": "2026-01-01"})).unwrap();
        output.record(&PLACES, &json!({"id": "b"})).unwrap();
        output.end().unwrap();
        let messages = written.messages();
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0]["stream"], "plays");
        assert!(messages[0].get("bookmark_properties").is_none(), "the column is gone");
        assert_eq!(messages[1]["record"], json!({"id": "a"}));
        assert!(!output.wants(&PLACES));
    }

    #[test]
    fn two_streams_of_one_name_are_an_error() {
        let selected = [(&EVENTS, Fields::All), (&PLACES, Fields::All)];
        let error = output(&selected, r#"{"events":{"__alias__":"places"}}"#).unwrap_err();
        assert!(error.to_string().contains("`places`"), "{error}");
    }

    #[test]
    fn records_bear_the_time_of_their_answer() {
        let (mut output, written) = output(&[(&EVENTS, Fields::All)], "{}").unwrap();
        output.extracted = chrono::DateTime::UNIX_EPOCH.into();
        output.record(&EVENTS, &json!({"id": "a"})).unwrap();
        output.extracted_now();
        output.record(&EVENTS, &json!({"id": "b"})).unwrap();
        output.state(&State::default()).unwrap();
        let messages = written.messages();
        assert_eq!(messages[0]["time_extracted"], "1970-01-01T00:00:00.000Z");
        assert!(messages[1]["time_extracted"].as_str().unwrap() > "2026");
        assert_eq!(messages[2]["type"], "STATE");
    }
}
