//! Work that is done in its order by workers of a pool, one at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::{Error, Result};

/// The workers of a file: what they are at, and the error that ended their work.
#[derive(Debug)]
pub(super) struct Crew {
    pool: Arc<rayon::ThreadPool>,
    /// Tasks that were given to the pool and have not ended.
    at_work: AtomicUsize,
    outcome: Mutex<Outcome>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Outcome {
    failed: bool,
    /// Until somebody is told.
    error: Option<Error>,
}

impl Crew {
    pub(super) fn new(pool: Arc<rayon::ThreadPool>) -> Self {
        let (outcome, changed) = (Mutex::default(), Condvar::new());
        Self { pool, at_work: AtomicUsize::new(0), outcome, changed }
    }

    /// Whether there is but one worker, who is waited for: nothing happens beside what the caller does.
    pub(super) fn is_single(&self) -> bool {
        self.pool.current_num_threads() == 1
    }

    /// The work ends by an error. Of several the first counts.
    pub(super) fn fail(&self, error: Error) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if !outcome.failed {
            *outcome = Outcome { failed: true, error: Some(error) };
        }
        self.changed.notify_all();
    }

    /// Whether the work has ended by an error.
    pub(super) fn has_failed(&self) -> bool {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).failed
    }

    /// Nothing more is to be done.
    pub(super) fn dismiss(&self) {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).failed = true;
    }

    /// Waits until something holds, or the work has failed.
    ///
    /// # Errors
    ///
    /// That of the worker who failed.
    pub(super) fn wait(&self, until: impl Fn() -> bool) -> Result<()> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(error) = outcome.error.take() {
                return Err(error);
            }
            if outcome.failed {
                return Err(Error::internal("nothing is written to a file after an error"));
            }
            if until() {
                return Ok(());
            }
            outcome = self.changed.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until nobody is at work.
    pub(super) fn wait_for_all(&self) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        while self.at_work.load(Ordering::Acquire) > 0 {
            outcome = self.changed.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Something has happened that somebody may wait for.
    pub(super) fn tell(&self) {
        drop(self.outcome.lock());
        self.changed.notify_all();
    }

    /// Has something done by the pool.
    fn spawn(self: &Arc<Self>, task: impl FnOnce() + Send + 'static) {
        self.at_work.fetch_add(1, Ordering::AcqRel);
        let crew = Arc::clone(self);
        self.pool.spawn(move || {
            if catch_unwind(AssertUnwindSafe(task)).is_err() {
                crew.fail(Error::internal("a worker that encodes rows does not panic"));
            }
            crew.at_work.fetch_sub(1, Ordering::AcqRel);
            crew.tell();
        });
    }
}

/// Something that workers change, one piece of work after the other.
#[derive(Debug)]
pub(super) struct Actor<S, W> {
    inbox: Mutex<Inbox<S, W>>,
}

#[derive(Debug)]
struct Inbox<S, W> {
    /// Nothing while a worker has it.
    state: Option<S>,
    waiting: VecDeque<W>,
    is_called: bool,
}

impl<S: Send + 'static, W: Send + 'static> Actor<S, W> {
    pub(super) fn new(state: S) -> Self {
        let inbox = Inbox { state: Some(state), waiting: VecDeque::new(), is_called: false };
        Self { inbox: Mutex::new(inbox) }
    }

    /// Has work done by somebody of the crew, once all before it is done.
    pub(super) fn send(
        self: &Arc<Self>,
        crew: &Arc<Crew>,
        work: W,
        act: impl FnMut(&mut S, W) + Send + 'static,
    ) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.waiting.push_back(work);
        if std::mem::replace(&mut inbox.is_called, true) {
            return;
        }
        drop(inbox);
        let actor = Arc::clone(self);
        crew.spawn(move || actor.work(act));
    }

    fn work(&self, mut act: impl FnMut(&mut S, W)) {
        let inbox = || self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut state) = inbox().state.take() else { return };
        loop {
            let work = {
                let mut inbox = inbox();
                match inbox.waiting.pop_front() {
                    Some(work) => work,
                    None => {
                        inbox.state = Some(state);
                        inbox.is_called = false;
                        return;
                    }
                }
            };
            act(&mut state, work);
        }
    }

    /// What is changed, if nobody has it.
    pub(super) fn take(&self) -> Option<S> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).state.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crew(threads: usize) -> Arc<Crew> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        Arc::new(Crew::new(Arc::new(pool)))
    }

    #[test]
    fn work_is_done_in_its_order_and_that_of_several_side_by_side() {
        let crew = crew(4);
        let actors: Vec<_> = (0..8).map(|_| Arc::new(Actor::new(Vec::new()))).collect();
        for number in 0..1000 {
            for actor in &actors {
                actor.send(&crew, number, |done: &mut Vec<i32>, number| done.push(number));
            }
        }
        crew.wait_for_all();
        for actor in actors {
            assert_eq!(actor.take().unwrap(), (0..1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_is_told_once_and_whoever_waits_then_is_told_that_there_was_one() {
        let crew = crew(2);
        crew.fail(Error::internal("the first"));
        crew.fail(Error::internal("the second"));
        let told = || crew.wait(|| true).unwrap_err().to_string();
        assert!(told().contains("the first"));
        assert!(told().contains("after an error"));
    }

    #[test]
    fn a_panic_is_an_error_for_whoever_waits() {
        let crew = crew(2);
        let actor = Arc::new(Actor::new(()));
        let waiting = Arc::clone(&crew);
        let thread = std::thread::spawn(move || waiting.wait(|| false));
        actor.send(&crew, (), |(), ()| panic!("as by a fault of ours"));
        let error = thread.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("does not panic"), "{error}");
        crew.wait_for_all();
    }
}
