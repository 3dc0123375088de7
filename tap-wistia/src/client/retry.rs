//! Which requests are sent again, and when. Nothing here waits or sends: the decisions are functions
//! of an answer, an error and the time.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::error::{Error, Kind};

/// Times that a body which is no JSON is asked for: it may have been cut off, or come from a proxy on
/// the way.
const MALFORMED_TRIES: u32 = 3;

/// Nothing is tried for longer, whatever the settings say: clocks end somewhere.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

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

/// Judges an answer that came `now` by its status and its header Retry-After.
pub(super) fn judge(status: u16, retry_after: Option<&str>, now: SystemTime) -> Verdict {
    let after = || retry_after.and_then(|value| seconds(value, now));
    match status {
        200..=299 => Verdict::Done,
        429 | 503 => Verdict::Again { after: after(), everyone: true },
        408 | 425 | 500..=599 => Verdict::Again { after: after(), everyone: false },
        _ => Verdict::Refused,
    }
}

/// The seconds that Retry-After asks for, in either form that HTTP has for it; Wistia's is a number:
/// <https://docs.wistia.com/docs/making-api-requests>. What is neither leaves the time to the backoff.
fn seconds(value: &str, now: SystemTime) -> Option<u64> {
    let value = value.trim();
    let digits = value.strip_prefix('+').unwrap_or(value);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(whole.is_empty() && fraction.is_empty()) && is_number(whole) && is_number(fraction) {
        // What does not fit is longer than anybody waits.
        let seconds = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
        let part = fraction.bytes().any(|digit| digit != b'0');
        return Some(seconds.saturating_add(u64::from(part)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date that has passed asks for nothing.
    let wait = date.duration_since(now).unwrap_or_default();
    Some(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)))
}

/// Waits that double from half a second to a minute, with jitter, without an end of their own.
fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_mins(1))
        .with_jitter()
        .without_max_times()
        .build()
}

/// What happens after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The request is sent again after this time.
    Wait(Duration),
    /// The same request may work, but the time for it is used up.
    UsedUp,
    /// The server asks for more time than there is.
    TooLong,
    /// It is of no use.
    End,
}

/// What is left to try for one request.
#[derive(Debug)]
pub(super) struct Budget {
    deadline: Instant,
    malformed: u32,
    waits: ExponentialBackoff,
}

impl Budget {
    /// Failures that pass are tried for so long.
    pub(super) fn from(now: Instant, patience: Duration) -> Self {
        Self { deadline: now + patience.min(LONGEST), malformed: 0, waits: backoff() }
    }

    /// The time that is left.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.deadline.saturating_duration_since(now)
    }

    /// Whether and when the request is sent again after this error. Never after the deadline, save
    /// for a body that was cut off.
    pub(super) fn next(&mut self, error: &Error, now: Instant) -> Next {
        let wait = |waits: &mut ExponentialBackoff| waits.next().unwrap_or(Duration::from_mins(1));
        if matches!(error, Error::Malformed { cut: true, .. }) {
            self.malformed += 1;
            let again = self.malformed < MALFORMED_TRIES;
            return if again { Next::Wait(wait(&mut self.waits)) } else { Next::End };
        }
        if error.kind() != Kind::Transient {
            return Next::End;
        }
        let left = self.left(now);
        let asked = match error {
            Error::Unavailable { retry_after, .. } => retry_after.map(Duration::from_secs),
            _ => None,
        };
        if asked.is_some_and(|asked| asked > left) {
            return Next::TooLong;
        }
        if left.is_zero() {
            return Next::UsedUp;
        }
        let wait = wait(&mut self.waits);
        // Retry-After says when; up to a second more than the server's zero keeps us polite.
        let wait = asked.map_or(wait, |asked| asked.max(wait.min(Duration::from_secs(1))));
        Next::Wait(wait.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(retry_after: Option<u64>) -> Error {
        Error::Unavailable {
            path: "/x".into(),
            status: 503,
            body: String::new(),
            retry_after,
            too_long: None,
            host: String::new(),
        }
    }

    fn malformed(cut: bool) -> Error {
        Error::Malformed { path: "/x".into(), expected: "a list", reason: String::new(), cut }
    }

    fn in_seconds(seconds: u64) -> (Instant, Budget) {
        let start = Instant::now();
        (start, Budget::from(start, Duration::from_secs(seconds)))
    }

    #[test]
    fn busy_and_broken_servers_are_asked_again_and_refusals_are_not() {
        let everyone = |after| Verdict::Again { after, everyone: true };
        let alone = |after| Verdict::Again { after, everyone: false };
        for (status, retry_after, verdict) in [
            (200, None, Verdict::Done),
            (204, Some("7"), Verdict::Done),
            (429, Some("7"), everyone(Some(7))),
            (429, None, everyone(None)),
            (503, Some("soon"), everyone(None)),
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
            let judged = judge(status, retry_after, SystemTime::now());
            assert_eq!(judged, verdict, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn retry_after_is_any_number_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        for (value, expected) in [
            (" 7 ", Some(7)),
            ("+7", Some(7)),
            ("0", Some(0)),
            ("1.5", Some(2)),
            ("2.000", Some(2)),
            (".5", Some(1)),
            ("9223372036854775807", Some(9_223_372_036_854_775_807)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("18446744073709551615.5", Some(u64::MAX)),
            ("Wed, 21 Oct 2026 07:28:30 GMT", Some(30)),
            ("Wednesday, 21-Oct-26 07:29:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(251_609_733_119)),
            ("Wed, 99 Oct 2026 07:28:00 GMT", None),
            ("-1", None),
            ("inf", None),
            ("NaN", None),
            ("1e9", None),
            ("0x10", None),
            (".", None),
            ("", None),
            ("soon", None),
            ("٣", None),
        ] {
            assert_eq!(seconds(value, now), expected, "{value:?}");
        }
    }

    #[test]
    fn what_passes_is_tried_until_the_deadline_and_no_wait_goes_beyond_it() {
        let (start, mut budget) = in_seconds(600);
        let late = start + Duration::from_millis(599_900);
        assert!(matches!(budget.next(&unavailable(None), start), Next::Wait(_)));
        let left = Duration::from_millis(100);
        assert_eq!(budget.next(&unavailable(None), late), Next::Wait(left));
        assert_eq!(budget.next(&unavailable(Some(0)), late), Next::Wait(left));
        let end = start + Duration::from_mins(10);
        assert_eq!(budget.next(&unavailable(None), end), Next::UsedUp);
        assert_eq!(budget.next(&Error::internal("x"), start), Next::End);
    }

    #[test]
    fn who_asks_for_more_time_than_there_is_gets_none() {
        let (start, mut budget) = in_seconds(600);
        assert_eq!(budget.next(&unavailable(Some(601)), start), Next::TooLong);
        assert_eq!(budget.next(&unavailable(Some(u64::MAX)), start), Next::TooLong);
        let ten = Duration::from_secs(10);
        assert_eq!(budget.next(&unavailable(Some(591)), start + ten), Next::TooLong);
        let all = Next::Wait(Duration::from_secs(590));
        assert_eq!(budget.next(&unavailable(Some(590)), start + ten), all);
        let (start, mut endless) = in_seconds(u64::MAX);
        assert_eq!(endless.next(&unavailable(Some(u64::MAX)), start), Next::TooLong);
    }

    #[test]
    fn a_body_that_is_no_json_is_asked_for_three_times_and_wrong_data_once() {
        let (start, mut budget) = in_seconds(0);
        let tries = [(); 4].map(|()| budget.next(&malformed(true), start));
        assert!(matches!(tries, [Next::Wait(_), Next::Wait(_), Next::End, Next::End]), "{tries:?}");
        assert_eq!(in_seconds(9).1.next(&malformed(false), start), Next::End);
    }

    #[test]
    fn retry_after_replaces_the_backoff_and_zero_still_waits_a_little() {
        let (start, mut budget) = in_seconds(600);
        assert_eq!(budget.next(&unavailable(Some(7)), start), Next::Wait(Duration::from_secs(7)));
        let Next::Wait(little) = budget.next(&unavailable(Some(0)), start) else { panic!() };
        assert!((500..=1000).contains(&little.as_millis()), "{little:?}");
    }
}
