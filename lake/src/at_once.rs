//! Work on several objects at once: each waits for its disk or for S3, and none for the others.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crossbeam_channel::unbounded;

use crate::error::{Error, Result};

/// Does some work for each item, up to `most` at a time, and hands on what comes of each as it ends. The items
/// come, and what comes of them is taken, on the thread of the caller; with 1 all is done there, one item
/// after the other.
///
/// # Errors
///
/// The first of `take`. What is at work by then ends, and nothing else is begun.
pub(crate) fn at_once<T: Send, R: Send>(
    most: usize,
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let mut items = items.into_iter();
    if most <= 1 || items.size_hint().1.is_some_and(|items| items <= 1) {
        return items.try_for_each(|item| take(work(item)));
    }
    let around = tracing::Span::current();
    std::thread::scope(|scope| {
        let (begin, begun) = unbounded();
        let (end, ended) = unbounded();
        let mut take_one = || match ended.recv() {
            Ok(Ok(outcome)) => take(outcome),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(error) => Err(Error::broken("whoever is at work says what came of it", error)),
        };
        let (mut threads, mut at_work) = (0, 0);
        for item in items {
            // What has ended is heard before anything else is begun.
            while at_work == most || (at_work > 0 && !ended.is_empty()) {
                at_work -= 1;
                take_one()?;
            }
            if at_work == threads {
                threads += 1;
                let (begun, end, work, around) = (begun.clone(), end.clone(), &work, &around);
                scope.spawn(move || {
                    let _inside = around.enter();
                    for item in begun {
                        // Nobody listens behind an error.
                        _ = end.send(catch_unwind(AssertUnwindSafe(|| work(item))));
                    }
                });
            }
            at_work += 1;
            _ = begin.send(item);
        }
        (0..at_work).try_for_each(|_| take_one())
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
