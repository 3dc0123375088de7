//! Work on several objects at once: each waits for its disk or for S3, and none for the others.

use std::sync::{Mutex, PoisonError};

use crossbeam_channel::bounded;

use crate::error::Result;

/// Does some work for each item, up to `most` at a time, and hands on what comes of each as it ends.
/// With 1, one item after the other on the thread of the caller.
///
/// # Errors
///
/// The first of `take`. What is at work by then ends, and nothing else is begun.
pub(crate) fn at_once<T: Send, R: Send>(
    most: usize,
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator + Send>,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let mut items = items.into_iter();
    let threads = most.min(items.len());
    if threads <= 1 {
        return items.try_for_each(|item| take(work(item)));
    }
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        // No room: who ends waits until it is heard, so that nothing is begun behind an error.
        let (done, outcomes) = bounded(0);
        for _ in 0..threads {
            let (done, next, work) = (done.clone(), &next, &work);
            scope.spawn(move || {
                while let Some(item) = next() {
                    if done.send(work(item)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        outcomes.into_iter().try_for_each(&mut take)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    #[test]
    fn all_is_done_and_several_at_a_time() {
        let together = Barrier::new(3);
        let mut seen = Vec::new();
        let double = |item: usize| {
            // Nobody would come past it alone.
            together.wait();
            item * 2
        };
        at_once(3, 0..9, double, |done| {
            seen.push(done);
            Ok(())
        })
        .unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..9).map(|item| item * 2).collect::<Vec<_>>());
    }

    #[test]
    fn one_at_a_time_is_in_order_and_on_the_thread_of_the_caller() {
        let caller = std::thread::current().id();
        let mut seen = Vec::new();
        let here = |item| (item, std::thread::current().id() == caller);
        at_once(1, [3, 1, 2], here, |done| {
            seen.push(done);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(3, true), (1, true), (2, true)]);
    }

    #[test]
    fn nothing_is_begun_behind_an_error() {
        let begun = AtomicUsize::new(0);
        let count = |_| begun.fetch_add(1, Ordering::Relaxed);
        let outcome = at_once(2, 0..1000, count, |_| Err(Error::internal("as in a store")));
        assert!(outcome.is_err());
        assert!(begun.into_inner() < 10);
    }
}
