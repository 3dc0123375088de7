//! Two and three runs at once, in orders that seeds decide. Each run may die, or lose the answer to a write that
//! was done; a write that was under way when its run died may arrive at any time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::schedule::{Chance, Choice, Chooser, Now};
use crate::world::{World, all, large, words};

/// How many schedules are explored, unless `EXPLORE_SCHEDULES` says another number. `EXPLORE_SEED` says
/// where to begin.
const SCHEDULES: u64 = 10_000;

/// Chooses by chance.
struct Drawn {
    chance: Chance,
    /// A run dies or an answer is lost at one of so many calls.
    misfortune: usize,
}

impl Chooser for Drawn {
    fn choose(&mut self, now: &Now<'_>) -> Choice {
        if now.waiting.is_empty() {
            return Choice::Stop;
        }
        if !now.late.is_empty() && self.chance.below(8) == 0 {
            return Choice::Arrive(now.late[self.chance.below(now.late.len())]);
        }
        let (run, next) = now.waiting[self.chance.below(now.waiting.len())];
        match self.chance.below(self.misfortune) {
            0 => Choice::Die(run),
            1 if next.is_write() => Choice::Lose(run),
            _ => Choice::Go(run),
        }
    }
}

/// Explores the schedule of a seed. What it finds wrong is said with all that has happened.
fn explore(world: &World, seed: u64) -> usize {
    let chance = Chance::new(seed);
    let past = world.run(world.begin(), Box::new(Drawn { chance, misfortune: 40 }));
    let told = past.schedule.told();
    let whole = AssertUnwindSafe(|| {
        assert!(past.faults.is_empty(), "{:?}", past.faults);
        world.settle(&past);
    });
    if let Err(fault) = catch_unwind(whole) {
        panic!("{}, seed {seed}: {}\n{}", world.name, words(&*fault), told.join("\n"));
    }
    told.len()
}

#[test]
fn whatever_order_the_calls_of_several_runs_come_in_nothing_is_lost_and_nothing_is_doubled() {
    let schedules =
        std::env::var("EXPLORE_SCHEDULES").map_or(SCHEDULES, |number| number.parse().unwrap());
    let first = std::env::var("EXPLORE_SEED").map_or(0, |seed| seed.parse().unwrap());
    let (iceberg, plain): (Vec<World>, Vec<World>) =
        [all(2), large(2)].concat().into_iter().partition(World::is_iceberg);
    // A commit of an Iceberg table takes ten times as long.
    let all: Vec<&World> = (0..30).flat_map(|_| &plain).chain(&iceberg).collect();
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
                    let world = all[usize::try_from(seed).unwrap() % all.len()];
                    match catch_unwind(AssertUnwindSafe(|| explore(world, seed))) {
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
