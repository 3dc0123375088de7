//! A table is cut anew at any moment of something else, as can be where nothing locks it.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lake::maintain::{self, Erase};
use lake::store::{Condition, Guard, MemoryStore, Object, Store, Upload};
use lake::table::{LoadMethod, Spec};
use lake::{Error, Result};

use crate::pipeline::Step::{Rows, Schema, State};
use crate::pipeline::{Kept, Pipeline, lake, run_name, temp_dir};
use crate::reader;
use crate::scenarios::{by_month, sharded, spec};

fn upsert() -> Spec {
    spec("t", LoadMethod::Upsert)
}

type Act = Box<dyn FnOnce() + Send>;

/// A store at one of whose calls something else happens first.
struct Interrupted {
    store: MemoryStore,
    moment: Arc<Moment>,
}

struct Moment {
    /// Calls until then.
    left: AtomicUsize,
    act: Mutex<Option<Act>>,
}

impl Moment {
    fn pass(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let act = self.act.lock().unwrap().take();
            act.unwrap()();
        }
    }
}

impl std::fmt::Debug for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.store.fmt(formatter)
    }
}

impl Store for Interrupted {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.moment.pass();
        self.store.head(key)
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        self.moment.pass();
        self.store.get(key)
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        self.moment.pass();
        self.store.fetch(object)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        self.moment.pass();
        let upload = self.store.create(key, condition)?;
        Ok(Box::new(InterruptedUpload { upload, moment: Arc::clone(&self.moment) }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.moment.pass();
        self.store.list(prefix)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.moment.pass();
        self.store.delete(key)
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        self.moment.pass();
        self.store.lock(table)
    }

    fn locate(&self, key: &str) -> String {
        self.store.locate(key)
    }
}

struct InterruptedUpload {
    upload: Box<dyn Upload>,
    moment: Arc<Moment>,
}

impl Write for InterruptedUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for InterruptedUpload {
    fn finish(self: Box<Self>) -> Result<Object> {
        self.moment.pass();
        self.upload.finish()
    }
}

/// Whether each row is there once.
fn is_single(store: &MemoryStore, what: &str) {
    let mut found: Vec<i64> = reader::ids(store, "t/", what).into_values().flatten().collect();
    let rows = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), rows, "{what}: rows are there twice");
}

/// What something did to which a cut came in between.
enum Outcome {
    Done,
    Failed(Error),
    /// It made fewer calls.
    NotReached,
}

/// Works on a store, before whose n-th call another does.
fn between(
    store: &MemoryStore,
    call: usize,
    death: Option<usize>,
    work: &dyn Fn(Arc<dyn Store>) -> Result<()>,
    other: Act,
) -> Outcome {
    let moment = Arc::new(Moment { left: AtomicUsize::new(call), act: Mutex::new(Some(other)) });
    let view = store.reopen();
    if let Some(death) = death {
        view.stop_before(death);
    }
    let outcome = work(Arc::new(Interrupted { store: view, moment: Arc::clone(&moment) }));
    match outcome {
        _ if moment.act.lock().unwrap().is_some() => Outcome::NotReached,
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Failed(error),
    }
}

fn shards(number: u32) -> maintain::Options {
    maintain::Options { shards: Some(number), ..maintain::Options::default() }
}

fn maintained(store: Arc<dyn Store>, options: &maintain::Options) -> Result<()> {
    let lake = lake(store, run_name(), 8 << 20, temp_dir())?;
    maintain::run(&Arc::new(lake), &|_| lake::file::Encoding::default(), options).map(drop)
}

/// A table of this spec, and the pipeline that loads more into it: an id that is there, and some that are
/// not. By month, one partition is new.
fn table(spec: Spec) -> (MemoryStore, Pipeline) {
    let schema = Schema(Arc::new(sharded(spec)));
    let first = (0..3).map(|third| Rows("t", third * 3..third * 3 + 2, 1));
    let first = [schema.clone()].into_iter().chain(first).chain([State]).collect();
    let store = MemoryStore::new();
    let first = Pipeline { keeps_state: false, ..Pipeline::new(first, Kept::Elsewhere) };
    first.run(&Arc::new(store.reopen())).unwrap();
    let more = vec![schema, Rows("t", 7..END, 2), State];
    (store, Pipeline::new(more, Kept::There))
}

/// The first id that is not loaded.
const END: i64 = 24;

/// The rows of the table, with those of the pipeline or without.
fn rows(loaded: bool) -> Vec<(i64, u32)> {
    let all = (0..if loaded { END } else { 8 }).filter(|id| *id >= 7 || id % 3 < 2);
    all.map(|id| (id, if loaded && id >= 7 { 2 } else { 1 })).collect()
}

/// Whether each row that was there is there, whatever else is, and whoever has listed the objects that
/// were there before finds all of their rows, or that one is gone.
fn is_whole(before: &MemoryStore, store: &MemoryStore, what: &str) {
    let objects = reader::ids(store, "t/", what);
    for (key, ids) in reader::ids(before, "t/", what) {
        let now = objects.get(&key);
        assert!(
            now.is_none_or(|now| now.is_superset(&ids)),
            "{what}: {key} has {now:?} of {ids:?}"
        );
    }
    let found: Vec<i64> = objects.into_values().flatten().collect();
    assert!(rows(false).iter().all(|(id, _)| found.contains(id)), "{what}: {found:?}");
}

#[test]
fn a_run_that_had_begun_before_a_cut_loses_nothing_and_leaves_nothing_wherever_it_dies() {
    let (start, pipeline) = table(by_month(upsert()));
    let whole = Arc::new(start.snapshot().reopen());
    pipeline.run(&whole).unwrap();
    let last = whole.calls().len();
    let mut explored = 0;
    // The last one is cut as it was, into other objects.
    for cuts in [vec![3], vec![1, 2]] {
        for call in 1..=last {
            for death in [None].into_iter().chain((call..=last).map(Some)) {
                let what = format!("cut into {cuts:?} at call {call}, death at {death:?}");
                let store = start.snapshot();
                let (cut, cuts) = (store.reopen(), cuts.clone());
                let act = move || {
                    let cut = Arc::new(cut);
                    cuts.into_iter()
                        .try_for_each(|number| {
                            maintained(Arc::<MemoryStore>::clone(&cut), &shards(number))
                        })
                        .unwrap();
                };
                let work = |store| pipeline.run_as(store, run_name(), temp_dir());
                match between(&store, call, death, &work, Box::new(act)) {
                    Outcome::NotReached => panic!("{what}: there are so many calls"),
                    Outcome::Done => is_single(&store, &what),
                    Outcome::Failed(error) if death.is_none() => {
                        let text = error.to_string();
                        assert!(text.contains("it was cut into"), "{what}: {text}");
                        is_single(&store, &what);
                        let left = reader::ids(&store, "t/", &what).into_keys();
                        let is_old = |key: &String| {
                            key.ends_with("part-00000.parquet")
                                || key.ends_with("part-00001.parquet")
                        };
                        assert!(!left.into_iter().any(|key| is_old(&key)), "{what}");
                    }
                    Outcome::Failed(_) => {}
                }
                explored += 1;
                is_whole(&start, &store, &what);
                pipeline.run(&Arc::new(store.reopen())).unwrap();
                reader::compare_rows(&store, "t", &rows(true), &what);
            }
        }
    }
    println!("{explored} deaths of a run whose table is cut at any of its {last} calls");
}

#[test]
fn a_run_that_adds_an_object_in_the_middle_of_cuts_does_not_lose_it() {
    let (start, pipeline) = table(by_month(upsert()));
    let new = vec![pipeline.steps[0].clone(), Rows("t", 8..9, 2), State];
    let pipeline = Pipeline { steps: new, ..pipeline };
    let expected: Vec<_> = rows(false).into_iter().chain([(8, 2)]).collect();
    for call in 1.. {
        let what = format!("cut at call {call}");
        let store = start.snapshot();
        let cut = Arc::new(store.reopen());
        // In the end it is cut as it was, into other objects.
        let cuts = move || {
            for number in [1, 2] {
                maintained(Arc::<MemoryStore>::clone(&cut), &shards(number)).unwrap();
            }
        };
        let work = |store| pipeline.run_as(store, run_name(), temp_dir());
        if let Outcome::NotReached = between(&store, call, None, &work, Box::new(cuts)) {
            break;
        }
        pipeline.run(&Arc::new(store.reopen())).unwrap();
        reader::compare_rows(&store, "t", &expected, &what);
    }
}

#[test]
fn a_run_at_any_moment_of_a_cut_is_refused_or_loses_nothing() {
    let (start, pipeline) = table(by_month(upsert()));
    let mut loaded = 0;
    for call in 1.. {
        let what = format!("a run at call {call} of a cut");
        let store = start.snapshot();
        let (other, beside) = (store.reopen(), pipeline.clone());
        let is_done = Arc::new(Mutex::new(false));
        let done = Arc::clone(&is_done);
        let act = move || {
            let outcome = beside.run(&Arc::new(other));
            if let Err(error) = &outcome {
                assert!(error.to_string().contains("it is being cut into 3"), "{error}");
            }
            *done.lock().unwrap() = outcome.is_ok();
        };
        let work = |store| maintained(store, &shards(3));
        match between(&store, call, None, &work, Box::new(act)) {
            Outcome::NotReached => break,
            Outcome::Done | Outcome::Failed(Error::Conflict { .. }) => {}
            Outcome::Failed(error) => panic!("{what}: {error}"),
        }
        let is_loaded = *is_done.lock().unwrap();
        loaded += usize::from(is_loaded);
        maintained(Arc::new(store.reopen()), &shards(3)).unwrap();
        reader::compare_rows(&store, "t", &rows(is_loaded), &what);
    }
    assert!(loaded > 5, "{loaded}");
}

#[test]
fn of_two_cuts_at_once_one_counts_and_the_other_leaves_nothing() {
    let (start, pipeline) = table(upsert());
    let whole = Arc::new(start.snapshot().reopen());
    maintained(Arc::<MemoryStore>::clone(&whole), &shards(3)).unwrap();
    let last = whole.calls().len();
    let mut longest = 0;
    for call in 1.. {
        let mut is_reached = false;
        for death in [None].into_iter().chain((call..=last).map(Some)) {
            let what = format!("other cut at call {call}, death at {death:?}");
            let store = start.snapshot();
            let cut = store.reopen();
            let act = move || maintained(Arc::new(cut), &shards(1)).unwrap();
            let work = |store| maintained(store, &shards(3));
            match between(&store, call, death, &work, Box::new(act)) {
                Outcome::NotReached => break,
                Outcome::Done | Outcome::Failed(_) => {}
            }
            is_reached = true;
            is_whole(&start, &store, &what);
            if death.is_none() {
                reader::compare_rows(&store, "t", &rows(false), &what);
            }
            maintained(Arc::new(store.reopen()), &shards(3)).unwrap();
            reader::compare_rows(&store, "t", &rows(false), &what);
            pipeline.run(&Arc::new(store.reopen())).unwrap();
            reader::compare_rows(&store, "t", &rows(true), &what);
        }
        if !is_reached {
            break;
        }
        longest = call;
    }
    assert_eq!(longest, last);
}

#[test]
fn rows_that_are_erased_while_the_table_is_cut_are_gone_or_it_is_said_that_they_are_not() {
    let (start, _) = table(by_month(upsert()));
    let erase = maintain::Options {
        erase: vec![Erase { column: "id".into(), values: ["4".to_owned()].into() }],
        ..maintain::Options::default()
    };
    let all = rows(false);
    let rest: Vec<_> = all.iter().copied().filter(|(id, _)| *id != 4).collect();
    let (mut told, mut calls) = (0, 0);
    for call in 1.. {
        // The cut comes in the middle of the erasing.
        let what = format!("cut at call {call}");
        let store = start.snapshot();
        let cut = store.reopen();
        let act = move || maintained(Arc::new(cut), &shards(3)).unwrap();
        let work = |store| maintained(store, &erase);
        match between(&store, call, None, &work, Box::new(act)) {
            Outcome::NotReached => break,
            Outcome::Done => reader::compare_rows(&store, "t", &rest, &what),
            Outcome::Failed(error) => {
                assert!(error.to_string().contains("cut anew"), "{what}: {error}");
                told += 1;
            }
        }
        calls = call;
        maintained(Arc::new(store.reopen()), &erase).unwrap();
        reader::compare_rows(&store, "t", &rest, &what);
    }
    assert!(told > 0 && calls > 10, "{told} of {calls}");
    for call in 1.. {
        // The erasing comes in the middle of the cut.
        let what = format!("erased at call {call}");
        let store = start.snapshot();
        let other = store.reopen();
        let erases = erase.clone();
        let is_done = Arc::new(Mutex::new(None));
        let done = Arc::clone(&is_done);
        let act = move || {
            *done.lock().unwrap() = Some(maintained(Arc::new(other), &erases).is_ok());
        };
        let work = |store| maintained(store, &shards(3));
        match between(&store, call, None, &work, Box::new(act)) {
            Outcome::NotReached => break,
            Outcome::Done => {}
            Outcome::Failed(error) => panic!("{what}: {error}"),
        }
        let done = is_done.lock().unwrap().unwrap();
        reader::compare_rows(&store, "t", if done { &rest } else { &all }, &what);
    }
}
