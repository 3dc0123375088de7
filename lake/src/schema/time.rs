//! Dates and times from text.

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Days since 1970-01-01 of a `YYYY-MM-DD` date; a time of midnight may follow.
pub fn date(text: &[u8]) -> Option<i32> {
    let (days, rest) = calendar(text)?;
    if !rest.is_empty() && instant(text)? != i64::from(days) * DAY {
        return None;
    }
    Some(days)
}

/// Microseconds since 1970-01-01T00:00:00Z of an ISO 8601 time: `T` or a space between date and
/// time, any fraction (cut to microseconds), any offset; without an offset it is UTC, without a
/// time midnight.
pub fn instant(text: &[u8]) -> Option<i64> {
    let (days, rest) = calendar(text)?;
    let midnight = i64::from(days) * DAY;
    let [b'T' | b't' | b' ', clock @ ..] = rest else {
        return rest.is_empty().then_some(midnight);
    };
    let (hour, clock) = two_digits(clock)?;
    let (minute, clock) = two_digits(clock.strip_prefix(b":")?)?;
    let (second, clock) = match clock.strip_prefix(b":") {
        Some(clock) => two_digits(clock)?,
        None => (0, clock),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, zone) = fraction(clock)?;
    let local = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    let instant = midnight + local - offset(zone)?;
    in_range(instant).then_some(instant)
}

/// Years 1 to 9999, in UTC: what every reader can show.
fn in_range(instant: i64) -> bool {
    const FIRST: i64 = -719_162 * DAY;
    const END: i64 = 2_932_897 * DAY;
    (FIRST..END).contains(&instant)
}

fn calendar(text: &[u8]) -> Option<(i32, &[u8])> {
    let (century, rest) = two_digits(text)?;
    let (year, rest) = two_digits(rest)?;
    let (month, rest) = two_digits(rest.strip_prefix(b"-")?)?;
    let (day, rest) = two_digits(rest.strip_prefix(b"-")?)?;
    let year = century * 100 + year;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > longest {
        return None;
    }
    Some((i32::try_from(days_from_civil(year, month, day)).ok()?, rest))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. The year is counted from March, so
/// that a leap day comes last and month lengths follow one formula.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn two_digits(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            Some((i64::from(tens - b'0') * 10 + i64::from(ones - b'0'), rest))
        }
        _ => None,
    }
}

fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', digits @ ..] = text else { return Some((0, text)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(count);
    if count == 0 {
        return None;
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    Some((padded.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')), rest))
}

fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        [] | [b'Z' | b'z'] => return Some(0),
        [b' ', rest @ ..] => return offset(rest).filter(|_| !rest.is_empty()),
        b"UTC" | b"GMT" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = two_digits(digits)?;
    let (minutes, rest) = match rest.strip_prefix(b":").unwrap_or(rest) {
        [] => (0, &[][..]),
        rest => two_digits(rest)?,
    };
    (rest.is_empty() && hours < 24 && minutes < 60)
        .then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants_of_every_spelling_are_utc() {
        let expected = Some(1_700_000_000_000_000);
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:20.000Z",
            "2023-11-14 22:13:20",
            "2023-11-14T22:13:20.000000000+00:00",
            "2023-11-14T23:13:20+01:00",
            "2023-11-14T23:13:20+0100",
            "2023-11-14T17:13:20-05",
            "2023-11-14 22:13:20 UTC",
            "2023-11-14t22:13:20z",
        ] {
            assert_eq!(instant(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(instant(b"2023-11-14T22:13:20.1234567Z"), expected.map(|t| t + 123_456));
        assert_eq!(instant(b"2023-11-14"), Some(19_675 * DAY));
        assert_eq!(instant(b"2023-11-14T22:13"), Some(1_699_999_980_000_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "0000-00-00",
            "0000-01-01",
            "2023-02-29",
            "2023-13-01",
            "10000-01-01",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:60Z",
            "2023-11-14T",
            "2023-11-14x",
            "Tue, 14 Nov 2023",
            "1700000000",
            "2023-11-14T22:13:20+25:00",
            "2023-11-14T22:13:20.Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2023-11-14T22:13:20 ",
        ] {
            assert_eq!(instant(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_date_may_carry_midnight_and_nothing_else() {
        assert_eq!(date(b"1970-01-02"), Some(1));
        assert_eq!(date(b"1970-01-02T00:00:00Z"), Some(1));
        assert_eq!(date(b"1970-01-02T01:00:00Z"), None);
        assert_eq!(date(b"0001-01-01"), Some(-719_162));
        assert_eq!(date(b"9999-12-31"), Some(2_932_896));
    }

    proptest! {
        #[test]
        fn dates_agree_with_chrono(days in -719_162_i32..2_932_897) {
            let day = chrono::DateTime::from_timestamp(i64::from(days) * 86_400, 0).unwrap();
            prop_assert_eq!(date(day.format("%Y-%m-%d").to_string().as_bytes()), Some(days));
        }
    }
}
