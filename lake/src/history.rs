//! What the last runs brought to each table: `_lake/runs/<table>.json`.
//!
//! It is there to say when a run is unlike those before it, and for whoever asks a lake when a table was last
//! written. Nothing depends on it: a run whose note is lost has written its rows all the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::store::{Condition, Object};
use crate::write::retry::persist;

/// Where the notes are.
const RUNS: &str = "_lake/runs/";

/// The version of the form of a note.
const FORMAT: u32 = 1;

/// What one run brought to a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The run.
    pub run: String,
    /// When it ended, by RFC 3339.
    pub at: String,
    /// Records that it read.
    pub records: u64,
    /// Rows of them that the table did not have.
    pub rows_new: u64,
    /// The newest value of the column by which the source goes on, or of the partition column: that of the runs before
    /// where it brought none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Newest>,
    /// By column, how many of the records had no value.
    #[serde(skip)]
    pub nulls: BTreeMap<String, u64>,
}

/// The newest value of a column of dates or times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Newest {
    /// The column.
    pub column: String,
    /// The value, as ISO 8601 writes it.
    pub value: String,
}

/// What the last runs brought to a table, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    format: u32,
    /// The table.
    pub table: String,
    /// By run. The nulls are apart, so that a wide table has its names once.
    pub runs: Vec<Brought>,
    /// By column, how many records of each run had no value; none of a run that did not know the column.
    nulls: BTreeMap<String, Vec<Option<u64>>>,
}

impl History {
    /// That of a table of which nothing is known.
    pub fn none(table: &str) -> Self {
        let (runs, nulls) = Default::default();
        Self { format: FORMAT, table: table.to_owned(), runs, nulls }
    }

    /// How many of the records of each run had no value in a column; nothing for runs that had no record, or did not
    /// know the column. With it, how many records there were.
    pub fn nulls<'a>(&'a self, column: &str) -> impl Iterator<Item = (u64, u64)> + 'a {
        let known = self.nulls.get(column).into_iter().flatten();
        let of_run = |(nulls, run): (&Option<u64>, &Brought)| Some(((*nulls)?, run.records));
        known.zip(&self.runs).filter_map(of_run).filter(|(_, records)| *records > 0)
    }

    /// The newest value that the runs have seen.
    pub fn newest(&self) -> Option<&Newest> {
        self.runs.last()?.newest.as_ref()
    }

    /// Adds what another run brought; of more than so many runs the oldest are forgotten.
    pub fn add(&mut self, mut brought: Brought, most: usize) {
        let before = self.runs.len();
        if brought.newest.is_none() {
            // It has not become newer.
            brought.newest = self.newest().cloned();
        }
        for (column, nulls) in &brought.nulls {
            let known = self.nulls.entry(column.clone()).or_insert_with(|| vec![None; before]);
            known.push(Some(*nulls));
        }
        self.runs.push(brought);
        let surplus = self.runs.len().saturating_sub(most);
        self.runs.drain(..surplus);
        for known in self.nulls.values_mut() {
            known.resize(before + 1, None);
            known.drain(..surplus);
        }
        self.nulls.retain(|_, known| known.iter().any(Option::is_some));
    }

    fn parse(text: &[u8], object: &str) -> Result<Self> {
        let damaged =
            |reason: String| Error::store("read", object, format!("it is damaged: {reason}"));
        let known: Self =
            serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if known.format != FORMAT {
            return Err(damaged(format!("format {} is not known", known.format)));
        }
        if known.nulls.values().any(|nulls| nulls.len() != known.runs.len()) {
            return Err(damaged("a column is not of as many runs as there are".into()));
        }
        Ok(known)
    }

    fn text(&self) -> Result<Vec<u8>> {
        let mut text =
            serde_json::to_vec(self).map_err(|error| Error::broken("a history is JSON", error))?;
        text.push(b'\n');
        Ok(text)
    }
}

impl Lake {
    /// What the last runs brought to a table, with the object that says so, if there is one.
    fn history(&self, table: &str) -> Result<(Option<Object>, History)> {
        let key = key(table);
        let Some((object, text)) = self.store.get(&key)? else {
            return Ok((None, History::none(table)));
        };
        Ok((Some(object), History::parse(&text, &self.store.locate(&key))?))
    }

    /// Notes what this run brought to some tables, several at once: for each what was known of it before.
    pub fn remember_all(
        &self,
        brought: &BTreeMap<String, Brought>,
        most: usize,
    ) -> Result<BTreeMap<String, Result<History>>> {
        let mut before = BTreeMap::new();
        let remember = |(table, brought): (&String, &Brought)| {
            (table.clone(), self.remember(table, brought, most))
        };
        at_once(self.at_once, brought, remember, |(table, known)| {
            before.insert(table, known);
            Ok(())
        })?;
        Ok(before)
    }

    /// Notes what this run brought to a table, beside what the runs before it brought; of more than `most` the oldest
    /// are forgotten. What was known before.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] for a note that is damaged: it stays as it is.
    fn remember(&self, table: &str, brought: &Brought, most: usize) -> Result<History> {
        persist(|| {
            let (stored, before) = self.history(table)?;
            let mut after = before.clone();
            after.add(brought.clone(), most);
            self.store.put(&key(table), &after.text()?, Condition::still(stored.as_ref()))?;
            Ok(before)
        })
    }
}

fn key(table: &str) -> String {
    format!("{RUNS}{table}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::LakeFolder;

    fn brought(records: u64, nulls: &[(&str, u64)]) -> Brought {
        let nulls = nulls.iter().map(|(column, count)| ((*column).to_owned(), *count)).collect();
        Brought {
            run: "r".into(),
            at: "2026-01-01T00:00:00Z".into(),
            records,
            nulls,
            ..Brought::default()
        }
    }

    #[test]
    fn what_runs_brought_is_remembered_up_to_so_many_of_them() {
        let folder = LakeFolder::new();
        for number in 0..5 {
            let before =
                folder.lake().remember("t", &brought(number, &[("a", number)]), 3).unwrap();
            assert_eq!(before.runs.len() as u64, number.min(3));
        }
        let known = folder.lake().history("t").unwrap().1;
        let records: Vec<_> = known.runs.iter().map(|run| run.records).collect();
        assert_eq!(records, [2, 3, 4]);
        assert_eq!(known.nulls("a").collect::<Vec<_>>(), [(2, 2), (3, 3), (4, 4)]);
        assert_eq!(folder.lake().history("u").unwrap().1, History::none("u"));
    }

    #[test]
    fn a_column_that_comes_later_or_goes_is_known_for_the_runs_that_had_it() {
        let mut history = History::none("t");
        history.add(brought(5, &[("a", 0)]), 3);
        history.add(brought(6, &[("a", 1), ("b", 6)]), 3);
        // A run without records says nothing of its columns.
        history.add(brought(0, &[("a", 0), ("b", 0)]), 3);
        assert_eq!(history.nulls("a").collect::<Vec<_>>(), [(0, 5), (1, 6)]);
        assert_eq!(history.nulls("b").collect::<Vec<_>>(), [(6, 6)]);
        for _ in 0..3 {
            history.add(brought(7, &[("b", 0)]), 3);
        }
        assert_eq!(history.nulls("a").count(), 0);
        let text = history.text().unwrap();
        assert!(!String::from_utf8(text.clone()).unwrap().contains("\"a\""));
        assert_eq!(History::parse(&text, "o").unwrap().nulls("b").count(), 3);
    }

    #[test]
    fn a_note_that_is_damaged_is_an_error_and_stays() {
        let folder = LakeFolder::new();
        let whole = History::none("t").text().unwrap();
        let newer = br#"{"format":2,"table":"t","runs":[],"nulls":{}}"#;
        let uneven = br#"{"format":1,"table":"t","runs":[],"nulls":{"a":[1]}}"#;
        for text in [&whole[..9], newer, uneven] {
            folder.lake().store.put(&key("t"), text, Condition::Always).unwrap();
            let error = folder.lake().remember("t", &brought(1, &[]), 3).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("it is damaged"), "{cause}");
            assert!(error.to_string().contains("t.json"), "{error}");
            assert_eq!(folder.lake().store.get(&key("t")).unwrap().unwrap().1, text);
        }
    }

    #[test]
    fn runs_at_the_same_time_all_count() {
        let folder = LakeFolder::new();
        std::thread::scope(|scope| {
            for number in 0..6 {
                let lake = folder.lake();
                scope.spawn(move || lake.remember("t", &brought(number, &[]), 14).unwrap());
            }
        });
        assert_eq!(folder.lake().history("t").unwrap().1.runs.len(), 6);
    }
}
