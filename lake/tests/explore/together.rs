//! Two and three runs at once, each of which may die, or lose an answer after its write was done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use lake::file::Encoding;
use lake::maintain;
use lake::store::{MemoryStore, Store};
use lake::table::LoadMethod;

use crate::pipeline::Step::{Rows, Schema, State};
use crate::pipeline::{Kept, Pipeline, Step, lake};
use crate::reader;
use crate::scenarios::{by_month, sharded, spec};
use crate::schedule::{Chance, Schedule, Scheduled};

/// How many schedules are explored, unless `EXPLORE_SCHEDULES` says another number. `EXPLORE_SEED` says
/// where to begin, and with `EXPLORE_SHOW` it is told what a schedule has left.
const SCHEDULES: u64 = 10_000;

/// What a run does.
#[derive(Debug, Clone)]
enum Work {
    Load(Pipeline),
    Maintain(maintain::Options),
}

/// Runs that are at work at once.
struct Together {
    name: &'static str,
    works: Vec<Work>,
}

fn pipeline(name: &'static str, kept: Kept, steps: Vec<Step>) -> Pipeline {
    Pipeline { name, ..Pipeline::new(steps, kept) }
}

fn all() -> Vec<Together> {
    let schema = |spec| Schema(Arc::new(spec));
    let append = || spec("t", LoadMethod::Append);
    let upsert = || spec("t", LoadMethod::Upsert);
    let load = |name, kept, spec, first: i64, version| {
        Work::Load(pipeline(
            name,
            kept,
            vec![
                schema(spec),
                Rows("t", first..first + 3, version),
                State,
                Rows("t", first + 3..first + 5, version),
                State,
            ],
        ))
    };
    let compact = || Work::Maintain(maintain::Options { compact: true, ..Default::default() });
    let there = Kept::There;
    vec![
        Together {
            name: "two pipelines append to one table",
            works: vec![load("a", there, append(), 0, 1), load("b", there, append(), 10, 1)],
        },
        Together {
            name: "a pipeline whose state is kept beside one whose state is not",
            works: vec![
                load("a", there, append(), 0, 1),
                load("b", Kept::Elsewhere, append(), 10, 1),
            ],
        },
        Together {
            name: "two runs of one pipeline",
            works: vec![load("a", there, append(), 0, 1), load("a", there, append(), 0, 1)],
        },
        Together {
            name: "two pipelines append while files are put together",
            works: vec![
                load("a", there, append(), 0, 1),
                load("b", there, by_month(spec("u", LoadMethod::Append)), 10, 1).into_table("u"),
                compact(),
            ],
        },
        Together {
            name: "files are put together twice at once",
            works: vec![load("a", there, append(), 0, 1), compact(), compact()],
        },
        Together {
            name: "two pipelines upsert other keys of one table",
            works: vec![
                load("a", there, sharded(upsert()), 0, 1),
                load("b", there, sharded(upsert()), 10, 1),
            ],
        },
        Together {
            name: "three pipelines upsert other keys of one table",
            works: vec![
                load("a", there, upsert(), 0, 1),
                load("b", there, upsert(), 10, 1),
                load("c", Kept::Elsewhere, upsert(), 20, 1),
            ],
        },
    ]
}

impl Work {
    fn into_table(self, table: &'static str) -> Self {
        match self {
            Self::Load(mut pipeline) => {
                for step in &mut pipeline.steps {
                    if let Rows(name, ..) = step {
                        *name = table;
                    }
                }
                Self::Load(pipeline)
            }
            Self::Maintain(options) => Self::Maintain(options),
        }
    }

    fn run(&self, store: Arc<dyn Store>, name: String) -> lake::Result<()> {
        match self {
            Self::Load(pipeline) => pipeline.run_as(store, name),
            Self::Maintain(options) => {
                let lake = lake(store, name, 8 << 20)?;
                maintain::run(&lake, &|_| Encoding::default(), options).map(drop)
            }
        }
    }
}

/// The rows that must be there at the end, by table: each once.
fn truth(works: &[Work]) -> BTreeMap<&'static str, Vec<(i64, u32)>> {
    let mut truth: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for work in works {
        let Work::Load(pipeline) = work else { continue };
        for step in &pipeline.steps {
            if let Rows(table, ids, version) = step {
                truth.entry(*table).or_default().extend(ids.clone().map(|id| (id, *version)));
            }
        }
    }
    for rows in truth.values_mut() {
        rows.sort_unstable();
        rows.dedup();
    }
    truth
}

/// Explores one schedule. What it finds wrong is said with what makes it happen again.
fn explore(together: &Together, seed: u64, is_careless: bool) -> usize {
    let mut chance = Chance::new(seed);
    let store = MemoryStore::new();
    let schedule = Schedule::new(together.works.len(), Chance::new(seed ^ 0x5eed));
    let mut fates = Vec::new();
    std::thread::scope(|scope| {
        for (run, work) in together.works.iter().enumerate() {
            let view = Arc::new(store.reopen());
            let call = 1 + chance.below(60);
            let fate = match chance.below(4) {
                0 => {
                    view.stop_before(call);
                    format!("dies before {call}")
                }
                1 => {
                    view.stop_after(call);
                    format!("dies after {call}")
                }
                2 => {
                    view.lose_answer(1 + call % 12);
                    format!("loses answer {}", 1 + call % 12)
                }
                _ => "lives".to_owned(),
            };
            fates.push(fate);
            let scheduled =
                Scheduled { store: view, schedule: Arc::clone(&schedule), run, is_careless };
            let schedule = Arc::clone(&schedule);
            let name = format!("20260101T{seed:012}-{:05x}", run + 1);
            scope.spawn(move || {
                let outcome = work.run(Arc::new(scheduled), name);
                if std::env::var("EXPLORE_SHOW").is_ok() {
                    println!("{run}: {outcome:?}");
                }
                schedule.end(run);
            });
        }
    });
    let what = format!("{}, seed {seed}, {fates:?}", together.name);
    if std::env::var("EXPLORE_SHOW").is_ok() {
        for (run, call) in schedule.order() {
            println!("{run}: {call}");
        }
        for object in store.list("").unwrap() {
            println!("{} {}", object.key, object.size);
            if object.key.ends_with("json") && !object.key.starts_with("_lake/tables") {
                println!(
                    "{}",
                    String::from_utf8(store.get(&object.key).unwrap().unwrap().1).unwrap()
                );
            }
        }
    }
    let truth = truth(&together.works);
    for (table, rows) in &truth {
        reader::check_rows(&store, table, rows, &what);
    }
    for (run, work) in together.works.iter().enumerate() {
        let name = format!("20260102T{seed:012}-{:05x}", run + 1);
        let outcome = work.run(Arc::new(store.reopen()), name);
        outcome.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }
    for (table, rows) in &truth {
        reader::compare_rows(&store, table, rows, &what);
    }
    let notes = store.list("_lake/commits/").unwrap();
    assert!(notes.is_empty(), "{what}: {notes:?} is left");
    schedule.order().len()
}

#[test]
fn whatever_order_the_calls_of_several_runs_come_in_nothing_is_lost_and_nothing_is_doubled() {
    let schedules =
        std::env::var("EXPLORE_SCHEDULES").map_or(SCHEDULES, |number| number.parse().unwrap());
    let first = std::env::var("EXPLORE_SEED").map_or(0, |seed| seed.parse().unwrap());
    let all = all();
    let (next, calls, failed) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= schedules || failed.load(Ordering::Relaxed) > 3 {
                        break;
                    }
                    let seed = first + number;
                    let together = &all[usize::try_from(seed).unwrap() % all.len()];
                    let whole = std::panic::AssertUnwindSafe(|| explore(together, seed, false));
                    match std::panic::catch_unwind(whole) {
                        Ok(made) => _ = calls.fetch_add(made, Ordering::Relaxed),
                        Err(_) => _ = failed.fetch_add(1, Ordering::Relaxed),
                    }
                }
            });
        }
    });
    println!("{schedules} schedules of {calls:?} calls");
    assert_eq!(failed.into_inner(), 0, "each says above what makes it happen again");
}

/// What is checked can fail.
#[test]
fn a_store_that_ignores_conditions_is_found_where_runs_meet() {
    let meet = ["two runs of one pipeline", "two pipelines upsert", "three pipelines upsert"];
    let all = all().into_iter();
    for together in all.filter(|one| meet.iter().any(|name| one.name.starts_with(name))) {
        let finds = |seed| {
            let whole = std::panic::AssertUnwindSafe(|| explore(&together, seed, true));
            std::panic::catch_unwind(whole).is_err()
        };
        assert!((0..200).any(finds), "{}", together.name);
    }
}
