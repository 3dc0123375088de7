//! What waits for the store waits together. A store that answers some calls only when many of them have come
//! tells it, without a clock.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::committed::Committed;
use super::journal::Journal;
use super::note::{self, Note, Phase, Stored};
use super::table::Table;
use super::tables;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::options::Options;
use crate::store::{Condition, Guard, MemoryStore, Object, Store, Upload};
use crate::table::definition::LoadMethod;
use crate::table::spec::Spec;
use crate::testing::{by_month, columns, rows};

/// Calls that must come together.
const TOGETHER: usize = 3;

/// How long calls that must come together are waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets calls pass by threes.
#[derive(Debug, Default)]
struct Gate {
    come: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self, key: &str) -> Result<()> {
        let mut come = self.come.lock().unwrap();
        *come += 1;
        let last = come.next_multiple_of(TOGETHER);
        self.changed.notify_all();
        let passed = self.changed.wait_timeout_while(come, PATIENCE, |come| *come < last).unwrap();
        let waited = passed.1;
        if waited.timed_out() { Err(Error::store("wait for", key, "it is alone")) } else { Ok(()) }
    }
}

/// Which calls must come together: those of keys that begin so.
#[derive(Debug, Default)]
struct Gates {
    writes: Option<(&'static str, Gate)>,
    reads: Option<(&'static str, Gate)>,
    removals: Option<(&'static str, Gate)>,
}

fn pass(gate: Option<&(&'static str, Gate)>, key: &str) -> Result<()> {
    match gate {
        Some((prefix, gate)) if key.starts_with(prefix) => gate.pass(key),
        _ => Ok(()),
    }
}

fn of(prefix: &'static str) -> (&'static str, Gate) {
    (prefix, Gate::default())
}

/// A store with gates.
#[derive(Debug)]
struct Gated {
    inner: MemoryStore,
    gates: Arc<Gates>,
}

impl Store for Gated {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.inner.head(key)
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        pass(self.gates.reads.as_ref(), key)?;
        self.inner.get(key)
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        pass(self.gates.reads.as_ref(), &object.key)?;
        self.inner.fetch(object)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let upload = self.inner.create(key, condition)?;
        let gates = Arc::clone(&self.gates);
        Ok(Box::new(Waiting { upload, gates, key: key.to_owned() }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.inner.list(prefix)
    }

    fn delete(&self, key: &str) -> Result<()> {
        pass(self.gates.removals.as_ref(), key)?;
        self.inner.delete(key)
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        self.inner.lock(table)
    }

    fn locate(&self, key: &str) -> String {
        self.inner.locate(key)
    }
}

struct Waiting {
    upload: Box<dyn Upload>,
    gates: Arc<Gates>,
    key: String,
}

impl io::Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for Waiting {
    fn finish(self: Box<Self>) -> Result<Object> {
        pass(self.gates.writes.as_ref(), &self.key)?;
        self.upload.finish()
    }
}

/// The lake in another run, with gates.
fn lake(store: &MemoryStore, gates: Gates) -> (Arc<Lake>, Arc<Gates>) {
    static RUNS: AtomicUsize = AtomicUsize::new(1);
    let gates = Arc::new(gates);
    let gated = Gated { inner: store.reopen(), gates: Arc::clone(&gates) };
    // Files of such a name are the lake's own, and no other run has it that may live.
    let run = format!("20260101T000000000000-{:06x}", RUNS.fetch_add(1, Ordering::Relaxed));
    let options = Options { at_once: TOGETHER, ..Options::default() };
    (Arc::new(Lake::with_store(Arc::new(gated), run, &options).unwrap()), gates)
}

fn passed(gate: Option<&(&'static str, Gate)>) -> usize {
    gate.map_or(0, |(_, gate)| *gate.come.lock().unwrap())
}

/// A table of three partitions.
fn spec(table: &str, load: LoadMethod) -> Arc<Spec> {
    Arc::new(Spec { table: table.into(), load, ..by_month() })
}

fn load(lake: &Arc<Lake>, spec: &Arc<Spec>, ids: Range<i64>) -> Vec<String> {
    let mut table = Table::open(lake, spec).unwrap();
    table.push(spec, &rows(ids, "a")).unwrap();
    table.cover().unwrap();
    let files = table.prepare(true).unwrap();
    table.commit(true).unwrap();
    files.added
}

#[test]
fn objects_of_many_partitions_become_visible_many_at_a_time_and_go_so() {
    for method in [LoadMethod::Append, LoadMethod::Upsert, LoadMethod::Overwrite] {
        let store = MemoryStore::new();
        let gates = Gates { writes: Some(of("t/")), ..Gates::default() };
        let (lake, gates) = lake(&store, gates);
        load(&lake, &spec("t", method), 0..9);
        assert_eq!(passed(gates.writes.as_ref()), 3, "{method:?}");
        assert_eq!(store.reopen().list("t/").unwrap().len(), 3);
    }
    // Files that were appended have names of their own, and go when the table is overwritten.
    let store = MemoryStore::new();
    load(&lake(&store, Gates::default()).0, &spec("t", LoadMethod::Append), 0..9);
    let gates = Gates { removals: Some(of("t/")), ..Gates::default() };
    let (lake, gates) = lake(&store, gates);
    load(&lake, &spec("t", LoadMethod::Overwrite), 0..9);
    assert_eq!(passed(gates.removals.as_ref()), 3);
}

#[test]
fn rows_in_doubt_are_read_many_files_at_a_time() {
    let store = MemoryStore::new();
    let append = spec("t", LoadMethod::Append);
    let files = load(&lake(&store, Gates::default()).0, &append, 0..9);
    let (lake, gates) = lake(&store, Gates { reads: Some(of("t/")), ..Gates::default() });
    let mut table = Table::open(&lake, &append).unwrap();
    table.doubt(&files).unwrap();
    table.push(&append, &rows(0..9, "a")).unwrap();
    assert_eq!((table.recognised(), passed(gates.reads.as_ref())), (9, 3));
}

#[test]
fn files_of_a_run_that_died_go_many_at_a_time() {
    let store = MemoryStore::new();
    let append = spec("t", LoadMethod::Append);
    let (dying, _) = lake(&store, Gates::default());
    let files = load(&dying, &append, 0..9);
    let note = Note::new(&dying, Phase::Publishing, files);
    Stored::create(&dying, &note::key(None, &dying.run, 1), note).unwrap();
    // Whoever finds it must not take its run for a living one.
    drop(dying);
    let (lake, gates) = lake(&store, Gates { writes: Some(of("t/")), ..Gates::default() });
    let mut journal = Journal::open(&lake, None).unwrap();
    journal.doubtful(&lake, "t").unwrap();
    assert_eq!(passed(gates.writes.as_ref()), 3);
    assert!(store.reopen().list("_lake/commits/").unwrap().is_empty());
}

#[test]
fn tables_are_opened_announced_and_committed_many_at_a_time() {
    let store = MemoryStore::new();
    let specs = ["a", "b", "c"].map(|name| Arc::new(Spec::append(name, columns())));
    let gates =
        Gates { reads: Some(of("_lake/tables/")), writes: Some(of("")), ..Gates::default() };
    let (lake, gates) = lake(&store, gates);
    let opened = tables::open(&lake, &specs).unwrap();
    let mut opened: Vec<Table> = opened.into_iter().collect::<Result<_>>().unwrap();
    for (table, spec) in opened.iter_mut().zip(&specs) {
        assert_eq!(table.definition().table, spec.table, "they are in order");
        table.push(spec, &rows(0..3, "a")).unwrap();
        table.cover().unwrap();
    }
    let files = tables::prepare(&lake, opened.iter_mut().collect(), true).unwrap();
    assert_eq!((files.added.len(), passed(gates.writes.as_ref())), (3, 3), "their definitions");
    let written = tables::write(&lake, opened.iter_mut().collect(), |table| table.commit(true));
    let written = written.unwrap().into_iter().map(|(at, done)| (at, done.unwrap().files));
    assert_eq!(written.collect::<Vec<_>>(), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!((passed(gates.reads.as_ref()), passed(gates.writes.as_ref())), (3, 6));
}

#[test]
fn behind_a_table_that_fails_none_is_begun_and_what_the_others_did_is_told() {
    let store = MemoryStore::new();
    let (lake, _) = lake(&store, Gates::default());
    let specs: Vec<_> =
        (0..20).map(|number| Arc::new(Spec::append(&format!("t{number:02}"), columns()))).collect();
    let opened = tables::open(&lake, &specs).unwrap();
    let mut opened: Vec<Table> = opened.into_iter().collect::<Result<_>>().unwrap();
    let others = AtomicUsize::new(0);
    let written = tables::write(&lake, opened.iter_mut().collect(), |table| {
        if table.definition().table == "t00" {
            return Err(Error::internal("as in a store"));
        }
        others.fetch_add(1, Ordering::Relaxed);
        Ok(Committed::default())
    });
    let written = written.unwrap();
    assert!(written.first().is_some_and(|(at, outcome)| *at == 0 && outcome.is_err()));
    assert_eq!(written.len(), 1 + others.into_inner(), "of each that was begun");
}
