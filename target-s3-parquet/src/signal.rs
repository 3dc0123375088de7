//! SIGTERM and SIGINT: stop reading, keep what is safe. A second signal ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use program::report::Exit;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;

/// Whether a signal asked for the end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    stopped: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from now on.
    pub fn listen() -> Self {
        let stop = Self::default();
        for signal in [SIGTERM, SIGINT] {
            let number = usize::try_from(signal).unwrap_or_default();
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
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopped)
    }

    /// The error by which a run ends that a signal has stopped.
    pub fn error(&self) -> Option<Error> {
        if !self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let terminated =
            usize::try_from(SIGTERM).is_ok_and(|term| self.signal.load(Ordering::Relaxed) == term);
        Some(if terminated {
            Error::Stopped { signal: "SIGTERM", exit: Exit::Terminated }
        } else {
            Error::Stopped { signal: "SIGINT", exit: Exit::Interrupted }
        })
    }
}
