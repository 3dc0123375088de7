//! Registration: one table of the catalog becomes as the lake's.
//!
//! Read, compare, write what differs. Whoever writes at the same time makes a write fail by the
//! table's version, or find a partition there already; then it is read and compared again.

use std::time::Duration;

use aws_sdk_glue::types::{Column, StorageDescriptor, Table};
use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::api::TableApi;
use super::clock::Clock;
use super::entry::TableEntry;
use super::event::Status;
use super::mismatch::Mismatch;
use super::partitions::{DirtyPartitions, Folders, PartitionChanges, committed_folders};
use super::rejection::Reason;
use crate::error::{Error, Result};

/// Tries of a write that others keep disturbing, and the waits between them.
const RETRIES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(20))
    .with_factor(2.0)
    .with_max_delay(Duration::from_millis(1280))
    .with_max_times(20);

/// What a registration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registered {
    /// [`Status::Created`], [`Status::Updated`], or nothing where the catalog was right.
    pub(super) status: Option<Status>,
    /// Partitions that were written.
    pub(super) partitions: usize,
}

/// One table on its way into the catalog.
pub(super) struct Registration<'a> {
    pub(super) tables: &'a dyn TableApi,
    pub(super) entry: &'a TableEntry,
    pub(super) clock: &'a dyn Clock,
    /// Lists the partitions of the table that the lake has, by value.
    pub(super) list: &'a dyn Fn() -> Result<Folders>,
    /// Called before the first write and again before others: the catalog may be left behind.
    pub(super) mark_dirty: &'a mut dyn FnMut() -> Result<()>,
}

impl Registration<'_> {
    /// Writes the table and its dirty partitions, as far as they differ.
    pub(super) fn register(mut self, dirty: &DirtyPartitions) -> Result<Registered> {
        let mut registered = Registered { status: None, partitions: 0 };
        let mut dirty = dirty;
        for delay in RETRIES.build() {
            let (table, status) = self.write_table()?;
            if status.is_some() {
                // Columns of partitions are those of the table, and a new table knows no partition.
                dirty = &DirtyPartitions::All;
                registered.status = status;
            }
            let Some(key) = self.entry.key() else { return Ok(registered) };
            if dirty.is_empty() {
                return Ok(registered);
            }
            let columns = columns_of(&table).ok_or_else(|| {
                Error::internal(format!("the table `{}` that was compared has columns", table.name))
            })?;
            let changes = self.compare_partitions(key, dirty, &table, columns)?;
            let count = changes.count();
            if count == 0 {
                return Ok(registered);
            }
            (self.mark_dirty)()?;
            let stale = changes.write(self.tables, &self.entry.name)?;
            registered.partitions += count - stale.min(count);
            registered.status = registered.status.or(Some(Status::Updated));
            if stale == 0 {
                // Another writer that has added a column meanwhile has not found our partitions.
                let now = self.tables.table(&self.entry.name)?;
                if now.as_ref().and_then(columns_of) == Some(columns) {
                    return Ok(registered);
                }
                dirty = &DirtyPartitions::All;
            }
            self.clock.sleep(delay);
        }
        Err(self.disturbed())
    }

    /// Creates or updates the table itself. With it comes what was done to it, if anything was.
    fn write_table(&mut self) -> Result<(Table, Option<Status>)> {
        let mut status = None;
        for delay in RETRIES.build() {
            let outcome = match self.tables.table(&self.entry.name)? {
                None => {
                    (self.mark_dirty)()?;
                    status = Some(Status::Created);
                    match self.tables.create_table(self.entry.create()) {
                        Err(rejection) if rejection.reason == Reason::Missing => {
                            self.tables.create_database()
                        }
                        outcome => outcome,
                    }
                }
                Some(found) => {
                    let update = self
                        .entry
                        .update(&found)
                        .map_err(|mismatch| self.mismatched(&found, &mismatch))?;
                    let Some(update) = update else { return Ok((found, status)) };
                    (self.mark_dirty)()?;
                    status = status.or(Some(Status::Updated));
                    self.tables.update_table(update, found.version_id.as_deref())
                }
            };
            // After a write it is read again: what the catalog holds now is what partitions follow.
            let Err(rejection) = outcome else { continue };
            match rejection.reason {
                Reason::Modified | Reason::Exists | Reason::Missing => self.clock.sleep(delay),
                Reason::Running | Reason::Denied | Reason::Unreachable | Reason::Other => {
                    return Err(rejection.into());
                }
            }
        }
        Err(self.disturbed())
    }

    /// Compares the dirty partitions. Those of the catalog are read before the folders are listed: a
    /// partition that comes meanwhile has its folder by then.
    fn compare_partitions(
        &self,
        key: &str,
        dirty: &DirtyPartitions,
        table: &Table,
        columns: &[Column],
    ) -> Result<PartitionChanges> {
        let (found, folders, complete) = match dirty {
            DirtyPartitions::All => {
                let found = self.tables.partitions(&self.entry.name)?;
                (found, (self.list)()?, true)
            }
            DirtyPartitions::Folders(folders) => {
                let folders = committed_folders(key, folders)?;
                let values: Vec<String> = folders.keys().cloned().collect();
                (self.tables.find_partitions(&self.entry.name, &values)?, folders, false)
            }
        };
        PartitionChanges::between(self.entry, &folders, &found, columns, complete)
            .map_err(|mismatch| self.mismatched(table, &mismatch))
    }

    fn mismatched(&self, found: &Table, mismatch: &Mismatch) -> Error {
        Error::Catalog {
            object: self.tables.table_arn(&self.entry.name, Some(found)),
            reason: format!(
                "{mismatch}; remove it from the catalog, or set another `catalog.database` or `catalog.table_prefix`"
            ),
            source: None,
        }
    }

    fn disturbed(&self) -> Error {
        Error::Catalog {
            object: self.tables.table_arn(&self.entry.name, None),
            reason: "others kept changing it at the same time".into(),
            source: None,
        }
    }
}

fn columns_of(table: &Table) -> Option<&[Column]> {
    table.storage_descriptor.as_ref().map(StorageDescriptor::columns)
}

#[cfg(test)]
mod tests {
    use aws_sdk_glue::types::TableInput;

    use super::*;
    use crate::catalog::clock::tests::FakeClock;
    use crate::catalog::entry::tests::{entry, entry_with};
    use crate::catalog::fake::{FakeGlue, column, types};

    /// The table `t` beside a Glue, with partitions of some values in the lake.
    struct Setup {
        glue: FakeGlue,
        entry: TableEntry,
        clock: FakeClock,
        values: Vec<&'static str>,
        marked: usize,
    }

    fn setup(values: &[&'static str]) -> Setup {
        let glue = FakeGlue::default();
        glue.state().has_database = true;
        let values = values.to_vec();
        Setup { glue, entry: entry(), clock: FakeClock::new(), values, marked: 0 }
    }

    /// A table with these partitions that has been registered already.
    fn registered(values: &[&'static str]) -> Setup {
        let mut setup = setup(values);
        setup.register(&DirtyPartitions::All).unwrap();
        setup.glue.take_writes();
        setup.marked = 0;
        setup
    }

    fn folder(value: &str) -> String {
        format!("p_id={value}/")
    }

    fn dirty(values: &[&str]) -> DirtyPartitions {
        DirtyPartitions::Folders(values.iter().map(|value| folder(value)).collect())
    }

    fn wider() -> TableEntry {
        entry_with(&serde_json::json!([
            {"source": "id", "name": "id", "kind": "double"},
            {"source": "tags", "name": "tags", "kind": {"list": "string"}},
            {"source": "new", "name": "new", "kind": "boolean"},
        ]))
    }

    fn done(status: Option<Status>, partitions: usize) -> Registered {
        Registered { status, partitions }
    }

    impl Setup {
        fn register(&mut self, dirty: &DirtyPartitions) -> Result<Registered> {
            let folders: Folders =
                self.values.iter().map(|value| ((*value).to_owned(), folder(value))).collect();
            let registration = Registration {
                tables: &self.glue,
                entry: &self.entry,
                clock: &self.clock,
                list: &|| Ok(folders.clone()),
                mark_dirty: &mut || {
                    self.marked += 1;
                    Ok(())
                },
            };
            registration.register(dirty)
        }

        /// The types of the table's columns and, where they are the same, of all its partitions'.
        fn types(&self) -> Vec<(String, String)> {
            let state = self.glue.state();
            let of_table = types(state.tables["t"].storage_descriptor());
            for partition in state.partitions.values() {
                assert_eq!(types(partition.storage_descriptor()), of_table);
            }
            of_table
        }
    }

    #[test]
    fn a_first_registration_makes_database_table_and_all_partitions() {
        let mut setup = setup(&["1", "2"]);
        setup.glue.state().has_database = false;
        let outcome = setup.register(&dirty(&["1"])).unwrap();
        assert_eq!(outcome, done(Some(Status::Created), 2));
        let writes = ["CreateTable", "CreateDatabase", "CreateTable", "BatchCreatePartition"];
        assert_eq!(setup.glue.take_writes(), writes);
        assert_eq!(setup.glue.values("t"), ["1", "2"]);
        assert_eq!(setup.types().len(), 2);
        assert!(setup.marked > 0);
    }

    #[test]
    fn nothing_is_written_or_marked_where_nothing_has_changed() {
        let mut setup = registered(&["1", "2"]);
        for dirty in [DirtyPartitions::none(), dirty(&["1"]), DirtyPartitions::All] {
            assert_eq!(setup.register(&dirty).unwrap(), done(None, 0));
        }
        assert_eq!(setup.glue.take_writes(), [""; 0]);
        assert_eq!(setup.marked, 0);
    }

    #[test]
    fn a_table_without_dirty_partitions_is_asked_for_once() {
        let mut setup = registered(&["1"]);
        setup.register(&DirtyPartitions::none()).unwrap();
        assert_eq!(setup.glue.state().asked, ["GetTable"]);
    }

    #[test]
    fn a_new_partition_does_not_touch_the_table() {
        let mut setup = registered(&["1"]);
        setup.values.push("2");
        let outcome = setup.register(&dirty(&["1", "2"])).unwrap();
        assert_eq!(outcome, done(Some(Status::Updated), 1));
        assert_eq!(setup.glue.take_writes(), ["BatchCreatePartition"]);
        assert_eq!(setup.glue.state().tables["t"].version_id(), Some("1"));
        assert_eq!(setup.glue.values("t"), ["1", "2"]);
    }

    #[test]
    fn new_and_widened_columns_reach_the_table_and_every_partition() {
        let mut setup = registered(&["1", "2", "3"]);
        setup.entry = wider();
        let outcome = setup.register(&dirty(&["1"])).unwrap();
        assert_eq!(outcome, done(Some(Status::Updated), 3));
        assert_eq!(setup.glue.take_writes(), ["UpdateTable", "BatchUpdatePartition"]);
        let expected = [("id", "double"), ("tags", "array<string>"), ("new", "boolean")];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        assert_eq!(setup.types(), expected);
    }

    #[test]
    fn another_writer_in_between_is_read_again_and_not_overwritten() {
        let mut setup = registered(&["1"]);
        setup.entry = wider();
        setup.glue.interfere("UpdateTable", 1, |state| {
            state.change_table("t", |table| {
                table.parameters.as_mut().unwrap().insert("theirs".into(), "1".into());
            });
        });
        assert_eq!(setup.register(&DirtyPartitions::none()).unwrap().status, Some(Status::Updated));
        assert_eq!(setup.glue.count("UpdateTable"), 2);
        assert_eq!(setup.glue.state().tables["t"].parameters().unwrap()["theirs"], "1");
        assert_eq!(setup.types().len(), 3);
        assert_eq!(setup.clock.slept(), Duration::from_millis(20));
    }

    #[test]
    fn a_table_that_another_writer_makes_first_is_merged_with() {
        let mut setup = setup(&["1"]);
        let theirs: TableInput = entry_with(&serde_json::json!([
            {"source": "theirs", "name": "theirs", "kind": "string"},
        ]))
        .create();
        setup.glue.interfere("CreateTable", 1, |state| state.put_table(theirs));
        setup.register(&DirtyPartitions::All).unwrap();
        assert_eq!(setup.glue.count("CreateTable"), 1);
        let names: Vec<String> = setup.types().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["theirs", "id", "tags"]);
    }

    #[test]
    fn a_table_that_never_stands_still_is_given_up_on() {
        let mut setup = registered(&["1"]);
        setup.entry = wider();
        for nth in 1..=20 {
            setup.glue.reject("UpdateTable", nth, "ConcurrentModificationException");
        }
        let error = setup.register(&DirtyPartitions::none()).unwrap_err();
        assert_eq!(error.to_string(), "arn:table/t: others kept changing it at the same time");
        assert_eq!(setup.glue.count("UpdateTable"), 20);
        let longest = setup.clock.sleeps.lock().unwrap().iter().max().copied();
        assert_eq!(longest, Some(Duration::from_millis(1280)));
    }

    #[test]
    fn a_partition_that_another_writer_makes_first_is_compared_again() {
        let mut setup = registered(&[]);
        setup.values.push("1");
        let theirs = setup.entry.create_partition("1", &folder("1"), &[column("old", "int")]);
        setup.glue.interfere("BatchCreatePartition", 1, move |state| {
            state.put_partition("t", &theirs);
        });
        let outcome = setup.register(&dirty(&["1"])).unwrap();
        assert_eq!(outcome, done(Some(Status::Updated), 1));
        assert_eq!(setup.glue.take_writes(), ["BatchCreatePartition", "BatchUpdatePartition"]);
        assert_eq!(setup.types().len(), 2);
    }

    #[test]
    fn a_partition_that_goes_before_it_is_updated_is_made_again() {
        let mut setup = registered(&["1"]);
        setup.entry = wider();
        setup.glue.interfere("BatchUpdatePartition", 1, |state| state.partitions.clear());
        setup.register(&dirty(&["1"])).unwrap();
        assert_eq!(setup.glue.values("t"), ["1"]);
        assert_eq!(setup.types().len(), 3);
    }

    #[test]
    fn a_column_that_comes_while_partitions_are_made_reaches_them() {
        let mut setup = registered(&["1"]);
        setup.values.push("2");
        setup.glue.interfere("BatchCreatePartition", 1, |state| {
            state.change_table("t", |table| {
                let own = table.storage_descriptor.as_mut().unwrap();
                own.columns.as_mut().unwrap().push(column("theirs", "string"));
            });
        });
        setup.register(&dirty(&["2"])).unwrap();
        assert_eq!(setup.glue.values("t"), ["1", "2"]);
        assert_eq!(setup.types().len(), 3);
    }

    #[test]
    fn partitions_that_are_gone_leave_only_when_the_whole_table_is_compared() {
        let mut setup = registered(&["1", "2"]);
        setup.values = vec!["1"];
        assert_eq!(setup.register(&dirty(&["1"])).unwrap(), done(None, 0));
        assert_eq!(setup.glue.values("t"), ["1", "2"]);
        let outcome = setup.register(&DirtyPartitions::All).unwrap();
        assert_eq!(outcome, done(Some(Status::Updated), 1));
        assert_eq!(setup.glue.values("t"), ["1"]);
    }

    #[test]
    fn a_partition_elsewhere_is_not_ours_to_remove() {
        let mut setup = registered(&["1"]);
        let mut theirs = setup.entry.create_partition("9", "x/", &[]);
        theirs.storage_descriptor.as_mut().unwrap().location = Some("s3://theirs/9/".into());
        setup.glue.state().put_partition("t", &theirs);
        assert_eq!(setup.register(&DirtyPartitions::All).unwrap(), done(None, 0));
        assert_eq!(setup.glue.values("t"), ["1", "9"]);
    }

    #[test]
    fn a_table_or_partition_that_is_not_ours_is_named_and_not_written() {
        let mut setup = registered(&["1"]);
        setup.entry = wider();
        setup.glue.state().change_table("t", |table| {
            table.storage_descriptor.as_mut().unwrap().location = Some("s3://theirs/".into());
        });
        let error = setup.register(&DirtyPartitions::All).unwrap_err().to_string();
        assert!(error.starts_with("arn:table/t: it is at s3://theirs/"), "{error}");
        assert!(error.contains("`catalog.table_prefix`"), "{error}");
        assert_eq!(setup.glue.take_writes(), [""; 0]);
        assert_eq!(setup.marked, 0);
    }

    #[test]
    fn a_partition_without_the_one_value_of_its_key_is_an_error() {
        let mut setup = registered(&["1"]);
        let key = ("t".to_owned(), "1".to_owned());
        for values in [None, Some(vec!["1".to_owned(), "2".to_owned()])] {
            setup.glue.state().partitions.get_mut(&key).unwrap().values = values;
            let error = setup.register(&DirtyPartitions::All).unwrap_err().to_string();
            assert!(error.contains("it has a partition of the values ["), "{error}");
        }
        assert_eq!(setup.glue.take_writes(), [""; 0]);
    }

    #[test]
    fn a_committed_folder_that_is_no_partition_is_an_error() {
        let mut setup = registered(&["1"]);
        for folder in ["", "p_other=1/", "p_id=1/x/"] {
            let dirty = DirtyPartitions::Folders([folder.to_owned()].into());
            let error = setup.register(&dirty).unwrap_err().to_string();
            assert!(error.contains(&format!("not to `{folder}`")), "{error}");
        }
    }

    #[test]
    fn a_rejection_ends_the_registration_with_what_glue_said() {
        for operation in ["GetTable", "CreateTable", "GetPartitions", "BatchCreatePartition"] {
            let mut setup = setup(&["1"]);
            setup.glue.reject(operation, 1, "InternalServiceException");
            let error = setup.register(&DirtyPartitions::All).unwrap_err().to_string();
            let expected = format!("{operation}: InternalServiceException: scripted");
            assert!(error.ends_with(&expected), "{error}");
        }
    }

    #[test]
    fn a_note_that_cannot_be_written_keeps_every_write_away() {
        let setup = setup(&["1"]);
        let registration = Registration {
            tables: &setup.glue,
            entry: &setup.entry,
            clock: &setup.clock,
            list: &|| Ok(Folders::new()),
            mark_dirty: &mut || Err(Error::internal("a note can be written")),
        };
        assert!(registration.register(&DirtyPartitions::All).is_err());
        assert_eq!(setup.glue.take_writes(), [""; 0]);
    }
}
