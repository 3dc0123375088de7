//! Numbers as a person reads them.

/// A count with its thousands set apart: `24,234`.
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what it counts: `1 row`, `24,234 rows`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// Bytes in units of a thousand, with two digits at least: `49 kB`.
#[expect(clippy::cast_precision_loss, reason = "two or three digits of it are shown")]
pub fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1000.0;
    for unit in ["kB", "MB", "GB"] {
        if size < 9.95 {
            return format!("{size:.1} {unit}");
        }
        if size < 999.5 {
            return format!("{size:.0} {unit}");
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// A time: `12.5 s`, and from two minutes on `3 min 20 s`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time is not negative, and an age of the universe fits"
)]
pub fn time(seconds: f64) -> String {
    if seconds < 119.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (minutes, seconds) = (whole / 60, whole % 60);
    if minutes < 60 {
        return format!("{minutes} min {seconds} s");
    }
    format!("{} h {} min", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1000, 24_234_567].map(number), ["0", "999", "1,000", "24,234,567"]);
        assert_eq!(
            [0, 1, 1000].map(|count| counted(count, "row", "rows")),
            ["0 rows", "1 row", "1,000 rows"]
        );
        let sizes = [999, 1000, 9_949, 48_900, 999_499, 999_500, 2 << 30].map(size);
        assert_eq!(sizes, ["999 B", "1.0 kB", "9.9 kB", "49 kB", "999 kB", "1.0 MB", "2.1 GB"]);
        assert_eq!(size(3_000_000_000_000), "3.0 TB");
        let times = [0.04, 12.45, 119.9, 119.96, 3599.0, 7260.0].map(time);
        assert_eq!(times, ["0.0 s", "12.4 s", "119.9 s", "2 min 0 s", "59 min 59 s", "2 h 1 min"]);
    }
}
