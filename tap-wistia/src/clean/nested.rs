//! Columns of structs and lists: what is empty is absent.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::ignored::{length, names};
use super::scalar::{bigint, text};
use super::shape;
use super::tally::{enter, hold, is_tracing, leave, nulled, present, skipped};

/// A struct column: an empty object is null.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(ObjectVisitor(PhantomData))
}

/// What a visitor of an object or a list makes of a scalar: null, and counted.
macro_rules! null_scalars {
    () => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
            if value.is_empty() { Ok(None) } else { odd(|| shape::text(value)) }
        }

        fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
            odd(|| "a boolean".into())
        }

        fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
            odd(|| "an integer".into())
        }

        fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
            odd(|| "an integer".into())
        }

        fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
            odd(|| "a number".into())
        }
    };
}

fn odd<T, E: de::Error>(shape: impl FnOnce() -> String) -> Result<Option<T>, E> {
    present(0)?;
    Ok(nulled(shape))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    null_scalars!();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object or nothing")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        let length = length(list)?;
        // Some languages know no empty object.
        if length == 0 { Ok(None) } else { odd(|| shape::list(length)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::new(map);
        let value = T::deserialize(MapAccessDeserializer::new(&mut members));
        // An empty object lacks even what every other must have.
        if members.count == 0 {
            return Ok(None);
        }
        present(size_of::<T>())?;
        value.map(Some)
    }
}

/// The members of an object while they are read: how many there are, and which column each is of where
/// columns are traced.
pub(super) struct Members<A> {
    map: A,
    is_traced: bool,
    /// How many came so far.
    pub(super) count: usize,
    /// Their names, where columns are traced.
    pub(super) names: Vec<String>,
}

impl<A> Members<A> {
    /// The members of this object, none of which has been read.
    pub(super) fn new(map: A) -> Self {
        Self { map, is_traced: is_tracing(), count: 0, names: Vec::new() }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for &mut Members<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let key = if self.is_traced {
            let name = self.map.next_key::<String>()?;
            self.names.extend(name.clone());
            let seeded =
                name.map(|name| seed.deserialize(de::value::StringDeserializer::new(name)));
            seeded.transpose()?
        } else {
            self.map.next_key_seed(seed)?
        };
        self.count += usize::from(key.is_some());
        Ok(key)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        if !self.is_traced {
            return self.map.next_value_seed(seed);
        }
        enter(self.names.last().map_or("", String::as_str));
        let value = self.map.next_value_seed(seed);
        leave();
        value
    }
}

/// An item of a list of structs: nothing where it is empty.
struct Item<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(object(deserializer)?.or_else(skipped)))
    }
}

/// A list column of structs: empty rows are left out, anything but a list is null.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    sequence::<_, Item<T>>(deserializer)
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

/// Tags: objects with a name, or strings. Both become strings; what has no name is left out and counted.
pub(crate) fn tags<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default, deserialize_with = "text")]
        name: Option<String>,
    }

    /// A tag, or why there is none.
    struct Tag(Option<String>);

    impl<'de> Deserialize<'de> for Tag {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(TagVisitor).map(Self)
        }
    }

    struct TagVisitor;

    impl<'de> Visitor<'de> for TagVisitor {
        type Value = Option<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a tag")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(skipped())
        }

        fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
            odd(|| "a boolean".into())
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
            text(de::value::F64Deserializer::new(value))
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
            text(de::value::I64Deserializer::new(value))
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
            text(de::value::U64Deserializer::new(value))
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
            let tag = text(de::value::StrDeserializer::new(value))?;
            Ok(if value.is_empty() { skipped() } else { tag })
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            text(de::value::SeqAccessDeserializer::new(list))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let mut members = Members::new(map);
            let named = Named::deserialize(MapAccessDeserializer::new(&mut members))?;
            Ok(match named.name {
                None if members.count == 0 => skipped(),
                None => nulled(|| shape::object(&members.names)),
                name => name,
            })
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

        null_scalars!();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list or nothing")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let names = names(map)?;
            if names.is_empty() { Ok(None) } else { odd(|| shape::object(&names)) }
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            present(0)?;
            while let Some(item) = list.next_element()? {
                hold(size_of::<T>())?;
                items.push(item);
            }
            Ok(Some(items))
        }
    }

    deserializer.deserialize_any(SequenceVisitor(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::super::scalar::key;
    use super::super::tally::{Tally, count};
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Picture {
        #[serde(deserialize_with = "key")]
        url: String,
    }

    macro_rules! read {
        ($function:ident, $json:expr) => {{
            let mut deserializer = serde_json::Deserializer::from_str($json);
            $function(&mut deserializer).unwrap()
        }};
    }

    #[test]
    fn an_empty_object_is_null_and_anything_but_an_object_too() {
        let ((), counts) = count(|| {
            for json in ["{}", "[]", "null", r#""""#] {
                assert_eq!(read!(object, json), None::<Picture>, "{json}");
            }
        });
        assert_eq!(counts, Tally::default());
        let ((), counts) = count(|| {
            for json in ["[1]", "1", "-1", "1.5", "true", r#""x""#] {
                assert_eq!(read!(object, json), None::<Picture>, "{json}");
            }
        });
        assert_eq!(counts.nulled, 6);
        assert_eq!(read!(object, r#"{"url":"u"}"#), Some(Picture { url: "u".into() }));
    }

    #[test]
    fn an_object_without_its_key_is_an_error_and_not_an_empty_one() {
        let mut deserializer = serde_json::Deserializer::from_str(r#"{"other":1}"#);
        assert!(object::<_, Picture>(&mut deserializer).is_err());
    }

    #[test]
    fn empty_rows_of_a_list_are_skipped_and_counted() {
        let (pictures, counts) = count(|| read!(list, r#"[{"url":"a"},{},null,{"url":"b"}]"#));
        let urls: Option<Vec<String>> = pictures
            .map(|pictures: Vec<Picture>| pictures.into_iter().map(|one| one.url).collect());
        assert_eq!(urls, Some(vec!["a".into(), "b".into()]));
        assert_eq!((counts.nulled, counts.skipped), (0, 2));
        let ((), counts) = count(|| {
            assert_eq!(read!(list, r#"{"url":"a"}"#), None::<Vec<Picture>>);
            assert_eq!(read!(list, "{}"), None::<Vec<Picture>>);
            assert_eq!(read!(tags, r#""""#), None);
        });
        assert_eq!(counts.nulled, 1);
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
