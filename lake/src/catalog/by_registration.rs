//! Sync by registration: this program writes the tables of the run, and those of runs that died.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::event::{Activity, Event, Status};
use super::partitions::DirtyPartitions;
use super::register::{Registered, Registration};
use super::session::{Session, behind, partitions_with_files};
use crate::error::{Error, Result};

/// Registers all tables that may be dirty. One that fails keeps none of the others from it.
pub(super) fn sync(session: &mut Session) -> Result<()> {
    session.notes.read_others(&session.lake)?;
    let mut tables = session.dirty.clone();
    for table in session.notes.others().flat_map(|note| &note.tables) {
        tables.insert(table.clone(), DirtyPartitions::All);
    }
    let mut failed = BTreeSet::new();
    let mut first = None;
    let mut is_reachable = true;
    for (table, dirty) in &tables {
        if !is_reachable {
            failed.insert(table.clone());
            continue;
        }
        if let Err(error) = register_and_report(session, table, dirty) {
            failed.insert(table.clone());
            is_reachable = !matches!(error, Error::CatalogUnreachable { .. });
            first.get_or_insert(error);
        }
    }
    session.notes.finish(&session.lake, failed.clone(), None)?;
    first.map_or(Ok(()), |error| Err(behind(&failed, error)))
}

fn register_and_report(session: &mut Session, table: &str, dirty: &DirtyPartitions) -> Result<()> {
    let begun = session.clock.now();
    let outcome = register(session, table, dirty);
    let (status, partitions, error) = match &outcome {
        Ok(Registered { status: None, .. }) => return Ok(()),
        Ok(Registered { status: Some(status), partitions }) => (*status, *partitions, None),
        Err(error) => (Status::Failed, 0, Some(error.with_causes())),
    };
    session.emit(Event {
        table: Some(session.options.table_name(table)),
        partitions,
        error,
        ..session.event(Activity::Registration, status, begun)
    });
    outcome.map(drop)
}

/// Registers one table. One without a definition has no rows yet, or none any more: the catalog owes
/// it nothing.
fn register(session: &mut Session, table: &str, dirty: &DirtyPartitions) -> Result<Registered> {
    let Some(entry) = session.entry(table)? else {
        return Ok(Registered { status: None, partitions: 0 });
    };
    let lake = Arc::clone(&session.lake);
    let notes = &mut session.notes;
    let key = entry.key();
    let registration = Registration {
        tables: &*session.glue,
        entry: &entry,
        clock: &*session.clock,
        list: &|| match key {
            Some(key) => partitions_with_files(&lake, table, key),
            None => {
                Err(Error::internal(format!("only a partitioned table is listed, not {table}")))
            }
        },
        mark_dirty: &mut || notes.mark_dirty(&lake, [table]),
    };
    registration.register(dirty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::clock::tests::FakeClock;
    use crate::catalog::dirty::tests::{leave_note_of_dead_run, stored};
    use crate::catalog::fake::FakeGlue;
    use crate::catalog::options::Method;
    use crate::catalog::session::tests::{load, session};
    use crate::testing::LakeFolder;

    struct Setup {
        folder: LakeFolder,
        glue: FakeGlue,
        clock: Arc<FakeClock>,
    }

    impl Setup {
        fn new() -> Self {
            let glue = FakeGlue::default();
            glue.state().has_database = true;
            Self { folder: LakeFolder::new(), glue, clock: Arc::new(FakeClock::new()) }
        }

        /// Another run.
        fn run(&self) -> Session {
            session(&self.folder.lake(), &self.glue, &self.clock, Method::Registration)
        }
    }

    fn statuses(session: &Session) -> Vec<(&str, Status)> {
        session.events.iter().map(|event| (event.table.as_deref().unwrap(), event.status)).collect()
    }

    #[test]
    fn a_run_registers_what_it_has_changed_and_leaves_no_note() {
        let setup = Setup::new();
        let mut run = setup.run();
        load(&mut run, "t", &[0, 1]);
        assert_eq!(stored(&run.lake).len(), 1);
        sync(&mut run).unwrap();
        assert_eq!(statuses(&run), [("t", Status::Created)]);
        assert_eq!(run.events[0].partitions, 2);
        assert_eq!(setup.glue.values("t"), ["2026-01", "2026-02"]);
        assert!(stored(&run.lake).is_empty());
        let mut next = setup.run();
        load(&mut next, "t", &[2]);
        sync(&mut next).unwrap();
        assert_eq!(statuses(&next), [("t", Status::Updated)]);
        assert_eq!(setup.glue.values("t").len(), 3);
    }

    #[test]
    fn a_run_that_changes_nothing_reports_nothing() {
        let setup = Setup::new();
        let mut run = setup.run();
        load(&mut run, "t", &[0]);
        sync(&mut run).unwrap();
        let mut next = setup.run();
        next.dirty.insert("t".into(), DirtyPartitions::none());
        sync(&mut next).unwrap();
        assert!(next.events.is_empty());
        assert!(stored(&next.lake).is_empty());
    }

    #[test]
    fn one_table_that_fails_keeps_none_of_the_others_from_the_catalog_and_heals() {
        let setup = Setup::new();
        let mut run = setup.run();
        load(&mut run, "t", &[0]);
        load(&mut run, "u", &[0]);
        setup.glue.reject("GetTable", 1, "AccessDeniedException");
        let error = sync(&mut run).unwrap_err();
        assert!(error.to_string().ends_with("the catalog is behind: `t`"), "{error}");
        assert_eq!(statuses(&run), [("t", Status::Failed), ("u", Status::Created)]);
        let text = run.events[0].error.clone().unwrap();
        assert!(text.contains("the credentials need glue:GetTable"), "{text}");
        let notes = stored(&run.lake);
        assert_eq!((notes.len(), notes[0]["tables"][0].as_str()), (1, Some("t")));
        // The next run has no rows at all.
        let mut next = setup.run();
        sync(&mut next).unwrap();
        assert_eq!(statuses(&next), [("t", Status::Created)]);
        assert!(stored(&next.lake).is_empty());
    }

    #[test]
    fn a_glue_that_cannot_be_reached_is_asked_once() {
        let setup = Setup::new();
        let mut run = setup.run();
        for table in ["t", "u", "v"] {
            load(&mut run, table, &[0]);
        }
        setup.glue.reject("GetTable", 1, "ExpiredTokenException");
        let error = sync(&mut run).unwrap_err();
        assert!(error.to_string().ends_with("the catalog is behind: `t`, `u`, `v`"), "{error}");
        assert_eq!(setup.glue.count("GetTable"), 1);
        assert_eq!(run.events.len(), 1);
        assert_eq!(stored(&run.lake)[0]["tables"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn runs_that_fail_the_same_way_leave_one_note() {
        let setup = Setup::new();
        let mut run = setup.run();
        load(&mut run, "t", &[0]);
        setup.glue.deny("GetTable");
        sync(&mut run).unwrap_err();
        let mut next = setup.run();
        sync(&mut next).unwrap_err();
        assert_eq!(stored(&next.lake).len(), 1);
        setup.glue.heal();
        sync(&mut setup.run()).unwrap();
        assert!(stored(&next.lake).is_empty());
    }

    #[test]
    fn what_a_dead_run_has_left_is_compared_whole() {
        let setup = Setup::new();
        let mut run = setup.run();
        load(&mut run, "t", &[0, 1]);
        sync(&mut run).unwrap();
        // It has added a partition that no one knows of, and has died.
        load(&mut setup.run(), "t", &[2]);
        let lake = setup.folder.lake();
        leave_note_of_dead_run(&lake, &["t", "never_made"]);
        let mut next = setup.run();
        sync(&mut next).unwrap();
        assert_eq!(statuses(&next), [("t", Status::Updated)]);
        assert_eq!(setup.glue.values("t").len(), 3);
    }

    #[test]
    fn the_note_stays_where_a_write_is_cut_off() {
        let setup = Setup::new();
        let mut run = setup.run();
        load(&mut run, "t", &[0]);
        sync(&mut run).unwrap();
        let mut next = setup.run();
        load(&mut next, "t", &[1]);
        setup.glue.reject("BatchCreatePartition", 2, "InternalServiceException");
        sync(&mut next).unwrap_err();
        assert_eq!(stored(&next.lake).len(), 1);
        assert_eq!(setup.glue.values("t"), ["2026-01"]);
    }
}
