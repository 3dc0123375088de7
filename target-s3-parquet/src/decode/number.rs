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
        fn every_integer_comes_back(value: i64) {
            prop_assert_eq!(integer(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn every_finite_double_comes_back(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            prop_assert_eq!(double(format!("{value:e}").as_bytes()), Some(value));
        }
    }
}
