//! Several runs at once, whose calls of the store come in an order that somebody chooses.
//!
//! A run waits before each of its calls. Once all that are under way wait, a [`Chooser`] says what
//! happens next. So no two calls are at work at once, and the same choices make the same history.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};

use lake::store::{Condition, Guard, Object, Stopped, Store, Upload};
use lake::{Error, Result};

use crate::names::{self, Names};

/// Where notes are.
const NOTES: &str = "_lake/commits/";

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Choice {
    /// A run makes its call.
    Go(usize),
    /// A run dies before it makes its call. If that is a write, it is under way already.
    Die(usize),
    /// A run makes its call, and the answer is lost.
    Lose(usize),
    /// The write of a run that has died arrives.
    Arrive(usize),
    /// Nothing more happens. Only where nobody waits.
    Stop,
    /// Everybody dies: what comes next is of no interest.
    Abandon,
}

/// A call that a run is about to make.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Next {
    pub(crate) what: &'static str,
    /// With the names of [`Names`].
    key: String,
    /// What is written.
    content: u64,
    /// Whether it is the same whenever it comes, for its run and for all others.
    is_indifferent: bool,
}

impl Next {
    /// Whether it changes something.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.what, "write" | "delete")
    }
}

/// Where the runs are.
#[derive(Debug)]
pub(crate) struct Now<'a> {
    /// The runs that wait, with their calls.
    pub(crate) waiting: Vec<(usize, &'a Next)>,
    /// The runs that died while a write was under way.
    pub(crate) late: Vec<usize>,
    /// The same number for the same state: what is stored, and what each run has learnt.
    pub(crate) state: u64,
    /// The same number for the same objects.
    pub(crate) objects: u64,
}

/// Says what happens next.
pub(crate) trait Chooser: Send {
    /// One of what can happen now.
    fn choose(&mut self, now: &Now<'_>) -> Choice;
}

/// Decides which run goes on.
pub(crate) struct Schedule {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    chooser: Box<dyn Chooser>,
    runs: Vec<Run>,
    /// What the run does that was told to go on.
    turn: Option<(usize, Fate)>,
    /// What is in each object, and how often it was written.
    written: BTreeMap<String, (u64, usize)>,
    writes: BTreeMap<String, usize>,
    /// What has happened.
    told: Vec<String>,
    names: Names,
}

struct Run {
    phase: Phase,
    /// What it has learnt so far: all that it does follows from that.
    history: u64,
    /// The write that was under way when it died.
    late: Option<Late>,
    is_dead: bool,
    /// It has swapped a pointer, and not yet written the hint to that.
    has_swapped: bool,
}

#[derive(PartialEq)]
enum Phase {
    Working,
    Waiting(Next),
    Ended,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Go,
    Die,
    Lose,
}

struct Late {
    next: Next,
    arrive: Box<dyn FnOnce() -> Result<()> + Send>,
}

/// What becomes of a call.
enum Turn<T> {
    Done(Result<T>),
    /// Its run dies with it.
    Dies(Error),
    /// Its run has died before.
    Dead(Error),
}

pub(crate) fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn stopped(next: &Next, stopped: Stopped) -> Error {
    Error::store("reach", format!("memory:{}", next.key), stopped)
}

impl Schedule {
    /// Runs on a store as it is.
    pub(crate) fn new(store: &dyn Store, runs: usize, chooser: Box<dyn Chooser>) -> Arc<Self> {
        let run = |_| Run {
            phase: Phase::Working,
            history: 0,
            late: None,
            is_dead: false,
            has_swapped: false,
        };
        let state = State {
            chooser,
            runs: (0..runs).map(run).collect(),
            turn: None,
            written: BTreeMap::new(),
            writes: BTreeMap::new(),
            told: Vec::new(),
            names: Names::of(store),
        };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// What has happened, in words.
    pub(crate) fn told(&self) -> Vec<String> {
        self.state.lock().unwrap().told.clone()
    }

    /// Waits for the turn of a run, and lets it make one call.
    fn take_turn<T>(&self, run: usize, next: &Next, call: impl FnOnce() -> Result<T>) -> Turn<T> {
        let mut state = self.state.lock().unwrap();
        let killed = stopped(next, Stopped::Killed);
        if state.runs[run].is_dead {
            return Turn::Dead(killed);
        }
        state.runs[run].phase = Phase::Waiting(next.clone());
        state.choose();
        self.changed.notify_all();
        let fate = loop {
            match state.turn {
                Some((turn, fate)) if turn == run => break fate,
                _ if state.runs[run].is_dead => return Turn::Dead(killed),
                _ => state = self.changed.wait(state).unwrap(),
            }
        };
        state.turn = None;
        state.runs[run].phase = Phase::Working;
        if fate == Fate::Die {
            state.runs[run].is_dead = true;
            return Turn::Dies(killed);
        }
        // Nobody else is at work: all others wait or have ended.
        let outcome = call();
        state.learn(run, next, outcome.is_ok());
        if fate == Fate::Lose && outcome.is_ok() {
            state.runs[run].history = hash((state.runs[run].history, "lost"));
            return Turn::Done(Err(stopped(next, Stopped::Unanswered)));
        }
        Turn::Done(outcome)
    }

    /// The run has died with a write under way, which may arrive at any time.
    fn leave(&self, run: usize, next: Next, arrive: impl FnOnce() -> Result<()> + Send + 'static) {
        let mut state = self.state.lock().unwrap();
        state.runs[run].late = Some(Late { next, arrive: Box::new(arrive) });
    }

    /// A run has ended.
    pub(crate) fn end(&self, run: usize) {
        let mut state = self.state.lock().unwrap();
        state.runs[run].phase = Phase::Ended;
        state.choose();
        self.changed.notify_all();
    }

    /// The same number for the same objects with the same late writes.
    pub(crate) fn stored(&self) -> u64 {
        let state = self.state.lock().unwrap();
        let late = state.runs.iter().map(|run| run.late.as_ref().map(|late| &late.next));
        let late: Vec<_> = late.collect();
        // Where nobody is late, it does not matter how often an object was written.
        let counts = late.iter().any(Option::is_some).then_some(&state.writes);
        hash((state.contents(), late, counts))
    }

    /// What was under way and has not arrived yet arrives.
    pub(crate) fn arrive(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        let late: Vec<usize> = state.late();
        for run in &late {
            state.arrive(*run);
        }
        late.len()
    }
}

impl State {
    /// Lets somebody be chosen who goes on, once nobody is at work.
    fn choose(&mut self) {
        while self.turn.is_none() && !self.runs.iter().any(|run| run.phase == Phase::Working) {
            // What matters to nobody needs no choice.
            let indifferent = self.runs.iter().position(
                |run| matches!(&run.phase, Phase::Waiting(next) if next.is_indifferent && !run.is_dead),
            );
            if let Some(run) = indifferent {
                self.turn = Some((run, Fate::Go));
                return;
            }
            let waiting =
                self.runs.iter().enumerate().filter_map(|(number, run)| match &run.phase {
                    Phase::Waiting(next) => Some((number, next)),
                    Phase::Working | Phase::Ended => None,
                });
            let now = Now {
                waiting: waiting.collect(),
                late: self.late(),
                state: self.number(),
                objects: hash(self.contents()),
            };
            if now.waiting.is_empty() && now.late.is_empty() {
                return;
            }
            match self.chooser.choose(&now) {
                Choice::Go(run) => self.turn = Some((run, Fate::Go)),
                Choice::Lose(run) => self.turn = Some((run, Fate::Lose)),
                Choice::Die(run) => {
                    self.told.push(format!("{run} dies"));
                    self.turn = Some((run, Fate::Die));
                }
                Choice::Arrive(run) => self.arrive(run),
                Choice::Stop => return,
                Choice::Abandon => {
                    for run in &mut self.runs {
                        run.is_dead = true;
                        run.late = None;
                        if run.phase != Phase::Ended {
                            run.phase = Phase::Working;
                        }
                    }
                }
            }
        }
    }

    fn contents(&self) -> Vec<(&String, u64)> {
        self.written.iter().map(|(key, (content, _))| (key, *content)).collect()
    }

    fn late(&self) -> Vec<usize> {
        let runs = self.runs.iter().enumerate();
        // Whoever is dying has not left its write yet.
        let late = runs.filter(|(_, run)| run.late.is_some() && run.phase == Phase::Ended);
        late.map(|(number, _)| number).collect()
    }

    fn arrive(&mut self, run: usize) {
        let Some(Late { next, arrive }) = self.runs[run].late.take() else { return };
        let is_done = arrive().is_ok();
        self.told.push(format!("the {} of {} by {run} arrives: {is_done}", next.what, next.key));
        if is_done {
            self.note(&next);
        }
    }

    fn note(&mut self, next: &Next) {
        match next.what {
            "write" => {
                let writes = self.writes.entry(next.key.clone()).or_default();
                *writes += 1;
                self.written.insert(next.key.clone(), (next.content, *writes));
            }
            "delete" => _ = self.written.remove(&next.key),
            _ => {}
        }
    }

    /// A run learns what comes of its call.
    fn learn(&mut self, run: usize, next: &Next, is_done: bool) {
        self.told.push(format!(
            "{run}: {} {}{}",
            next.what,
            next.key,
            if is_done { "" } else { " fails" }
        ));
        if is_done {
            self.note(next);
        }
        let listed = || self.written.iter().filter(|(key, _)| key.starts_with(&next.key));
        let seen = match next.what {
            "list" if next.key.starts_with(NOTES) => {
                hash(listed().map(|(key, _)| key).collect::<Vec<_>>())
            }
            "list" => hash(listed().collect::<Vec<_>>()),
            _ => hash(self.written.get(&next.key)),
        };
        // Who lives is known without a call.
        let ended = self.runs.iter().map(|run| run.phase == Phase::Ended);
        let ended: Vec<bool> = ended.collect();
        self.runs[run].history = hash((self.runs[run].history, next, is_done, seen, ended));
    }

    fn number(&self) -> u64 {
        let runs = self.runs.iter().map(|run| {
            let next = match &run.phase {
                Phase::Waiting(next) => Some(next),
                Phase::Working | Phase::Ended => None,
            };
            (run.history, next, run.is_dead, run.late.as_ref().map(|late| &late.next))
        });
        hash((&self.written, &self.writes, runs.collect::<Vec<_>>()))
    }
}

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

/// The store as one of the runs has it.
#[derive(Clone)]
pub(crate) struct Scheduled {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) run: usize,
    /// Whether something may come between any two of its calls, whether that matters to it or not.
    pub(crate) takes_its_time: bool,
}

impl std::fmt::Debug for Scheduled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Scheduled").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Scheduled {
    /// A call that is about to be made, with what it writes.
    fn next(&self, what: &'static str, key: &str, bytes: Option<&[u8]>) -> Result<Next> {
        let is_there = bytes.is_none() && self.store.head(key)?.is_some();
        let mut state = self.schedule.state.lock().unwrap();
        let own = &mut state.runs[self.run];
        own.has_swapped = match what {
            "write" if key.ends_with(".metadata.json") => true,
            "write" if key.ends_with("version-hint.text") => false,
            _ => own.has_swapped,
        };
        // By a hint that is behind the same is found. Only who has just written a version asks it for more.
        let is_hint = what == "get" && key.ends_with("version-hint.text") && !own.has_swapped;
        let is_indifferent = is_hint || names::is_indifferent(what, key, is_there);
        let is_indifferent = is_indifferent && !self.takes_its_time;
        let (key, content) = state.names.call(self.run, key, bytes);
        Ok(Next { what, key, content, is_indifferent })
    }

    fn turn<T>(
        &self,
        what: &'static str,
        key: &str,
        call: impl FnOnce(&dyn Store) -> Result<T>,
    ) -> Result<T> {
        let next = self.next(what, key, None)?;
        match self.schedule.take_turn(self.run, &next, || call(&*self.store)) {
            Turn::Done(outcome) => outcome,
            Turn::Dies(error) | Turn::Dead(error) => Err(error),
        }
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
        let upload = self.store.create(key, condition)?;
        Ok(Box::new(ScheduledUpload {
            upload,
            store: self.clone(),
            key: key.to_owned(),
            bytes: Vec::new(),
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let mut objects = self.turn("list", prefix, |store| store.list(prefix))?;
        if prefix.starts_with(NOTES) {
            // So nothing can depend on what is in a note that was not read.
            for object in &mut objects {
                (object.version, object.size) = (String::new(), 0);
            }
        }
        Ok(objects)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let next = self.next("delete", key, None)?;
        match self.schedule.take_turn(self.run, &next, || self.store.delete(key)) {
            Turn::Done(outcome) => outcome,
            Turn::Dies(error) => {
                let (store, key) = (Arc::clone(&self.store), key.to_owned());
                self.schedule.leave(self.run, next, move || store.delete(&key));
                Err(error)
            }
            Turn::Dead(error) => Err(error),
        }
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
    store: Scheduled,
    key: String,
    bytes: Vec<u8>,
}

impl Write for ScheduledUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.upload.write(bytes)?;
        self.bytes.extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for ScheduledUpload {
    fn finish(self: Box<Self>) -> Result<Object> {
        let Self { upload, store, key, bytes } = *self;
        let next = store.next("write", &key, Some(&bytes))?;
        let mut upload = Some(upload);
        let finish = || upload.take().ok_or_else(|| Error::internal("once"))?.finish();
        match store.schedule.take_turn(store.run, &next, finish) {
            Turn::Done(outcome) => outcome,
            Turn::Dies(error) => {
                if let Some(upload) = upload {
                    store.schedule.leave(store.run, next, move || upload.finish().map(drop));
                }
                Err(error)
            }
            Turn::Dead(error) => Err(error),
        }
    }
}
