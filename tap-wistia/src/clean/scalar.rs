//! Columns of one value: text, numbers, booleans, and the keys among them.

use std::fmt;

use chrono::NaiveDate;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::decode::UNDECODABLE;
use super::ignored::{length, names};
use super::shape;
use super::tally::{keyless, nulled, present};

/// A key column of text.
pub(crate) fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let scalar = read(deserializer)?;
    if matches!(scalar, Scalar::Undecodable) {
        keyless();
        return Ok(String::new());
    }
    match scalar {
        Scalar::Text(text) => Ok(text),
        scalar => {
            let shape = scalar.shape();
            scalar.text().ok_or_else(|| de::Error::custom(format!("the key is {shape}")))
        }
    }
}

/// A key column of days, as the API writes them: YYYY-MM-DD. Another form of a day would be another key.
pub(crate) fn key_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = key(deserializer)?;
    let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d");
    if text.is_empty() || day.is_ok_and(|day| day.to_string() == text) {
        return Ok(text);
    }
    Err(de::Error::custom(format!("{} is no day of the form YYYY-MM-DD", shape::text(&text))))
}

/// A key column of integers.
pub(crate) fn key_bigint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let scalar = read(deserializer)?;
    if matches!(scalar, Scalar::Undecodable) {
        keyless();
        return Ok(0);
    }
    let no_integer = || de::Error::custom(format!("the key is {}, and no integer", scalar.shape()));
    scalar.bigint().ok_or_else(no_integer)
}

/// A scalar as it stands in the JSON text.
enum Scalar {
    Absent,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// Bytes that are no text, or a number that no double holds.
    Undecodable,
    /// An object with these members, where none belongs.
    Object(Vec<String>),
    /// A list of that length, where none belongs.
    List(usize),
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
    let scalar = deserializer.deserialize_any(ScalarVisitor)?;
    match &scalar {
        Scalar::Absent => {}
        Scalar::Text(text) => present(text.len())?,
        Scalar::Bool(_)
        | Scalar::Integer(_)
        | Scalar::Float(_)
        | Scalar::Undecodable
        | Scalar::Object(_)
        | Scalar::List(_) => present(size_of::<f64>())?,
    }
    Ok(scalar)
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
        Ok(match value {
            "" => Scalar::Absent,
            UNDECODABLE => Scalar::Undecodable,
            _ => Scalar::Text(value.to_owned()),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar, A::Error> {
        let names = names(map)?;
        Ok(if names.is_empty() { Scalar::Absent } else { Scalar::Object(names) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Scalar, A::Error> {
        length(list).map(Scalar::List)
    }
}

impl Scalar {
    /// Null, because it is nothing of the kind.
    fn odd<T>(&self) -> Option<T> {
        nulled(|| self.shape())
    }

    fn shape(&self) -> String {
        match self {
            Self::Absent => "nothing".into(),
            Self::Bool(_) => "a boolean".into(),
            Self::Integer(_) => "an integer".into(),
            Self::Float(_) => "a number".into(),
            Self::Text(text) => shape::text(text),
            Self::Undecodable => shape::text(UNDECODABLE),
            Self::Object(names) => shape::object(names),
            Self::List(length) => shape::list(*length),
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Text(text) => Some(text),
            Self::Integer(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Undecodable | Self::Object(_) | Self::List(_) => self.odd(),
        }
    }

    fn double(&self) -> Option<f64> {
        match self {
            Self::Absent => None,
            #[expect(clippy::cast_precision_loss, reason = "a double is what the column holds")]
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Text(text) => parse_double(text).or_else(|| self.odd()),
            Self::Bool(_) | Self::Undecodable | Self::Object(_) | Self::List(_) => self.odd(),
        }
    }

    fn bigint(&self) -> Option<i64> {
        match self {
            Self::Absent => None,
            Self::Integer(value) => Some(*value),
            Self::Float(value) => integral(*value).or_else(|| self.odd()),
            Self::Text(text) => {
                let text = text.trim();
                let whole = || parse_double(text).and_then(integral);
                text.parse().ok().or_else(whole).or_else(|| self.odd())
            }
            Self::Bool(_) | Self::Undecodable | Self::Object(_) | Self::List(_) => self.odd(),
        }
    }

    fn boolean(&self) -> Option<bool> {
        match self {
            Self::Absent => None,
            Self::Bool(value) => Some(*value),
            Self::Integer(0) => Some(false),
            Self::Integer(1) => Some(true),
            Self::Text(text) => match text.as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => self.odd(),
            },
            Self::Integer(_)
            | Self::Float(_)
            | Self::Undecodable
            | Self::Object(_)
            | Self::List(_) => self.odd(),
        }
    }
}

/// A string column. Numbers become their decimal form.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    read(deserializer).map(Scalar::text)
}

/// A text that no column holds: anything else is none, and not counted.
pub(crate) fn hint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Text(text) => Some(text),
        Scalar::Integer(value) => Some(value.to_string()),
        Scalar::Absent
        | Scalar::Bool(_)
        | Scalar::Float(_)
        | Scalar::Undecodable
        | Scalar::Object(_)
        | Scalar::List(_) => None,
    })
}

/// A double column.
pub(crate) fn double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    read(deserializer).map(|scalar| scalar.double())
}

/// A bigint column.
pub(crate) fn bigint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    read(deserializer).map(|scalar| scalar.bigint())
}

/// A boolean column.
pub(crate) fn boolean<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    read(deserializer).map(|scalar| scalar.boolean())
}

/// Whether there is an address: 1 or 0. The address itself goes nowhere. What is neither an address nor
/// a yes or no is none, and counted.
pub(crate) fn presence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let scalar = read(deserializer)?;
    let is_there = match &scalar {
        Scalar::Text(text) => Some(!text.trim().is_empty()),
        Scalar::Absent => None,
        Scalar::Bool(_)
        | Scalar::Integer(_)
        | Scalar::Float(_)
        | Scalar::Undecodable
        | Scalar::Object(_)
        | Scalar::List(_) => scalar.boolean(),
    };
    Ok(i32::from(is_there.unwrap_or(false)))
}

fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    // "inf" and "nan" are numbers to Rust, but not to this API.
    let plain =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|value| plain && value.is_finite())
}

fn integral(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "an integral value within 2^53")]
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Tally, count};
    use super::*;

    macro_rules! read {
        ($function:ident, $json:expr) => {{
            let mut deserializer = serde_json::Deserializer::from_str($json);
            $function(&mut deserializer).unwrap()
        }};
    }

    #[test]
    fn an_empty_string_is_absent_in_every_column() {
        let ((), counts) = count(|| {
            assert_eq!(read!(text, r#""""#), None);
            assert_eq!(read!(double, r#""""#), None);
            assert_eq!(read!(bigint, r#""""#), None);
            assert_eq!(read!(boolean, r#""""#), None);
        });
        assert_eq!(counts, Tally::default());
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
        let ((), counts) = count(|| {
            assert_eq!(read!(double, r#""n/a""#), None);
            assert_eq!(read!(double, r#""inf""#), None);
            assert_eq!(read!(bigint, r#""1.5""#), None);
            assert_eq!(read!(bigint, "true"), None);
            assert_eq!(read!(double, "[1]"), None);
        });
        assert_eq!((counts.nulled, counts.skipped), (5, 0));
    }

    #[test]
    fn an_address_is_only_a_flag() {
        for there in [r#""a@example.com""#, "true", "1"] {
            assert_eq!(read!(presence, there), 1, "{there}");
        }
        let ((), tally) = count(|| {
            for absent in [r#""""#, "null", r#"" ""#, "{}", "false"] {
                assert_eq!(read!(presence, absent), 0, "{absent}");
            }
        });
        assert_eq!(tally.nulled, 0);
        let (odd, tally) = count(|| read!(presence, r#"{"address":"a"}"#));
        assert_eq!((odd, tally.nulled), (0, 1));
    }

    #[test]
    fn a_type_of_conversion_is_a_string_whatever_was_sent() {
        assert_eq!(read!(text, "3"), Some("3".into()));
        assert_eq!(read!(text, r#""post-roll""#), Some("post-roll".into()));
    }

    #[test]
    fn a_boolean_is_read_from_what_stands_for_one() {
        let ((), counts) = count(|| {
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
