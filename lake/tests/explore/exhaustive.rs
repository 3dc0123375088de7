//! Every order in which the calls of a few runs can come, every death and every lost answer among them.
//!
//! The model is the code: runs do what they do, on a store in memory, and stop before each call. From
//! every state that is reached, all that can happen next is tried once; a state is what is stored
//! together with what each run has learnt so far, from which all follows that the run will ever do. So
//! what is explored is all that there is, up to the bounds that a [`World`] names.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use lake::store::MemoryStore;

use crate::schedule::{Chance, Choice, Chooser, Now};
use crate::world::{World, all, words};

/// How much was explored.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Explored {
    /// States that differ.
    pub(crate) states: usize,
    /// Runs of the world from its beginning, each of which reached a state for the first time.
    pub(crate) executions: usize,
    /// What was stored where nothing could happen any more. From each the runs were done again to their end.
    pub(crate) ends: usize,
}

/// What may go wrong in a world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) deaths: usize,
    pub(crate) lost_answers: usize,
}

/// A way through the world, and what is known of all of them.
struct Walker {
    bounds: Bounds,
    /// What was chosen, and is to be chosen, up to a state that is new.
    path: Vec<Choice>,
    at: usize,
    map: Arc<(Mutex<Map>, Condvar)>,
    /// What is found wrong in a state.
    look: Box<dyn Fn() -> Option<String> + Send>,
    end: Arc<Mutex<End>>,
}

/// How a way ends.
#[derive(Debug, Default, PartialEq)]
enum End {
    /// Nothing can happen any more.
    #[default]
    New,
    /// From here on all is known.
    Known,
    Fault(String),
}

impl Chooser for Walker {
    fn choose(&mut self, now: &Now<'_>) -> Choice {
        if *self.end.lock().unwrap() != End::New {
            return Choice::Abandon;
        }
        if let Some(choice) = self.path.get(self.at) {
            self.at += 1;
            return *choice;
        }
        let count = |is: fn(&Choice) -> bool| self.path.iter().filter(|choice| is(choice)).count();
        let deaths = count(|choice| matches!(choice, Choice::Die(_)));
        let lost = count(|choice| matches!(choice, Choice::Lose(_)));
        if !self.map.0.lock().unwrap().visited.insert((now.state, deaths, lost)) {
            *self.end.lock().unwrap() = End::Known;
            return Choice::Abandon;
        }
        let is_new = self.map.0.lock().unwrap().looked.insert(now.objects);
        if let Some(fault) = is_new.then(|| (self.look)()).flatten() {
            *self.end.lock().unwrap() = End::Fault(fault);
            return Choice::Abandon;
        }
        let mut choices = Vec::new();
        if now.waiting.is_empty() {
            choices.push(Choice::Stop);
        }
        for (run, next) in &now.waiting {
            choices.push(Choice::Go(*run));
            // Before a call that changes nothing a death is as one before the next call that does.
            if deaths < self.bounds.deaths && next.is_write() {
                choices.push(Choice::Die(*run));
            }
            if lost < self.bounds.lost_answers && next.is_write() {
                choices.push(Choice::Lose(*run));
            }
        }
        choices.extend(now.late.iter().map(|run| Choice::Arrive(*run)));
        let first = choices.remove(0);
        let ways = choices.into_iter().map(|choice| [&self.path[..], &[choice]].concat());
        self.map.0.lock().unwrap().ways.extend(ways);
        self.map.1.notify_all();
        self.path.push(first);
        self.at += 1;
        first
    }
}

/// What is known of a world.
#[derive(Debug)]
struct Map {
    chance: Chance,
    /// The states that were reached, with how much has gone wrong on the way.
    visited: HashSet<(u64, usize, usize)>,
    /// What was looked at that was stored.
    looked: HashSet<u64>,
    /// Ways that are still to be gone.
    ways: Vec<Vec<Choice>>,
    /// Ways that are being gone.
    under_way: usize,
    /// What is stored where nothing can happen any more.
    ends: HashSet<u64>,
    executions: usize,
    fault: Option<String>,
}

/// Explores a world. Where something is wrong, it is told with the way to it.
pub(crate) fn explore(world: &World, bounds: Bounds) -> Result<Explored, String> {
    let begin = world.begin();
    let map = Map {
        chance: Chance::new(0),
        visited: HashSet::new(),
        looked: HashSet::new(),
        ways: vec![Vec::new()],
        under_way: 0,
        ends: HashSet::new(),
        executions: 0,
        fault: None,
    };
    let map = Arc::new((Mutex::new(map), Condvar::new()));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(path) = next_way(&map) {
                    let fault = go(world, &begin, bounds, path, &map);
                    let mut known = map.0.lock().unwrap();
                    known.under_way -= 1;
                    known.executions += 1;
                    known.fault = known.fault.take().or(fault);
                    map.1.notify_all();
                }
            });
        }
    });
    let known = map.0.lock().unwrap();
    let Map { visited, executions, ends, fault, .. } = &*known;
    match fault {
        Some(fault) => Err(fault.clone()),
        None => Ok(Explored { states: visited.len(), executions: *executions, ends: ends.len() }),
    }
}

fn next_way((map, changed): &(Mutex<Map>, Condvar)) -> Option<Vec<Choice>> {
    let mut known = map.lock().unwrap();
    loop {
        if known.fault.is_some() {
            return None;
        }
        if !known.ways.is_empty() {
            // Here and there, so that what is wrong somewhere is met soon.
            let ways = known.ways.len();
            let at = known.chance.below(ways);
            known.under_way += 1;
            return Some(known.ways.swap_remove(at));
        }
        if known.under_way == 0 {
            return None;
        }
        known = changed.wait(known).unwrap();
    }
}

/// Goes a way to its end. What is found wrong there.
fn go(
    world: &World,
    begin: &MemoryStore,
    bounds: Bounds,
    path: Vec<Choice>,
    map: &Arc<(Mutex<Map>, Condvar)>,
) -> Option<String> {
    let store = begin.snapshot();
    let (here, seen) = (world.clone(), store.reopen());
    let look = move || {
        let found = catch_unwind(AssertUnwindSafe(|| here.check(&seen)));
        found.err().map(|fault| words(&*fault))
    };
    let end = Arc::new(Mutex::new(End::New));
    let walker = Walker {
        bounds,
        path,
        at: 0,
        map: Arc::clone(map),
        look: Box::new(look),
        end: Arc::clone(&end),
    };
    let past = world.run(store, Box::new(walker));
    let mut faults = past.faults.clone();
    let end = std::mem::take(&mut *end.lock().unwrap());
    match end {
        End::Known => {}
        End::Fault(fault) => faults.push(fault),
        // The runs that follow know nothing but what is stored.
        End::New if !map.0.lock().unwrap().ends.insert(past.schedule.stored()) => {}
        End::New => {
            let settled = catch_unwind(AssertUnwindSafe(|| world.settle(&past)));
            faults.extend(settled.err().map(|fault| words(&*fault)));
        }
    }
    let told = || past.schedule.told().join("\n");
    faults.first().map(|fault| format!("{}: {fault}\n{}", world.name, told()))
}

#[test]
fn in_whatever_state_a_few_runs_can_be_nothing_is_lost_and_nothing_is_doubled() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<usize>().unwrap());
    let only = std::env::var("EXPLORE_WORLD").unwrap_or_default();
    let mut all_states = 0;
    for world in all(1).iter().filter(|world| world.name.contains(&only)) {
        let Some(deaths) = number("EXPLORE_DEATHS").or(world.deaths) else { continue };
        let bounds = Bounds { deaths, lost_answers: number("EXPLORE_LOST").unwrap_or(0) };
        let begun = Instant::now();
        let explored = explore(world, bounds).unwrap_or_else(|fault| panic!("{fault}"));
        let Explored { states, executions, ends } = explored;
        all_states += states;
        println!(
            "{}, {deaths} deaths: {states} states, {ends} ends, {executions} executions, {:?}",
            world.name,
            begun.elapsed()
        );
    }
    println!("{all_states} states");
}
