//! Which requests are sent again, and when. Nothing here waits or sends: the decisions are functions
//! of an answer, an error and the time.

use std::time::Duration;

use backon::ExponentialBuilder;
use tokio::time::Instant;

use crate::error::{Error, Kind};

/// Times that a body which is no JSON is asked for: it may have been cut off, or come from a proxy on
/// the way.
const MALFORMED_TRIES: u32 = 3;

/// What an answer says about its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The body is what was asked for.
    Done,
    /// The same request may work later.
    Again {
        /// The seconds that the server asks for.
        after: Option<u64>,
        /// Whether it asks so of every request, and not of this one alone.
        everyone: bool,
    },
    /// The same request will be answered alike.
    Refused,
}

/// Judges an answer by its status and its header Retry-After. Wistia's is in seconds:
/// <https://docs.wistia.com/docs/making-api-requests>. A date, which HTTP allows too, is no number and
/// leaves the time to the backoff.
pub(super) fn judge(status: u16, retry_after: Option<&str>) -> Verdict {
    let after = retry_after.and_then(|value| value.trim().parse().ok());
    match status {
        200..=299 => Verdict::Done,
        429 | 503 => Verdict::Again { after, everyone: true },
        408 | 425 | 500..=599 => Verdict::Again { after, everyone: false },
        _ => Verdict::Refused,
    }
}

/// Waits that double from half a second to a minute, with jitter, without an end of their own.
pub(super) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_mins(1))
        .with_jitter()
        .without_max_times()
}

/// What is left to try for one request.
#[derive(Debug)]
pub(super) struct Budget {
    deadline: Instant,
    malformed: u32,
}

impl Budget {
    /// Failures that pass are tried until `deadline`.
    pub(super) fn until(deadline: Instant) -> Self {
        Self { deadline, malformed: 0 }
    }

    /// Whether the request is sent again after this error.
    pub(super) fn allows(&mut self, error: &Error, now: Instant) -> bool {
        if matches!(error, Error::Malformed { cut: true, .. }) {
            self.malformed += 1;
            return self.malformed < MALFORMED_TRIES;
        }
        error.kind() == Kind::Transient && now < self.deadline
    }
}

/// The wait before the request is sent again, where the backoff wants `delay`. Retry-After says when;
/// up to a second more than the server's zero keeps us polite.
pub(super) fn delay(error: &Error, delay: Duration) -> Duration {
    match error {
        Error::Unavailable { retry_after: Some(seconds), .. } => {
            Duration::from_secs(*seconds).max(delay.min(Duration::from_secs(1)))
        }
        _ => delay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(retry_after: Option<u64>) -> Error {
        Error::Unavailable { path: "/x".into(), status: 503, body: String::new(), retry_after }
    }

    fn malformed(cut: bool) -> Error {
        Error::Malformed { path: "/x".into(), expected: "a list", reason: String::new(), cut }
    }

    #[test]
    fn busy_and_broken_servers_are_asked_again_and_refusals_are_not() {
        let everyone = |after| Verdict::Again { after, everyone: true };
        let alone = |after| Verdict::Again { after, everyone: false };
        for (status, retry_after, verdict) in [
            (200, None, Verdict::Done),
            (204, Some("7"), Verdict::Done),
            (429, Some("7"), everyone(Some(7))),
            (429, Some(" 7 "), everyone(Some(7))),
            (429, None, everyone(None)),
            (503, Some("Wed, 21 Oct 2026 07:28:00 GMT"), everyone(None)),
            (503, Some("-1"), everyone(None)),
            (500, Some("2"), alone(Some(2))),
            (502, None, alone(None)),
            (599, None, alone(None)),
            (408, None, alone(None)),
            (425, None, alone(None)),
            (301, None, Verdict::Refused),
            (400, Some("7"), Verdict::Refused),
            (401, None, Verdict::Refused),
            (404, None, Verdict::Refused),
            (422, None, Verdict::Refused),
        ] {
            assert_eq!(judge(status, retry_after), verdict, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn what_passes_is_tried_until_the_deadline_whatever_retry_after_says() {
        let start = Instant::now();
        let mut budget = Budget::until(start + Duration::from_mins(10));
        assert!(budget.allows(&unavailable(Some(3600)), start));
        assert!(budget.allows(&unavailable(None), start + Duration::from_secs(599)));
        assert!(!budget.allows(&unavailable(None), start + Duration::from_mins(10)));
        assert!(!budget.allows(&Error::NotFound { path: "/x".into() }, start));
    }

    #[test]
    fn a_body_that_is_no_json_is_asked_for_three_times_and_wrong_data_once() {
        let start = Instant::now();
        let mut budget = Budget::until(start);
        let tries = [(); 4].map(|()| budget.allows(&malformed(true), start));
        assert_eq!(tries, [true, true, false, false]);
        assert!(!Budget::until(start + Duration::from_secs(9)).allows(&malformed(false), start));
    }

    #[test]
    fn retry_after_replaces_the_backoff_and_zero_still_waits_a_little() {
        let (short, long) = (Duration::from_millis(500), Duration::from_mins(1));
        assert_eq!(delay(&unavailable(Some(7)), long), Duration::from_secs(7));
        assert_eq!(delay(&unavailable(Some(0)), short), short);
        assert_eq!(delay(&unavailable(Some(0)), long), Duration::from_secs(1));
        assert_eq!(delay(&unavailable(None), long), long);
        assert_eq!(delay(&malformed(true), short), short);
    }
}
