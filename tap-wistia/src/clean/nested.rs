//! Columns of structs and lists, and rows: what is empty is absent.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::counts::{nulled, skipped};
use super::scalar::{bigint, text};

/// A row of a list: nothing where it is empty.
#[derive(Debug)]
pub(crate) struct Row<T>(pub(crate) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(deserializer.deserialize_any(ObjectVisitor(PhantomData))?.or_else(skipped)))
    }
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
    use super::super::counts::{Counts, counting};
    use super::super::scalar::key;
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
        let ((), counts) = counting(|| {
            for json in ["{}", "null", r#""""#] {
                assert_eq!(read!(object, json), None::<Picture>, "{json}");
            }
        });
        assert_eq!(counts, Counts::default());
        let ((), counts) = counting(|| {
            for json in ["[]", "1", "-1", "1.5", "true", r#""x""#] {
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
        let (pictures, counts) = counting(|| read!(list, r#"[{"url":"a"},{},null,{"url":"b"}]"#));
        let urls: Option<Vec<String>> = pictures
            .map(|pictures: Vec<Picture>| pictures.into_iter().map(|one| one.url).collect());
        assert_eq!(urls, Some(vec!["a".into(), "b".into()]));
        assert_eq!(counts, Counts { nulled: 0, skipped: 2 });
        let ((), counts) = counting(|| {
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
