//! A write whose condition does not hold changes nothing, and says so.

use std::sync::Barrier;

use super::trial::{Kept, Trial};
use super::uploads::{LARGE, large};
use crate::error::{Error, Result};
use crate::store::contract::{Condition, Object, Store};

/// Writers at one instant.
const WRITERS: usize = 8;

/// Writers of large objects at one instant.
const LARGE_WRITERS: usize = 3;

/// How often they meet.
const ROUNDS: usize = 6;

/// An answer that a store can be made to lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// That a small object was written.
    Write,
    /// That a large object was written, once all its bytes are there.
    LargeWrite,
    /// That an object was deleted.
    Delete,
}

/// `Always` replaces whatever is there, `Absent` nothing, `Unchanged` that version and no other.
/// A write that meets something else is a conflict, and leaves what it met.
pub fn conditions(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "a condition that fails changes nothing", "conditions")?;
    let key = trial.key("object");
    let put = |bytes: &[u8], condition: &Condition| store.put(&key, bytes, condition.clone());
    let unchanged = |object: &Object| Condition::still(Some(object));

    let never = Condition::Unchanged("never".into());
    trial.conflicts("to replace what is absent", put(b"0", &never))?;
    trial.is_absent(&key)?;
    let first = trial.works("to create", put(b"1", &Condition::Absent))?;
    trial.conflicts("to create what is there", put(b"x", &Condition::Absent))?;
    trial.is_there(&first, b"1")?;
    let second = trial.works("to replace what was read", put(b"2", &unchanged(&first)))?;
    trial.conflicts("to replace what is no more", put(b"y", &unchanged(&first)))?;
    trial.is_there(&second, b"2")?;
    let third = trial.works("to write in any case", put(b"3", &Condition::Always))?;
    trial.conflicts("to replace what is no more", put(b"z", &unchanged(&second)))?;
    trial.is_there(&third, b"3")?;

    // What counts is what is there when the write ends.
    let late = trial.works("create", store.create(&key, unchanged(&third)))?;
    let fourth = trial.works("to replace what was read", put(b"4", &unchanged(&third)))?;
    trial.conflicts("to end a write that another overtook", late.finish())?;
    trial.is_there(&fourth, b"4")?;
    trial.clear()
}

/// Of many writers at one instant exactly one creates an object, and exactly one replaces it by
/// something else. All others learn that they did not.
pub fn one_winner(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "of many writers at one instant one wins", "one-winner")?;
    let race = |name: &str, writers: usize, size: usize| -> Kept {
        let key = trial.key(name);
        let bodies =
            |first: usize| (0..writers).map(|n| large(first + n, size)).collect::<Vec<_>>();
        let created = compete(&trial, &key, &Condition::Absent, &bodies(0))?;
        // All other than what is there: to write the same again may leave its version.
        let still = Condition::still(Some(&created));
        compete(&trial, &key, &still, &bodies(writers)).map(drop)
    };
    (0..ROUNDS).try_for_each(|round| race(&format!("small-{round}"), WRITERS, 64))?;
    race("large", LARGE_WRITERS, LARGE)?;
    trial.clear()
}

/// Has all write at one instant; what the one wrote that won.
fn compete(
    trial: &Trial<'_>,
    key: &str,
    condition: &Condition,
    bodies: &[Vec<u8>],
) -> Kept<Object> {
    let start = Barrier::new(bodies.len());
    let write = |body: &[u8]| {
        let upload = trial.store.create(key, condition.clone()).and_then(|mut upload| {
            let written = upload.write_all(body);
            written.map_err(|error| Error::store("write", key, error)).map(|()| upload)
        });
        // Also a writer who has failed is awaited by the others.
        start.wait();
        upload?.finish()
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = bodies.iter().map(|body| scope.spawn(|| write(body))).collect();
        writers.into_iter().map(|writer| trial.joined(writer.join())).collect()
    });
    let mut winners = Vec::new();
    for (outcome, body) in outcomes.into_iter().zip(bodies) {
        match outcome? {
            Ok(object) => winners.push((object, body)),
            loser => trial.conflicts("a write that another overtook", loser)?,
        }
    }
    match winners.as_slice() {
        [(object, body)] => {
            trial.is_there(object, body)?;
            Ok(object.clone())
        }
        _ => {
            let (won, all) = (winners.len(), bodies.len());
            Err(trial.broken(format!("{won} of {all} won under {condition:?}")))
        }
    }
}

/// A write whose answer was lost is made again, and meets its own object: that is a success, not a
/// conflict, and the object is there once. `lose` makes the store lose the next such answer.
pub fn lost_answers(store: &dyn Store, lose: &dyn Fn(Answer)) -> Kept {
    let promise = "a write whose answer was lost meets its own object";
    let trial = Trial::begin(store, promise, "lost-answers")?;
    let key = trial.key("small");
    lose(Answer::Write);
    let created = trial.works("to create", store.put(&key, b"1", Condition::Absent))?;
    trial.is_there(&created, b"1")?;
    lose(Answer::Write);
    let condition = Condition::still(Some(&created));
    let replaced = trial.works("to replace", store.put(&key, b"2", condition.clone()))?;
    trial.is_there(&replaced, b"2")?;
    lose(Answer::Write);
    trial.conflicts("to replace what is no more", store.put(&key, b"3", condition))?;
    trial.is_there(&replaced, b"2")?;
    lose(Answer::Delete);
    trial.works("delete", store.delete(&key))?;
    trial.is_absent(&key)?;

    let key = trial.key("large");
    let created = lose_large(&trial, lose, &key, &large(0, LARGE), Condition::Absent)?;
    let condition = Condition::still(Some(&created));
    lose_large(&trial, lose, &key, &large(1, LARGE), condition)?;
    trial.clear()
}

fn lose_large(
    trial: &Trial<'_>,
    lose: &dyn Fn(Answer),
    key: &str,
    bytes: &[u8],
    condition: Condition,
) -> Kept<Object> {
    let outcome = write_then(trial.store, key, bytes, condition, || lose(Answer::LargeWrite));
    let object = trial.works("to write a large object", outcome)?;
    trial.is_there(&object, bytes)?;
    Ok(object)
}

/// Writes an object, and does something before its end.
fn write_then(
    store: &dyn Store,
    key: &str,
    bytes: &[u8],
    condition: Condition,
    before_the_end: impl FnOnce(),
) -> Result<Object> {
    let mut upload = store.create(key, condition)?;
    upload.write_all(bytes).map_err(|error| Error::store("write", store.locate(key), error))?;
    before_the_end();
    upload.finish()
}
