//! Several runs at once, whose calls of the store come in an order that a seed decides.
//!
//! A run waits before each of its calls. Once all that are under way wait, one of them goes on: so no
//! two calls are at work at once, and the same seed makes the same order.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};

use lake::Result;
use lake::store::{Condition, Guard, MemoryStore, Object, Store, Upload};

/// Numbers that look like chance, the same for the same seed
/// (<https://prng.di.unimi.it/splitmix64.c>).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// Decides which run goes on.
#[derive(Debug)]
pub(crate) struct Schedule {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    runs: Vec<Phase>,
    /// The run that was told to go on.
    turn: Option<usize>,
    /// Which run has made which call.
    order: Vec<(usize, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Working,
    Waiting,
    Ended,
}

impl Schedule {
    pub(crate) fn new(runs: usize, chance: Chance) -> Arc<Self> {
        let state =
            State { chance, runs: vec![Phase::Working; runs], turn: None, order: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// The calls in their order, each with the run that made it.
    pub(crate) fn order(&self) -> Vec<(usize, String)> {
        self.state.lock().unwrap().order.clone()
    }

    /// Waits for the turn of a run, and lets it make one call.
    fn take_turn<T>(&self, run: usize, what: String, call: impl FnOnce() -> T) -> T {
        let mut state = self.state.lock().unwrap();
        state.runs[run] = Phase::Waiting;
        state.choose();
        self.changed.notify_all();
        while state.turn != Some(run) {
            state = self.changed.wait(state).unwrap();
        }
        state.turn = None;
        state.runs[run] = Phase::Working;
        state.order.push((run, what));
        // Nobody else is at work: all others wait or have ended.
        let outcome = call();
        drop(state);
        outcome
    }

    /// A run has ended.
    pub(crate) fn end(&self, run: usize) {
        let mut state = self.state.lock().unwrap();
        state.runs[run] = Phase::Ended;
        state.choose();
        self.changed.notify_all();
    }
}

impl State {
    /// Chooses who goes on, once nobody is at work.
    fn choose(&mut self) {
        if self.turn.is_some() || self.runs.contains(&Phase::Working) {
            return;
        }
        let waiting: Vec<usize> =
            (0..self.runs.len()).filter(|run| self.runs[*run] == Phase::Waiting).collect();
        if !waiting.is_empty() {
            self.turn = Some(waiting[self.chance.below(waiting.len())]);
        }
    }
}

/// The store as one of the runs has it.
#[derive(Debug)]
pub(crate) struct Scheduled {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) run: usize,
    /// Whether it writes whatever a condition says, as some servers do.
    pub(crate) is_careless: bool,
}

impl Scheduled {
    fn turn<T>(&self, what: &str, key: &str, call: impl FnOnce(&MemoryStore) -> T) -> T {
        self.schedule.take_turn(self.run, format!("{what} {key}"), || call(&self.store))
    }
}

impl Store for Scheduled {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.turn("head", key, |store| store.head(key))
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        self.turn("get", key, |store| store.get(key))
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        self.turn("fetch", &object.key, |store| store.fetch(object))
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let condition = if self.is_careless { Condition::Always } else { condition };
        let upload = self.store.create(key, condition)?;
        Ok(Box::new(ScheduledUpload {
            upload,
            schedule: Arc::clone(&self.schedule),
            run: self.run,
            key: key.to_owned(),
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.turn("list", prefix, |store| store.list(prefix))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.turn("delete", key, |store| store.delete(key))
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        self.store.lock(table)
    }

    fn locate(&self, key: &str) -> String {
        self.store.locate(key)
    }
}

struct ScheduledUpload {
    upload: Box<dyn Upload>,
    schedule: Arc<Schedule>,
    run: usize,
    key: String,
}

impl Write for ScheduledUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for ScheduledUpload {
    fn finish(self: Box<Self>) -> Result<Object> {
        let Self { upload, schedule, run, key } = *self;
        schedule.take_turn(run, format!("write {key}"), || upload.finish())
    }
}
