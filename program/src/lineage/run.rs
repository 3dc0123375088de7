//! A run, from its first event to its last.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use uuid::Uuid;

use super::dataset::{Data, Name};
use super::environment::{Environment, Receiver};
use super::event::{RunOf, Turn};
use super::transport::Transport;
use crate::log::timestamp;
use crate::report::{self, Exit};

/// What was told of the run; nothing where nobody listens.
static TOLD: Mutex<Option<Data>> = Mutex::new(None);

/// Whether anybody listens.
pub fn is_on() -> bool {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Tells what a run has read and written, before it ends.
pub fn tell(data: impl FnOnce() -> Data) {
    if is_on() {
        let data = data();
        *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = Some(data);
    }
}

/// The name of a stream between two programs: the one writes to it what the other reads.
pub fn stream(name: &str) -> Name {
    let namespace = format!("singer://{}", Environment::of_process().namespace());
    Name { namespace, name: name.to_owned() }
}

/// Does the work of a run of a program, and says when it begins and how it ends. `exit` is the code that an error
/// leads to.
pub fn run<T, E: Error>(
    program: &'static str,
    exit: impl Fn(&E) -> Exit,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let Some((run, transport)) = begin(program) else { return work() };
    *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = Some(Data::default());
    let send = |turn: &Turn, data: &Data| {
        let time = timestamp().unwrap_or_default();
        transport.send(run.event(turn, &time, data));
    };
    send(&Turn::Start, &Data::default());
    let outcome = work();
    let turn = match &outcome {
        Ok(_) => Turn::Complete,
        Err(error) => {
            let reason = report::sentence(error, None);
            match exit(error) {
                Exit::Interrupted | Exit::Terminated => Turn::Abort(reason),
                // The data is there.
                Exit::Success | Exit::CatalogBehind => Turn::Complete,
                Exit::Failure | Exit::Usage => Turn::Fail(reason),
            }
        }
    };
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner).take();
    send(&turn, &told.unwrap_or_default());
    transport.end();
    outcome
}

/// A run of which somebody is told, where the environment asks for that.
fn begin(program: &'static str) -> Option<(RunOf, Transport)> {
    let environment = Environment::of_process();
    let receiver = match environment.receiver() {
        Ok(receiver) => receiver?,
        Err(reason) => {
            tracing::warn!("no lineage is sent: {reason}");
            return None;
        }
    };
    if let Receiver::Server(url, Some(_)) = &receiver {
        crate::exposed::warn_of_plain_http("OPENLINEAGE_URL", Some(url.as_str()), "the key goes");
    }
    let parent = environment.parent().unwrap_or_else(|name| {
        tracing::warn!("{name} names no run; lineage is sent without a parent");
        None
    });
    let run = RunOf {
        id: id().to_string(),
        namespace: environment.namespace(),
        job: environment.job(program),
        program,
        parent,
    };
    let transport = Transport::new(receiver);
    let transport = transport.inspect_err(|error| tracing::warn!("no lineage is sent: {error}"));
    Some((run, transport.ok()?))
}

/// An id that begins with the time, as OpenLineage recommends.
fn id() -> Uuid {
    // Each state is seeded by the system.
    let random = [RandomState::new().hash_one(0), RandomState::new().hash_one(1)];
    let random = random.map(u64::to_le_bytes).concat();
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
    let since = UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let since = u64::try_from(since).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(since, &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_runs_have_one_id_and_later_ones_come_later() {
        let ids: Vec<_> = (0..100).map(|_| id()).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), 100);
        assert!(ids.iter().all(|id| id.get_version_num() == 7), "{ids:?}");
    }
}
