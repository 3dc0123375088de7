//! Where conditions are not enough, locks are exclusive.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::trial::{Kept, Trial};
use crate::store::contract::{Condition, Store};

/// How many want the lock at once.
const WRITERS: usize = 6;

/// How long each holds it, which is time for the others to come in if they can.
const HELD: Duration = Duration::from_millis(5);

/// How often each wants it.
const TURNS: usize = 5;

/// A lock is held by one at a time, table by table, and is free when it is dropped. A store may have
/// none, but not sometimes.
pub fn locks(store: &dyn Store) -> Kept {
    take_turns(&[store])
}

/// Two stores at one place, as two processes have them, are one: what one writes the other finds,
/// their conditions hold between them, and so do their locks.
pub fn shared(one: &dyn Store, other: &dyn Store) -> Kept {
    let trial = Trial::begin(one, "two stores at one place are one", "shared")?;
    let elsewhere = Trial::begin(other, "two stores at one place are one", "shared")?;
    let key = trial.key("object");
    let first = trial.works("put", one.put(&key, b"1", Condition::Absent))?;
    elsewhere.is_there(&first, b"1")?;
    elsewhere.conflicts("to create what is there", other.put(&key, b"x", Condition::Absent))?;
    let still = Condition::still(Some(&first));
    let second = elsewhere.works("to replace", other.put(&key, b"2", still.clone()))?;
    trial.is_there(&second, b"2")?;
    trial.conflicts("to replace what is no more", one.put(&key, b"y", still))?;
    trial.conflicts("fetch of what was replaced", one.fetch(&first))?;
    elsewhere.works("delete", other.delete(&key))?;
    trial.is_absent(&key)?;
    trial.clear()?;
    take_turns(&[one, other])
}

/// Many want one lock, by any of the stores.
fn take_turns(stores: &[&dyn Store]) -> Kept {
    let Some(first) = stores.first() else { return Ok(()) };
    let trial = Trial::begin(*first, "a lock is held by one at a time", "locks")?;
    let has_locks = trial.works("lock", first.lock("conformance_a"))?.is_some();
    let is_held = AtomicBool::new(false);
    let start = Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        let turns = stores.iter().cycle().take(WRITERS);
        let writers: Vec<_> = turns
            .map(|store| {
                scope.spawn(|| {
                    start.wait();
                    take_turn(&trial, *store, has_locks, &is_held)
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| trial.joined(writer.join())?)
    })
}

fn take_turn(trial: &Trial<'_>, store: &dyn Store, has_locks: bool, is_held: &AtomicBool) -> Kept {
    for _ in 0..TURNS {
        let guard = trial.works("lock", store.lock("conformance_a"))?;
        trial.same("that there is a lock", &guard.is_some(), &has_locks)?;
        if guard.is_some() {
            let was_held = is_held.swap(true, Ordering::SeqCst);
            // The lock of another table is free all the while.
            drop(trial.works("lock", store.lock("conformance_b"))?);
            std::thread::sleep(HELD);
            trial.holds(!was_held, "two hold it at once")?;
            is_held.store(false, Ordering::SeqCst);
        }
    }
    Ok(())
}
