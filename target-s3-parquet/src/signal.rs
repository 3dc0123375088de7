//! SIGTERM and SIGINT: stop reading, keep what is safe. A second signal ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use program::report::Exit;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;

/// Whether a signal asked for the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    stopped: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from now on.
    pub(crate) fn listen() -> Self {
        let stop = Self::default();
        for signal in [SIGTERM, SIGINT] {
            let number = number(signal);
            let registered = signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&stop.stopped),
            )
            .and_then(|_| {
                signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), number)
            })
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop.stopped)));
            if let Err(error) = registered {
                tracing::warn!(%error, "signals are not handled");
            }
        }
        stop
    }

    /// The flag that a signal sets.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopped)
    }

    /// The error by which a run ends that a signal has stopped.
    pub(crate) fn error(&self) -> Option<Error> {
        if !self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        Some(if self.signal.load(Ordering::Relaxed) == number(SIGTERM) {
            Error::Stopped { signal: "SIGTERM", exit: Exit::Terminated }
        } else {
            Error::Stopped { signal: "SIGINT", exit: Exit::Interrupted }
        })
    }
}

/// The number of a signal, as it is kept.
fn number(signal: i32) -> usize {
    signal.unsigned_abs() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_no_signal_has_stopped_ends_without_error() {
        assert!(Stop::default().error().is_none());
    }

    #[test]
    fn each_signal_has_its_exit_code() {
        for (signal, expected) in [(SIGTERM, Exit::Terminated), (SIGINT, Exit::Interrupted)] {
            let stop = Stop::default();
            stop.signal.store(number(signal), Ordering::Relaxed);
            stop.flag().store(true, Ordering::Relaxed);
            let error = stop.error().unwrap();
            assert_eq!(error.exit(), expected);
        }
    }
}
