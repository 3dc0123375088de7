//! Rows: objects, each with a field at least that some column has.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::ignored::{length, names};
use super::nested::Members;
use super::shape;
use super::tally::{begin_row, end_row, present, renamed, skipped};

/// Rows of one answer at most. A page has a hundred, and the days of a media are 730 in two years.
const MOST: usize = 10_000;

/// A row: nothing where it is empty, or where its key cannot be decoded.
#[derive(Debug)]
pub(crate) struct Row<T>(pub(crate) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RowVisitor(PhantomData)).map(Self)
    }
}

/// Errors of a visitor that takes no scalar. They tell what stands there, and not its value, as those of
/// serde would.
macro_rules! refuse_scalars {
    ($expected:literal) => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str($expected)
        }

        fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
            Err(instead($expected, "a boolean"))
        }

        fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
            Err(instead($expected, "an integer"))
        }

        fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
            Err(instead($expected, "an integer"))
        }

        fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
            Err(instead($expected, "a number"))
        }
    };
}

fn instead<E: de::Error>(expected: &str, found: &str) -> E {
    E::custom(format!("{found} stands where {expected} belongs"))
}

struct RowVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for RowVisitor<T> {
    type Value = Option<T>;

    refuse_scalars!("an object");

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(skipped())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        if value.is_empty() {
            Ok(skipped())
        } else {
            Err(instead("an object", &shape::text(value)))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Err(instead("an object", &shape::list(length(list)?)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        begin_row();
        let mut members = Members::new(map);
        let row = T::deserialize(de::value::MapAccessDeserializer::new(&mut members));
        let (unknown, is_keyless) = end_row();
        if members.count == 0 {
            // An empty object lacks even what every other must have.
            return Ok(skipped());
        }
        let row = row?;
        if is_keyless {
            return Ok(skipped());
        }
        if unknown == members.count {
            let found = shape::object(&members.names);
            return Err(de::Error::custom(format!(
                "none of the documented fields is in it: {found}"
            )));
        }
        let renamed = renamed(&members.names, unknown);
        if !renamed.is_empty() {
            let (lacking, found) = (renamed.join(", "), shape::object(&members.names));
            return Err(de::Error::custom(format!("it lacks {lacking}: it is {found}")));
        }
        present(size_of::<T>())?;
        Ok(Some(row))
    }
}

/// A page of a list. Empty rows are left out.
#[derive(Debug)]
pub(crate) struct Page<T> {
    /// The rows that hold something.
    pub(crate) rows: Vec<T>,
    /// Page with those that were left out: they count for the end of the list.
    pub(crate) received: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PageVisitor(PhantomData))
    }
}

struct PageVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PageVisitor<T> {
    type Value = Page<T>;

    refuse_scalars!("a list");

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Err(instead("a list", "null"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Err(instead("a list", &shape::text(value)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Err(instead("a list", &shape::object(&names(map)?)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Page { rows: Vec::new(), received: 0 };
        while let Some(Row(row)) = list.next_element()? {
            all.received += 1;
            if all.received > MOST {
                return Err(de::Error::custom(format!("more than {MOST} rows")));
            }
            all.rows.extend(row);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scalar::{double, key};
    use super::super::tally::{count, trace, unknown_member};
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Film {
        #[serde(deserialize_with = "key")]
        id: String,
        #[serde(default, deserialize_with = "double")]
        length: Option<f64>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Figures {
        #[serde(default, rename = "plays", deserialize_with = "double")]
        _plays: Option<f64>,
    }

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        serde_ignored::deserialize(&mut deserializer, |_| unknown_member())
    }

    #[test]
    fn empty_rows_are_skipped_and_counted_and_still_received() {
        let (rows, tally) =
            count(|| read::<Page<Film>>(r#"[{"id":"a"},{},null,"",{"id":"b"}]"#).unwrap());
        let ids: Vec<&str> = rows.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!((ids, rows.received, tally.skipped), (vec!["a", "b"], 5, 3));
    }

    #[test]
    fn what_is_no_row_is_an_error_that_does_not_tell_the_value() {
        for (json, found) in [
            (r#"["secret"]"#, "a text like `aaaaaa` stands where an object belongs"),
            ("[7]", "an integer stands where an object belongs"),
            ("[[7,8]]", "a list of 2 stands where an object belongs"),
            ("[true]", "a boolean stands where an object belongs"),
            (r#"{"error":"secret"}"#, "an object with error stands where a list belongs"),
            ("null", "null stands where a list belongs"),
            ("1.5", "a number stands where a list belongs"),
            (r#"[{"length":1}]"#, "missing field `id`"),
        ] {
            let error = count(|| read::<Page<Film>>(json).unwrap_err()).0.to_string();
            assert!(error.starts_with(found), "{error}");
        }
    }

    #[test]
    fn a_row_without_a_known_field_is_an_error() {
        let (error, _) =
            trace(&[], || read::<Row<Figures>>(r#"{"stats":{"plays":1},"b":2}"#).unwrap_err());
        let text = error.to_string();
        assert!(
            text.starts_with("none of the documented fields is in it: an object with stats, b"),
            "{text}"
        );
        assert!(
            count(|| read::<Row<Figures>>(r#"{"other":1,"plays":null}"#)).0.unwrap().0.is_some()
        );
        assert!(count(|| read::<Row<Figures>>("{}")).0.unwrap().0.is_none());
    }

    #[test]
    fn a_row_with_as_many_unknown_members_as_it_lacks_has_them_renamed() {
        let read = |json: &str| trace(&["plays", "loads"], || read::<Row<Figures>>(json)).0;
        let error = read(r#"{"plays":1,"views":2}"#).unwrap_err().to_string();
        assert!(error.starts_with("it lacks loads: it is an object with plays, views"), "{error}");
        let error = read(r#"{"day":1,"views":2}"#).unwrap_err().to_string();
        assert!(error.contains("an object with day, views"), "{error}");
        for json in [r#"{"plays":1}"#, r#"{"plays":1,"loads":2,"new":3}"#, "{}"] {
            assert!(read(json).is_ok(), "{json}");
        }
    }

    #[test]
    fn a_row_whose_key_cannot_be_decoded_is_skipped_and_counted() {
        let json =
            r#"[{"id":"\u0000undecodable","length":1},{"id":"b","length":"\u0000undecodable"}]"#;
        let (rows, tally) = count(|| read::<Page<Film>>(json).unwrap());
        assert_eq!(
            (rows.rows.len(), rows.rows[0].id.as_str(), rows.rows[0].length),
            (1, "b", None)
        );
        assert_eq!((tally.skipped, tally.nulled), (1, 1));
    }

    #[test]
    fn a_list_without_end_is_an_error_and_no_memory() {
        let many = format!("[{}{{}}]", "{},".repeat(MOST));
        let error = count(|| read::<Page<Film>>(&many).unwrap_err()).0.to_string();
        assert!(error.starts_with("more than 10000 rows"), "{error}");
    }
}
