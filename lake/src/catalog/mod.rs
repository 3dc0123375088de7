//! The catalog: Glue learns of what is in the lake.
//!
//! A run commits, acknowledges its STATE, and then syncs the catalog: [`by_registration`], which
//! writes tables and partitions with their exact types, or [`by_crawler`], which lets a crawler read
//! them from the files. Which tables the catalog may be behind of is noted in the lake before a
//! change is visible ([`dirty`]), so that neither a failure nor a kill leaves it behind for longer
//! than a run.
//!
//! Iceberg tables are none of its: each commit of theirs is a change of the catalog
//! ([`format`](crate::format)).
//!
//! ```text
//! Catalog → by_registration → register → partitions → entry → mismatch, hive
//!         → by_crawler → crawl → crawler
//!           session (the lake, notes, events) · api (what is asked of Glue) · glue (its requests)
//!           holds (which tables a database has, where personal data has one of its own)
//! ```

pub(crate) mod api;
mod by_crawler;
mod by_registration;
mod clock;
pub(crate) mod comment;
mod compared;
mod crawl;
mod crawler;
mod dirty;
mod entry;
mod event;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod glue;
mod hive;
mod holds;
mod mismatch;
pub(crate) mod options;
mod partitions;
mod register;
pub(crate) mod rejection;
mod session;

use std::sync::Arc;

pub use event::{Activity, Event, Hooks, Status};
pub use options::{CrawlerOptions, Method, Options, Wait};

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::table::Definition;
use crate::write::Committed;
use clock::SystemClock;
use glue::Glue;
use holds::Holds;
use session::Session;

/// The catalog of a run: one database, or one for everybody and one for personal data.
#[derive(Debug)]
pub struct Catalog {
    shared: Session,
    personal: Option<Session>,
}

impl Catalog {
    /// Opens the catalog of a lake. Nothing is asked of it yet. With options for `personal` tables,
    /// those with a personal column are in that database, and not in the other.
    pub fn open(
        lake: &Arc<Lake>,
        options: Options,
        personal: Option<Options>,
        hooks: Hooks,
    ) -> Result<Self> {
        let hooks = Arc::new(hooks);
        let open = |holds, options| -> Result<Session> {
            let glue = Box::new(Glue::open(&options, lake.aws())?);
            Ok(Session::new(lake, holds, options, glue, Arc::new(SystemClock), Arc::clone(&hooks)))
        };
        Ok(match personal {
            None => Self { shared: open(Holds::All, options)?, personal: None },
            Some(personal) => Self {
                shared: open(Holds::Shared, options)?,
                personal: Some(open(Holds::Personal, personal)?),
            },
        })
    }

    /// A table takes part in this run: it is looked at, whether it changes or not.
    pub fn track(&mut self, table: &Definition) {
        if table.is_iceberg() {
            // Its pointer is what registers it.
            return;
        }
        self.session_of(table).dirty_partitions(&table.table);
    }

    /// Notes in the lake that these tables are about to change.
    pub fn mark_dirty<'a>(
        &mut self,
        tables: impl IntoIterator<Item = &'a Definition>,
    ) -> Result<()> {
        let (mut shared, mut personal) = (Vec::new(), Vec::new());
        for table in tables.into_iter().filter(|table| !table.is_iceberg()) {
            let names = if self.shared.holds.has(table) { &mut shared } else { &mut personal };
            names.push(table.table.as_str());
        }
        self.shared.mark_dirty(shared)?;
        match &mut self.personal {
            Some(session) => session.mark_dirty(personal),
            None => Ok(()),
        }
    }

    /// A commit has changed a table.
    pub fn changed(&mut self, table: &Definition, committed: &Committed) {
        if table.is_iceberg() {
            return;
        }
        self.session_of(table).dirty_partitions(&table.table).add(committed);
    }

    /// Brings the catalog up to date with the lake. `stopped` says whether a signal asks for the end.
    /// A database that fails keeps the other one from nothing.
    pub fn sync(&mut self, wait: Wait, stopped: &dyn Fn() -> bool) -> Result<()> {
        let Some(personal) = &mut self.personal else {
            return sync(&mut self.shared, wait, stopped);
        };
        personal.take_over(&mut self.shared)?;
        let outcomes = [sync(&mut self.shared, wait, stopped), sync(personal, wait, stopped)];
        personal.warn_of_doubles(&self.shared);
        outcomes.into_iter().fold(Ok(()), both)
    }

    /// The ARN of a table, where Glue has it. It is asked.
    pub fn table_arn(&self, table: &Definition) -> Option<String> {
        let session = self.session(table);
        let name = session.options.table_name(&table.table);
        let found = session.glue.table(&name).ok()??;
        Some(session.glue.table_arn(&name, Some(&found)))
    }

    /// In what the catalog differs from the lake's table, in words. Nothing is written; an Iceberg table is what its
    /// catalog says.
    pub fn differences(&self, table: &Definition) -> Result<Vec<String>> {
        if table.is_iceberg() {
            return Ok(Vec::new());
        }
        compared::differences(self.session(table), &table.table)
    }

    /// What was done, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.shared.events.iter().chain(self.personal.iter().flat_map(|session| &session.events))
    }

    fn session(&self, table: &Definition) -> &Session {
        match &self.personal {
            Some(personal) if personal.holds.has(table) => personal,
            _ => &self.shared,
        }
    }

    fn session_of(&mut self, table: &Definition) -> &mut Session {
        match &mut self.personal {
            Some(personal) if personal.holds.has(table) => personal,
            _ => &mut self.shared,
        }
    }
}

fn sync(session: &mut Session, wait: Wait, stopped: &dyn Fn() -> bool) -> Result<()> {
    match session.options.method.clone() {
        Method::Registration => by_registration::sync(session),
        Method::Crawler(options) => by_crawler::sync(session, &options, wait, stopped),
    }
}

/// The outcome of both: where both are behind, of the tables of both, for the first reason.
fn both(first: Result<()>, second: Result<()>) -> Result<()> {
    match (first, second) {
        (
            Err(Error::CatalogBehind { tables, source }),
            Err(Error::CatalogBehind { tables: others, .. }),
        ) => Err(Error::CatalogBehind { tables: format!("{tables}, {others}"), source }),
        (first, second) => first.and(second),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::clock::tests::FakeClock;
    use super::dirty::tests::leave_note_of_dead_run;
    use super::fake::FakeGlue;
    use super::session::tests::{options, session_of};
    use super::*;
    use crate::schema::Column;
    use crate::table::Spec;
    use crate::testing::{LakeFolder, columns, rows};
    use crate::write::Table;

    /// A lake with the tables `open` and `secret`, of which the latter has a personal column.
    struct Setup {
        folder: LakeFolder,
        shared: FakeGlue,
        personal: FakeGlue,
        clock: Arc<FakeClock>,
    }

    impl Setup {
        fn new() -> Self {
            let glue = || {
                let glue = FakeGlue::default();
                glue.state().has_database = true;
                glue
            };
            let clock = Arc::new(FakeClock::new());
            Self { folder: LakeFolder::new(), shared: glue(), personal: glue(), clock }
        }

        fn session(&self, lake: &Arc<Lake>, holds: Holds) -> Session {
            let (name, glue) = match holds {
                Holds::All | Holds::Shared => ("d", &self.shared),
                Holds::Personal => ("d_personal", &self.personal),
            };
            session_of(lake, holds, options(name, Method::Registration), glue, &self.clock)
        }

        /// A run with both databases.
        fn run(&self) -> (Arc<Lake>, Catalog) {
            let lake = self.folder.lake();
            let shared = self.session(&lake, Holds::Shared);
            let personal = Some(self.session(&lake, Holds::Personal));
            (lake, Catalog { shared, personal })
        }

        /// A run that has only one.
        fn run_with_one(&self) -> (Arc<Lake>, Catalog) {
            let lake = self.folder.lake();
            let shared = self.session(&lake, Holds::All);
            (lake, Catalog { shared, personal: None })
        }

        /// The names of the tables in each database.
        fn tables(&self) -> (Vec<String>, Vec<String>) {
            let names = |glue: &FakeGlue| {
                let names: BTreeSet<_> = glue.state().tables.keys().cloned().collect();
                names.into_iter().collect()
            };
            (names(&self.shared), names(&self.personal))
        }
    }

    /// Writes a row into both tables.
    fn load(lake: &Arc<Lake>, catalog: &mut Catalog) {
        for table in ["open", "secret"] {
            let mut columns = columns();
            columns[1].personal = table == "secret";
            let spec = Arc::new(Spec::upsert(table, columns, ["id"]));
            let mut table = Table::open(lake, &spec).unwrap();
            table.push(&spec, &rows([1], &lake.run)).unwrap();
            catalog.track(table.definition());
            catalog.mark_dirty([table.definition()]).unwrap();
            let committed = table.commit(true).unwrap();
            catalog.changed(table.definition(), &committed);
        }
    }

    fn notes(lake: &Lake) -> usize {
        lake.store.list("_lake/catalog/").unwrap().len()
    }

    fn sync(catalog: &mut Catalog) -> Result<()> {
        catalog.sync(Wait::Configured, &|| false)
    }

    #[test]
    fn a_table_with_a_personal_column_is_in_the_database_of_those_alone() {
        let setup = Setup::new();
        let (lake, mut catalog) = setup.run();
        load(&lake, &mut catalog);
        assert_eq!(notes(&lake), 2);
        sync(&mut catalog).unwrap();
        assert_eq!(setup.tables(), (vec!["open".into()], vec!["secret".into()]));
        let databases: Vec<_> = catalog.events().map(|event| event.database.as_str()).collect();
        assert_eq!(databases, ["d", "d_personal"]);
        assert_eq!(notes(&lake), 0);
    }

    #[test]
    fn a_table_stays_in_the_database_of_personal_data_when_a_later_schema_has_no_mark() {
        let setup = Setup::new();
        let (lake, mut catalog) = setup.run();
        load(&lake, &mut catalog);
        let unmarked: Vec<Column> = columns();
        let spec = Arc::new(Spec::upsert("secret", unmarked, ["id"]));
        let table = Table::open(&lake, &spec).unwrap();
        assert!(table.definition().is_personal());
    }

    #[test]
    fn one_database_that_fails_keeps_the_other_from_nothing() {
        for refused in [Holds::Shared, Holds::Personal] {
            let setup = Setup::new();
            let (lake, mut catalog) = setup.run();
            load(&lake, &mut catalog);
            let glue = if refused == Holds::Shared { &setup.shared } else { &setup.personal };
            glue.deny("CreateTable");
            sync(&mut catalog).unwrap_err();
            let (shared, personal) = setup.tables();
            assert_eq!(shared.is_empty(), refused == Holds::Shared);
            assert_eq!(personal.is_empty(), refused == Holds::Personal);
            assert_eq!(notes(&lake), 1);
        }
    }

    #[test]
    fn what_a_dead_run_left_of_either_reaches_its_own_database() {
        let setup = Setup::new();
        let (lake, mut catalog) = setup.run();
        load(&lake, &mut catalog);
        drop(catalog);
        // It knew of one database only.
        for object in lake.store.list("_lake/catalog/").unwrap() {
            lake.store.delete(&object.key).unwrap();
        }
        leave_note_of_dead_run(&lake, &["open", "secret"]);
        let (lake, mut next) = setup.run();
        sync(&mut next).unwrap();
        assert_eq!(setup.tables(), (vec!["open".into()], vec!["secret".into()]));
        assert_eq!(notes(&lake), 0);
    }

    #[test]
    fn without_a_database_of_its_own_personal_data_is_in_the_one_and_what_was_noted_too() {
        let setup = Setup::new();
        let (lake, mut catalog) = setup.run();
        load(&lake, &mut catalog);
        setup.shared.deny("CreateTable");
        setup.personal.deny("CreateTable");
        sync(&mut catalog).unwrap_err();
        setup.shared.heal();
        let (lake, mut next) = setup.run_with_one();
        sync(&mut next).unwrap();
        assert_eq!(setup.tables(), (vec!["open".into(), "secret".into()], vec![]));
        assert_eq!(notes(&lake), 0);
    }
}
