//! Numbers from JSON text, exactly or not at all.

/// Whether the bytes are a JSON number. Leading zeros are accepted, as no value is unclear by them.
#[inline]
pub(crate) fn is_number(word: &[u8]) -> bool {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let whole = count_digits(digits);
    let mut rest = digits.get(whole..).unwrap_or_default();
    if whole == 0 {
        return false;
    }
    if let [b'.', fraction @ ..] = rest {
        let count = count_digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        return !exponent.is_empty() && count_digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// What Python writes for floats that JSON has no word for.
pub(crate) fn is_python_float(word: &[u8]) -> bool {
    matches!(word, b"NaN" | b"Infinity" | b"-Infinity")
}

fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

/// An integer: plain digits, or a number such as `7.0` or `1e3` whose value is one.
#[inline]
pub(crate) fn integer(word: &[u8]) -> Option<i64> {
    let (negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // Eighteen digits cannot overflow.
    if !digits.is_empty() && digits.len() <= 18 {
        let mut value = 0_i64;
        for byte in digits {
            if !byte.is_ascii_digit() {
                return unusual_integer(word);
            }
            value = value * 10 + i64::from(byte - b'0');
        }
        return Some(if negative { -value } else { value });
    }
    unusual_integer(word)
}

#[cold]
fn unusual_integer(word: &[u8]) -> Option<i64> {
    i64::try_from(scaled(word, 0)?).ok()
}

/// A finite double.
#[inline]
pub(crate) fn double(word: &[u8]) -> Option<f64> {
    if !is_number(word) {
        return None;
    }
    fast_float2::parse::<f64, _>(word).ok().filter(|value| value.is_finite())
}

/// Whether a number had digits that its double has not: written again with as many of them, it is another
/// one. What a program has written with the digits that a double needs is not.
#[inline]
pub(crate) fn is_rounded(word: &[u8], value: f64) -> bool {
    // So many digits come back from every double that is not next to nothing.
    if word.len() <= f64::DIGITS as usize && value.is_normal() {
        return false;
    }
    plain_digits(word, value) != Some(true) && has_lost_digits(word, value)
}

/// Whether a double has all digits of a plain number such as `0.8472951837294034`, zeros at its end included, by
/// its bits; nothing where that takes more than 128 of them.
fn plain_digits(word: &[u8], value: f64) -> Option<bool> {
    let text = std::str::from_utf8(word.strip_prefix(b"-").unwrap_or(word)).ok()?;
    let (whole, fraction) = text.split_once('.')?;
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let digits = digits.checked_add(fraction.parse().ok()?)?;
    let bits = value.to_bits();
    let mantissa = (bits & ((1 << 52) - 1)) | 1 << 52;
    // The value is the mantissa without so many of its lowest bits.
    let shift =
        1075_u64.checked_sub(bits >> 52 & 0x7ff).filter(|shift| (1..126).contains(shift))?;
    let scaled = u128::from(mantissa) * u128::from(scale);
    let rounded = (scaled + (1 << (shift - 1))) >> shift;
    value.is_normal().then_some(rounded == u128::from(digits))
}

fn has_lost_digits(word: &[u8], value: f64) -> bool {
    /// No double has more of them (<https://www.exploringbinary.com/maximum-number-of-decimal-digits-in-binary-floating-point-numbers/>).
    const MOST: usize = 767;
    let mantissa = word.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or_default();
    let digits = || mantissa.iter().copied().filter(u8::is_ascii_digit);
    let leading = digits().take_while(|digit| *digit == b'0').count();
    let all = digits().count();
    let trailing = digits().rev().take_while(|digit| *digit == b'0').count();
    if leading == all {
        return false;
    }
    let significant = all - leading - trailing;
    if significant <= f64::DIGITS as usize && value.is_normal() {
        return false;
    }
    if significant > MOST {
        return true;
    }
    let again = format!("{:.*e}", significant - 1, value.abs());
    let again = again.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit);
    !again.eq(digits().skip(leading).take(significant))
}

/// The number times ten to the power of `scale`, where that is an integer below 10^38.
pub(crate) fn decimal(word: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let value = scaled(word, i64::from(scale))?;
    (value.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(value)
}

fn scaled(word: &[u8], scale: i64) -> Option<i128> {
    if !is_number(word) {
        return None;
    }
    let (negative, word) = match word {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let exponent_at = word.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match exponent_at {
        Some(at) => {
            let text = std::str::from_utf8(word.get(at + 1..)?).ok()?;
            (word.get(..at)?, text.parse::<i64>().ok()?)
        }
        None => (word, 0),
    };
    let mut value = 0_i128;
    let mut shift = exponent.checked_add(scale)?;
    let mut after_point = false;
    for byte in mantissa {
        if *byte == b'.' {
            after_point = true;
            continue;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        if after_point {
            shift = shift.checked_sub(1)?;
        }
    }
    if value == 0 {
        return Some(0);
    }
    while shift < 0 {
        if value % 10 != 0 {
            return None;
        }
        value /= 10;
        shift += 1;
    }
    let factor = 10_i128.checked_pow(u32::try_from(shift).ok()?)?;
    let value = value.checked_mul(factor)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_are_exact_or_refused() {
        for (word, value) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("42", Some(42)),
            ("7.0", Some(7)),
            ("1e3", Some(1000)),
            ("1.5e1", Some(15)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("999999999999999999999999999999", None),
            ("7.5", None),
            ("1e-1", None),
            ("1e400", None),
            ("0e999999999999", Some(0)),
            ("NaN", None),
            ("true", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(integer(word.as_bytes()), value, "{word}");
        }
    }

    #[test]
    fn doubles_are_finite_or_refused() {
        assert_eq!(double(b"1e-400"), Some(0.0));
        assert_eq!(double(b"0.1"), Some(0.1));
        assert_eq!(double(b"-5"), Some(-5.0));
        for word in ["1e309", "NaN", "Infinity", "-Infinity", "1.", ".5", "+1", "0x10", "inf"] {
            assert_eq!(double(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn a_number_with_digits_that_a_double_has_not_is_known() {
        for (word, is_lost) in [
            ("0", false),
            ("-0.000", false),
            ("0e999", false),
            ("0.1", false),
            ("-1.50", false),
            ("1e300", false),
            // Written with 17 digits, as C has it, and with all that the double has.
            ("0.10000000000000001", false),
            ("0.1000000000000000055511151231257827", false),
            ("9007199254740992", false),
            ("9007199254740993", true),
            ("123456789012345678", true),
            ("8192.615047420420", false),
            ("100000000000000000000", false),
            ("99999999999999999999", true),
            ("1234567890123456789012345678.0123456789", true),
            ("1e-400", true),
            ("1.2345e-320", true),
            ("5e-324", false),
        ] {
            let value = double(word.as_bytes()).unwrap();
            assert_eq!(is_rounded(word.as_bytes(), value), is_lost, "{word}");
        }
        let long = format!("0.{}", "1".repeat(5000));
        assert!(is_rounded(long.as_bytes(), double(long.as_bytes()).unwrap()));
    }

    #[test]
    fn decimals_keep_every_digit_or_are_refused() {
        assert_eq!(decimal(b"12.34", 38, 2), Some(1234));
        assert_eq!(decimal(b"12.340", 38, 2), Some(1234));
        assert_eq!(decimal(b"12.345", 38, 2), None);
        assert_eq!(decimal(b"-1e2", 38, 2), Some(-10_000));
        assert_eq!(decimal(b"1000", 3, 0), None);
        assert_eq!(
            decimal(b"12345678901234567890123456789012345678", 38, 0),
            Some(12_345_678_901_234_567_890_123_456_789_012_345_678)
        );
        assert_eq!(decimal(b"123456789012345678901234567890123456789", 38, 0), None);
    }

    proptest! {
        #[test]
        fn what_a_double_is_written_as_has_lost_nothing(value in proptest::num::f64::ANY) {
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:.16e}")] {
                prop_assert!(!is_rounded(text.as_bytes(), value), "{}", text);
            }
        }

        #[test]
        fn bits_and_digits_tell_the_same(whole in 0..1_000_000_u32, fraction in "[0-9]{9,13}") {
            let text = format!("{whole}.{fraction}");
            let value = double(text.as_bytes()).unwrap();
            match plain_digits(text.as_bytes(), value) {
                Some(true) => prop_assert!(!has_lost_digits(text.as_bytes(), value), "{}", text),
                Some(false) if !text.ends_with('0') => {
                    prop_assert!(has_lost_digits(text.as_bytes(), value), "{}", text);
                }
                Some(false) | None => {}
            }
        }

        #[test]
        fn digits_are_lost_where_the_integer_is_another(digits in 1..=i64::MAX) {
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "this is the test")]
            let is_lost = digits as f64 as i128 != i128::from(digits);
            let text = digits.to_string();
            let value = double(text.as_bytes()).unwrap();
            // Where it is not, all its digits are those of the double.
            prop_assert!(is_lost || !is_rounded(text.as_bytes(), value));
            // And none of up to 15, with whatever zeros behind them: the double is another integer, but not other digits.
            let rest = text.trim_end_matches('0').len();
            prop_assert!(rest > 15 || !is_rounded(text.as_bytes(), value));
        }

        #[test]
        fn every_integer_comes_back(value: i64) {
            prop_assert_eq!(integer(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn every_finite_double_comes_back(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            prop_assert_eq!(double(format!("{value:e}").as_bytes()), Some(value));
        }
    }
}
