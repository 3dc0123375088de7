//! Columns of one value: text, numbers, booleans, and the keys among them.

use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::counts::nulled;

/// A key column of text.
pub(crate) fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer)?.ok_or_else(|| de::Error::custom("the key is absent"))
}

/// A key column of integers.
pub(crate) fn key_bigint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    bigint(deserializer)?.ok_or_else(|| de::Error::custom("the key is absent or no integer"))
}

/// A scalar as it stands in the JSON text.
enum Scalar {
    Absent,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// An object or array, where neither belongs.
    Other,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_none<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        #[expect(clippy::cast_precision_loss, reason = "beyond 64 bits nothing is exact")]
        Ok(i64::try_from(value).map_or(Scalar::Float(value as f64), Scalar::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(if value.is_empty() { Scalar::Absent } else { Scalar::Text(value.to_owned()) })
    }

    fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
        Ok(if value.is_empty() { Scalar::Absent } else { Scalar::Text(value) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        let mut members = 0;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            members += 1;
        }
        Ok(if members == 0 { Scalar::Absent } else { Scalar::Other })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// A string column. Numbers become their decimal form.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Absent => None,
        Scalar::Text(text) => Some(text),
        Scalar::Integer(value) => Some(value.to_string()),
        Scalar::Float(value) => Some(value.to_string()),
        Scalar::Bool(value) => Some(value.to_string()),
        Scalar::Other => nulled(),
    })
}

/// A double column.
pub(crate) fn double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Absent => None,
        #[expect(clippy::cast_precision_loss, reason = "a double is what the column holds")]
        Scalar::Integer(value) => Some(value as f64),
        Scalar::Float(value) => Some(value),
        Scalar::Text(text) => parse_double(&text).or_else(nulled),
        Scalar::Bool(_) | Scalar::Other => nulled(),
    })
}

fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    // "inf" and "nan" are numbers to Rust, but not to this API.
    let plain =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|value| plain && value.is_finite())
}

/// A bigint column.
pub(crate) fn bigint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Absent => None,
        Scalar::Integer(value) => Some(value),
        Scalar::Float(value) => integral(value).or_else(nulled),
        Scalar::Text(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| parse_double(text).and_then(integral)).or_else(nulled)
        }
        Scalar::Bool(_) | Scalar::Other => nulled(),
    })
}

fn integral(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "an integral value within 2^53")]
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

/// A boolean column.
pub(crate) fn boolean<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Absent => None,
        Scalar::Bool(value) => Some(value),
        Scalar::Integer(0) => Some(false),
        Scalar::Integer(1) => Some(true),
        Scalar::Text(text) => match text.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => nulled(),
        },
        Scalar::Integer(_) | Scalar::Float(_) | Scalar::Other => nulled(),
    })
}

/// Whether there is an address: 1 or 0. The address itself goes nowhere.
pub(crate) fn presence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Text(text) => i32::from(!text.trim().is_empty()),
        Scalar::Absent
        | Scalar::Bool(_)
        | Scalar::Integer(_)
        | Scalar::Float(_)
        | Scalar::Other => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::super::counts::{Counts, counting};
    use super::*;

    macro_rules! read {
        ($function:ident, $json:expr) => {{
            let mut deserializer = serde_json::Deserializer::from_str($json);
            $function(&mut deserializer).unwrap()
        }};
    }

    #[test]
    fn an_empty_string_is_absent_in_every_column() {
        let ((), counts) = counting(|| {
            assert_eq!(read!(text, r#""""#), None);
            assert_eq!(read!(double, r#""""#), None);
            assert_eq!(read!(bigint, r#""""#), None);
            assert_eq!(read!(boolean, r#""""#), None);
        });
        assert_eq!(counts, Counts::default());
    }

    #[test]
    fn a_number_is_the_one_that_was_sent_and_not_its_neighbour() {
        assert_eq!(read!(double, "906.8477783203125"), Some(906.847_778_320_312_5));
        assert_eq!(read!(double, r#""906.8477783203125""#), Some(906.847_778_320_312_5));
    }

    #[test]
    fn a_number_sent_as_a_string_is_the_number() {
        assert_eq!(read!(double, r#""0.5""#), Some(0.5));
        assert_eq!(read!(double, "1"), Some(1.0));
        assert_eq!(read!(bigint, r#""42""#), Some(42));
        assert_eq!(read!(bigint, "42.0"), Some(42));
    }

    #[test]
    fn a_value_that_is_no_number_is_null_and_counted() {
        let ((), counts) = counting(|| {
            assert_eq!(read!(double, r#""n/a""#), None);
            assert_eq!(read!(double, r#""inf""#), None);
            assert_eq!(read!(bigint, r#""1.5""#), None);
            assert_eq!(read!(bigint, "true"), None);
            assert_eq!(read!(double, "[1]"), None);
        });
        assert_eq!(counts, Counts { nulled: 5, skipped: 0 });
    }

    #[test]
    fn an_address_is_only_a_flag() {
        assert_eq!(read!(presence, r#""a@example.com""#), 1);
        for absent in [r#""""#, "null", r#"" ""#, "{}"] {
            assert_eq!(read!(presence, absent), 0, "{absent}");
        }
    }

    #[test]
    fn a_type_of_conversion_is_a_string_whatever_was_sent() {
        assert_eq!(read!(text, "3"), Some("3".into()));
        assert_eq!(read!(text, r#""post-roll""#), Some("post-roll".into()));
    }

    #[test]
    fn a_boolean_is_read_from_what_stands_for_one() {
        let ((), counts) = counting(|| {
            for (json, value) in [("true", true), ("1", true), (r#""false""#, false), ("0", false)]
            {
                assert_eq!(read!(boolean, json), Some(value), "{json}");
            }
            for json in ["2", r#""yes""#, "0.0", "[true]"] {
                assert_eq!(read!(boolean, json), None, "{json}");
            }
        });
        assert_eq!(counts.nulled, 4);
    }

    #[test]
    fn an_integer_that_a_double_cannot_hold_is_null() {
        assert_eq!(read!(bigint, "9007199254740992.0"), Some(9_007_199_254_740_992));
        assert_eq!(read!(bigint, "1e300"), None);
        assert_eq!(read!(bigint, "18446744073709551615"), None);
        assert_eq!(read!(bigint, r#"" 42 ""#), Some(42));
    }

    #[test]
    fn a_key_is_never_null() {
        for json in ["null", r#""""#, "{}", "[1]"] {
            let mut deserializer = serde_json::Deserializer::from_str(json);
            assert!(key(&mut deserializer).is_err(), "{json}");
            let mut deserializer = serde_json::Deserializer::from_str(json);
            assert!(key_bigint(&mut deserializer).is_err(), "{json}");
        }
        assert_eq!(read!(key, "7"), "7");
        assert_eq!(read!(key_bigint, r#""7""#), 7);
    }
}
