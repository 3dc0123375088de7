//! What both ways to sync a catalog work with: the lake, Glue, the notes, and what this run did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::api::GlueApi;
use super::clock::Clock;
use super::dirty::DirtyNotes;
use super::entry::TableEntry;
use super::event::{Activity, Event, Hooks, Status};
use super::holds::Holds;
use super::options::Options;
use super::partitions::{DirtyPartitions, Folders};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::table::partition;

/// The catalog in one run.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) options: Options,
    /// The tables that its database has.
    pub(super) holds: Holds,
    pub(super) lake: Arc<Lake>,
    pub(super) glue: Box<dyn GlueApi>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) notes: DirtyNotes,
    /// The tables of this run, and which of their partitions it has changed.
    pub(super) dirty: BTreeMap<String, DirtyPartitions>,
    /// What was done, in order.
    pub(super) events: Vec<Event>,
    hooks: Arc<Hooks>,
}

impl Session {
    /// A session that has asked Glue for nothing yet.
    pub(super) fn new(
        lake: &Arc<Lake>,
        holds: Holds,
        options: Options,
        glue: Box<dyn GlueApi>,
        clock: Arc<dyn Clock>,
        hooks: Arc<Hooks>,
    ) -> Self {
        Self {
            lake: Arc::clone(lake),
            holds,
            notes: DirtyNotes::new(lake, holds),
            dirty: BTreeMap::new(),
            events: Vec::new(),
            options,
            glue,
            clock,
            hooks,
        }
    }

    /// What of a table has changed in this run.
    pub(super) fn dirty_partitions(&mut self, table: &str) -> &mut DirtyPartitions {
        self.dirty.entry(table.to_owned()).or_insert_with(DirtyPartitions::none)
    }

    /// Writes down that these tables may be ahead of the catalog from now on.
    pub(super) fn mark_dirty<'a>(
        &mut self,
        tables: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        self.notes.mark_dirty(&self.lake, tables)
    }

    /// Whether its database has a table; one without a definition may be of any.
    pub(super) fn has(&self, table: &str) -> Result<bool> {
        if self.holds == Holds::All {
            return Ok(true);
        }
        Ok(self.lake.definition(table)?.is_none_or(|(_, table)| self.holds.has(&table)))
    }

    /// The names of all tables of the lake that its database has.
    pub(super) fn tables(&self) -> Result<BTreeSet<String>> {
        let mut tables = BTreeSet::new();
        for table in self.lake.tables()? {
            if self.has(&table)? {
                tables.insert(table);
            }
        }
        Ok(tables)
    }

    /// Takes over what runs that died before there was this database have left to another.
    pub(super) fn take_over(&mut self, other: &mut Self) -> Result<()> {
        other.notes.read_others(&other.lake)?;
        for table in other.notes.others().flat_map(|note| &note.tables) {
            let Some((_, definition)) = self.lake.definition(table)? else { continue };
            if self.holds.has(&definition) {
                self.notes.mark_dirty(&self.lake, [table.as_str()])?;
                self.dirty.insert(table.clone(), DirtyPartitions::All);
            }
        }
        Ok(())
    }

    /// Says which tables of this run are in another database too, from when that had all of them.
    pub(super) fn warn_of_doubles(&self, other: &Self) {
        for table in self.dirty.keys() {
            let name = other.options.table_name(table);
            // Who may not look there cannot be told.
            if let Ok(Some(_)) = other.glue.table(&name) {
                tracing::warn!(
                    table = name,
                    "the table holds personal data and is in database `{}` as well as in `{}`; \
                     remove it from the first, where nothing writes it any more: \
                     aws glue delete-table --database-name {} --name {name}",
                    other.options.database,
                    self.options.database,
                    other.options.database,
                );
            }
        }
    }

    /// A table as its definition says it must be in the catalog; nothing for one without a definition,
    /// or one that is in another database.
    pub(super) fn entry(&self, table: &str) -> Result<Option<TableEntry>> {
        let Some((_, definition)) = self.lake.definition(table)? else { return Ok(None) };
        if !self.holds.has(&definition) {
            return Ok(None);
        }
        let compression = (self.hooks.encoding)(&definition.stream).compression;
        TableEntry::new(&definition, &self.options, self.location(table), compression).map(Some)
    }

    /// Where a table's files are, with a slash behind it.
    pub(super) fn location(&self, table: &str) -> String {
        self.lake.store.locate(&format!("{table}/"))
    }

    /// An event of what began at `begun` and has ended now.
    pub(super) fn event(&self, activity: Activity, status: Status, begun: Instant) -> Event {
        let seconds = self.clock.now().duration_since(begun).as_secs_f64();
        Event {
            event: activity,
            database: self.options.database.clone(),
            table: None,
            tables: Vec::new(),
            partitions: 0,
            crawler: None,
            status,
            seconds: (seconds * 1000.0).round() / 1000.0,
            error: None,
        }
    }

    /// Reports an event, and keeps it for the summary.
    pub(super) fn emit(&mut self, event: Event) {
        (self.hooks.report)(&event);
        self.events.push(event);
    }
}

/// The catalog is behind of these tables, for the first of the errors that kept it so.
pub(super) fn behind(tables: &BTreeSet<String>, error: Error) -> Error {
    let names: Vec<_> = tables.iter().map(|table| format!("`{table}`")).collect();
    Error::CatalogBehind { tables: names.join(", "), source: Box::new(error) }
}

/// The folders of a table that have Parquet files, each with a slash behind it; the empty one for the
/// table itself.
pub(super) fn folders_with_files(lake: &Lake, table: &str) -> Result<BTreeSet<String>> {
    let prefix = format!("{table}/");
    let mut folders = BTreeSet::new();
    for object in lake.store.list(&prefix)? {
        let Some(inner) = object.key.strip_prefix(&prefix) else {
            return Err(Error::internal(format!(
                "a listing of `{prefix}` holds keys below it, not `{}`",
                object.key
            )));
        };
        match inner.rsplit_once('/') {
            _ if !inner.ends_with(".parquet") => {}
            Some((folder, _)) => _ = folders.insert(format!("{folder}/")),
            None => _ = folders.insert(String::new()),
        }
    }
    Ok(folders)
}

/// The partitions of a table that have files, by the values of its key. A folder that is none of its
/// partitions was not written by this program, and stays out of the catalog.
pub(super) fn partitions_with_files(lake: &Lake, table: &str, key: &str) -> Result<Folders> {
    let mut partitions = Folders::new();
    for folder in folders_with_files(lake, table)? {
        match partition::value(&folder, key) {
            Some(value) => _ = partitions.insert(value, folder),
            None => tracing::warn!(
                table,
                folder,
                "files in a folder that is no partition of the table are not registered"
            ),
        }
    }
    Ok(partitions)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::catalog::clock::tests::FakeClock;
    use crate::catalog::fake::FakeGlue;
    use crate::catalog::options::Method;
    use crate::file::encoding::Encoding;
    use crate::store::Condition;
    use crate::table::spec::Spec;
    use crate::testing::{LakeFolder, by_month, rows};
    use crate::write::Table;

    /// A run of a lake whose catalog is a fake.
    pub(in crate::catalog) fn session(
        lake: &Arc<Lake>,
        glue: &FakeGlue,
        clock: &Arc<FakeClock>,
        method: Method,
    ) -> Session {
        session_of(lake, Holds::All, options("d", method), glue, clock)
    }

    /// The options of a database.
    pub(in crate::catalog) fn options(database: &str, method: Method) -> Options {
        Options {
            method,
            database: database.into(),
            table_prefix: None,
            catalog_id: None,
            region: None,
            endpoint_url: None,
        }
    }

    /// A run of a lake with one of its databases.
    pub(in crate::catalog) fn session_of(
        lake: &Arc<Lake>,
        holds: Holds,
        options: Options,
        glue: &FakeGlue,
        clock: &Arc<FakeClock>,
    ) -> Session {
        let hooks = Hooks { report: Box::new(|_| {}), encoding: Box::new(|_| Encoding::default()) };
        let clock = Arc::<FakeClock>::clone(clock);
        Session::new(lake, holds, options, Box::new(glue.clone()), clock, Arc::new(hooks))
    }

    /// Loads rows of these ids into a table that is split by month, as a run does.
    pub(in crate::catalog) fn load(session: &mut Session, table: &str, ids: &[i64]) {
        let spec = Arc::new(Spec { table: table.into(), stream: table.into(), ..by_month() });
        let mut writer = Table::open(&session.lake, &spec).unwrap();
        writer.push(&spec, &rows(ids.iter().copied(), "a")).unwrap();
        session.notes.mark_dirty(&session.lake, [table]).unwrap();
        let committed = writer.commit(true).unwrap();
        let dirty = session.dirty.entry(table.to_owned());
        dirty.or_insert_with(DirtyPartitions::none).add(&committed);
    }

    #[test]
    fn folders_without_parquet_are_not_listed_and_no_partition_is_made_up() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        for key in [
            "t/month=2026-01/part-00000.parquet",
            "t/month=2026-01/x.parquet",
            "t/month=2026-02/notes.json",
            "t/month=/part-00000.parquet",
            "t/stray.parquet",
            "t/other=1/part-00000.parquet",
            "t2/month=2026-03/part-00000.parquet",
        ] {
            lake.store.put(key, b"x", Condition::Always).unwrap();
        }
        let folders = folders_with_files(&lake, "t").unwrap();
        let expected = ["", "month=/", "month=2026-01/", "other=1/"];
        assert_eq!(folders.iter().collect::<Vec<_>>(), expected);
        let partitions = partitions_with_files(&lake, "t", "month").unwrap();
        assert_eq!(partitions, [("2026-01".to_owned(), "month=2026-01/".to_owned())].into());
    }

    #[test]
    fn an_event_of_the_log_has_its_keys_and_words() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let (glue, clock) = (FakeGlue::default(), Arc::new(FakeClock::new()));
        let session = session(&lake, &glue, &clock, Method::Registration);
        let begun = session.clock.now();
        session.clock.sleep(std::time::Duration::from_micros(1_234_500));
        let event = Event {
            table: Some("t".into()),
            ..session.event(Activity::Registration, Status::Created, begun)
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"registration","database":"d","table":"t","partitions":0,"crawler":null,"status":"created","seconds":1.235}"#
        );
        let words = [
            Status::Updated,
            Status::Succeeded,
            Status::Started,
            Status::Interrupted,
            Status::Failed,
        ];
        assert_eq!(
            serde_json::to_string(&words).unwrap(),
            r#"["updated","succeeded","started","interrupted","failed"]"#
        );
        assert_eq!(serde_json::to_string(&Activity::Crawl).unwrap(), r#""crawl""#);
    }

    #[test]
    fn an_error_of_the_log_has_its_causes() {
        let error = Error::CatalogUnreachable {
            reason: "Glue does not answer GetTable".into(),
            source: Some("connection refused".into()),
        };
        let text = error.with_causes();
        assert!(text.ends_with("Glue does not answer GetTable: connection refused"), "{text}");
    }

    #[test]
    fn a_table_without_a_definition_has_no_entry() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let (glue, clock) = (FakeGlue::default(), Arc::new(FakeClock::new()));
        let mut session = session(&lake, &glue, &clock, Method::Registration);
        session.options.table_prefix = Some("raw_".into());
        assert!(session.entry("t").unwrap().is_none());
        load(&mut session, "t", &[1]);
        let entry = session.entry("t").unwrap().unwrap();
        assert_eq!((entry.name.as_str(), entry.key()), ("raw_t", Some("month")));
    }
}
