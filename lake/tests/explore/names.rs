//! Names that are others each time a run does the same: those of an Iceberg table's manifests and snapshots are drawn.
//! Here each is called by the run that has made it and by how many it had made before, so that the same state is known
//! again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use apache_avro::types::Value;
use lake::store::Store;

use crate::iceberg;
use crate::schedule::hash;

/// The names that were seen, with what they are called.
#[derive(Debug, Default)]
pub(crate) struct Names {
    called: BTreeMap<String, String>,
    /// How many each run has made.
    made: BTreeMap<usize, usize>,
}

impl Names {
    /// Those of a store are called what they are: there they are the same each time.
    pub(crate) fn of(store: &dyn Store) -> Self {
        let mut names = Self::default();
        for object in store.list("").unwrap() {
            let mut texts = vec![object.key.clone()];
            if object.key.ends_with(".metadata.json") {
                // It knows all snapshots.
                let (_, bytes) = store.get(&object.key).unwrap().unwrap();
                texts.push(String::from_utf8(bytes).unwrap());
            }
            for text in texts {
                each_drawn(&text, |name| {
                    names.called.insert(name.to_owned(), name.to_owned());
                });
            }
        }
        names
    }

    /// What a call is about, and a number of what it writes.
    pub(crate) fn call(&mut self, run: usize, key: &str, bytes: Option<&[u8]>) -> (String, u64) {
        let content = bytes.map_or(0, |bytes| {
            let is_data = key.ends_with(".parquet");
            if is_data { hash(bytes) } else { hash(self.text(run, &legible(key, bytes))) }
        });
        (self.text(run, key), content)
    }

    fn text(&mut self, run: usize, text: &str) -> String {
        let mut changed = text.to_owned();
        each_drawn(text, |name| {
            let called = self.called.entry(name.to_owned()).or_insert_with(|| {
                let made = self.made.entry(run).or_default();
                *made += 1;
                format!("<{made} of {run}>")
            });
            if called != name {
                changed = changed.replace(name, called);
            }
        });
        changed
    }
}

/// Whether a call is about an object that has its name from its run alone, and never changes: whoever writes it is
/// noticed by nobody before a pointer names it, and whoever reads it finds the same always. So does who reads a version of
/// the metadata that is there. That a writer takes something away, or that somebody lists it, is another call.
pub(crate) fn is_indifferent(what: &str, key: &str, is_there: bool) -> bool {
    let is_unique = iceberg::is_manifest(key) || key.contains("/data/");
    let is_read = matches!(what, "head" | "get" | "fetch");
    is_unique && (is_read || what == "write")
        || is_read && is_there && key.ends_with(".metadata.json")
}

/// What is written but for the time, and the place in which the run's file is: they are others each time.
fn legible(key: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    if iceberg::is_manifest(key) {
        for record in iceberg::records(bytes) {
            tell(&record, &mut text);
        }
        return text;
    }
    let is_incidental = |line: &str| line.starts_with("\"at\":") || line.starts_with("\"owner\":");
    let whole = String::from_utf8_lossy(bytes);
    let lines = whole.lines().filter(|line| !is_incidental(line.trim_start()));
    lines.for_each(|line| text.push_str(&timeless(line)));
    text
}

/// A record but for the size of a manifest, which depends on how well drawn names can be packed.
fn tell(value: &Value, text: &mut String) {
    match value {
        Value::Record(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| name != "manifest_length") {
                text.push_str(name);
                tell(value, text);
            }
        }
        Value::Union(_, value) => tell(value, text),
        Value::Array(values) => values.iter().for_each(|value| tell(value, text)),
        value => _ = write!(text, "{value:?},"),
    }
}

/// Without the milliseconds of the clock, which have thirteen digits.
fn timeless(text: &str) -> String {
    let mut rest = String::new();
    for part in text.split_inclusive(|letter: char| !letter.is_ascii_digit()) {
        let digits = part.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        rest.push_str(if digits.len() == 13 { &part[13..] } else { part });
    }
    rest
}

/// Finds the drawn names in a text: UUIDs, and the numbers of snapshots.
fn each_drawn(text: &str, mut found: impl FnMut(&str)) {
    let is_part = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
    for word in text.split(|letter: char| !is_part(letter)) {
        for at in 0..word.len().saturating_sub(35) {
            let name = &word[at..at + 36];
            let groups = name.split('-').map(str::len);
            if groups.eq([8, 4, 4, 4, 12]) {
                found(name);
            }
        }
        for number in word.split(|letter: char| !letter.is_ascii_digit()) {
            if number.len() > 15 {
                found(number);
            }
        }
    }
}
