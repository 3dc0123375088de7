//! The cleaning rules: what the API sends and what the lake holds.
//!
//! An empty string means "absent" in this API, numbers may come as strings, objects may be empty.
//! Each function here reads one kind of column leniently; a value that is nothing of the kind
//! becomes null and is counted ([`counting`]).

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// What cleaning changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Values that became null.
    pub(crate) nulled: u64,
    /// Empty rows that were left out.
    pub(crate) skipped: u64,
}

// serde calls the functions of this file with a deserializer and nothing else, so there is no argument
// that could carry the counts: a `DeserializeSeed` would have to replace every derived `Deserialize`.
// The channel is hidden, but it is short: it opens and closes in `counting`, around one synchronous
// call, during which nothing else runs on this thread.
thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { nulled: 0, skipped: 0 }) };
}

/// Reads something, and counts what cleaning changed in it. Not to be nested.
pub(crate) fn counting<T>(read: impl FnOnce() -> T) -> (T, Counts) {
    COUNTS.take();
    let value = read();
    (value, COUNTS.take())
}

fn nulled<T>() -> Option<T> {
    let counts = COUNTS.get();
    COUNTS.set(Counts { nulled: counts.nulled + 1, ..counts });
    None
}

fn skipped<T>() -> Option<T> {
    let counts = COUNTS.get();
    COUNTS.set(Counts { skipped: counts.skipped + 1, ..counts });
    None
}

/// A row of a list: nothing where it is empty.
#[derive(Debug)]
pub(crate) struct Row<T>(pub(crate) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(deserializer.deserialize_any(ObjectVisitor(PhantomData))?.or_else(skipped)))
    }
}

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

/// A struct column: an empty object is null.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object or nothing")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(if value.is_empty() { None } else { nulled() })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(nulled())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(nulled())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(nulled())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(nulled())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(nulled())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut counted = Counted { map, members: 0 };
        let value = T::deserialize(MapAccessDeserializer::new(&mut counted));
        // An empty object lacks even what every other must have.
        if counted.members == 0 { Ok(None) } else { value.map(Some) }
    }
}

/// Counts the members of an object while they are read.
struct Counted<A> {
    map: A,
    members: usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for &mut Counted<A> {
    type Error = A::Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let key = self.map.next_key_seed(seed)?;
        self.members += usize::from(key.is_some());
        Ok(key)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// A list column of structs: empty rows are left out, anything but a list is null.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    sequence::<_, Row<T>>(deserializer)
        .map(|items| items.map(|items| items.into_iter().filter_map(|item| item.0).collect()))
}

/// A list column of integers. Anything but an integer in it is left as null.
pub(crate) fn integers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Option<i64>>>, D::Error> {
    struct Item(Option<i64>);

    impl<'de> Deserialize<'de> for Item {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            bigint(deserializer).map(Self)
        }
    }

    sequence::<_, Item>(deserializer)
        .map(|items| items.map(|items| items.into_iter().map(|item| item.0).collect()))
}

/// Tags: objects with a name, or strings. Both become strings.
pub(crate) fn tags<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default, deserialize_with = "text")]
        name: Option<String>,
    }

    struct Tag(Option<String>);

    impl<'de> Deserialize<'de> for Tag {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct TagVisitor;

            impl<'de> Visitor<'de> for TagVisitor {
                type Value = Tag;

                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("a tag")
                }

                fn visit_unit<E>(self) -> Result<Tag, E> {
                    Ok(Tag(None))
                }

                fn visit_str<E>(self, value: &str) -> Result<Tag, E> {
                    Ok(Tag((!value.is_empty()).then(|| value.to_owned())))
                }

                fn visit_i64<E>(self, value: i64) -> Result<Tag, E> {
                    Ok(Tag(Some(value.to_string())))
                }

                fn visit_u64<E>(self, value: u64) -> Result<Tag, E> {
                    Ok(Tag(Some(value.to_string())))
                }

                fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tag, A::Error> {
                    Named::deserialize(MapAccessDeserializer::new(map)).map(|named| Tag(named.name))
                }
            }

            deserializer.deserialize_any(TagVisitor)
        }
    }

    sequence::<_, Tag>(deserializer)
        .map(|items| items.map(|items| items.into_iter().filter_map(|tag| tag.0).collect()))
}

/// A list, or nothing where something else stands.
fn sequence<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct SequenceVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for SequenceVisitor<T> {
        type Value = Option<Vec<T>>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list or nothing")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
            Ok(if value.is_empty() { None } else { nulled() })
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(nulled())
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(nulled())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = 0;
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                members += 1;
            }
            Ok(if members == 0 { None } else { nulled() })
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element()? {
                items.push(item);
            }
            Ok(Some(items))
        }
    }

    deserializer.deserialize_any(SequenceVisitor(PhantomData))
}

#[cfg(test)]
mod tests {
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
            assert_eq!(read!(tags, r#""""#), None);
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
    fn tags_are_strings_and_integers_keep_their_places() {
        assert_eq!(
            read!(tags, r#"[{"name":"a"},"b",{},null,{"name":""}]"#),
            Some(vec!["a".into(), "b".into()])
        );
        assert_eq!(read!(integers, r#"[1,"2",null]"#), Some(vec![Some(1), Some(2), None]));
    }
}
