//! What answers are: rows and pages of them, and bodies that are neither.

use std::collections::HashSet;

use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

use super::body;
use super::transport::Response;
use crate::clean::{self, Page, Spelling, Tally};
use crate::drift::{self, Drift};
use crate::error::{Error, Result};

/// Rows of a full page. Wistia serves no more, whatever is asked:
/// <https://docs.wistia.com/docs/making-api-requests>.
pub(crate) const PAGE: usize = 100;

/// Bytes of a body that is read value by value where it cannot be read in one go. No page comes near.
const CAREFUL: usize = 4 << 20;

/// Something that Wistia answers.
pub(crate) trait Resource: DeserializeOwned + 'static {
    /// What it is called in errors, such as `a media`.
    const NAME: &'static str;
    /// The table that has its fields.
    const TABLE: &'static str;
    /// Documented fields that no table has. Other unknown fields are named in the log.
    const UNUSED: &'static [&'static str];
    /// Documented fields of figures, which a row has or has renamed.
    const MEASURES: &'static [&'static str] = &[];
    /// Fields that come under two names.
    const SPELLINGS: &'static [Spelling] = &[];
}

impl<T: Resource> Resource for Page<T> {
    const NAME: &'static str = "a list";
    const TABLE: &'static str = T::TABLE;
    const UNUSED: &'static [&'static str] = T::UNUSED;
    const MEASURES: &'static [&'static str] = T::MEASURES;
    const SPELLINGS: &'static [Spelling] = T::SPELLINGS;
}

/// Reads the body of an answer, and counts what cleaning changed. An answer of which a column is lost is
/// an error: what it says is not what the column means.
pub(super) fn read<T: Resource>(
    path: &str,
    response: &Response,
    drift: &Drift,
) -> Result<(T, Tally)> {
    let body = body::without_mark(&response.body);
    // Of what is no JSON, the parser knows no more than that it is none.
    let malformed = |cut: bool, error: String| {
        let reason = if cut {
            format!("{} with status {}", body::described(response), response.status)
        } else {
            error
        };
        Error::Malformed { path: path.to_owned(), expected: T::NAME, reason, cut }
    };
    let (value, tally) = clean::count(|| parse::<T>(body, path, drift));
    match value {
        Ok(value) if tally.nulled == 0 && (tally.unknown == 0 || T::MEASURES.is_empty()) => {
            Ok((value, tally))
        }
        Ok(_) => {
            let (value, tally) = clean::trace(T::MEASURES, || parse::<T>(body, path, drift));
            let value = value.map_err(|error| malformed(false, error.to_string()))?;
            whole::<T>(path, value, tally)
        }
        Err(error) if body.len() > CAREFUL => Err(malformed(!error.is_data(), error.to_string())),
        Err(_) => {
            let (value, tally) =
                careful(path, body, drift).map_err(|(cut, error)| malformed(cut, error))?;
            whole::<T>(path, value, tally)
        }
    }
}

/// In one go, with what the parser makes of the bytes.
fn parse<T: Resource>(body: &[u8], path: &str, drift: &Drift) -> serde_json::Result<T> {
    // A body that is looked at as a whole is not looked at text by text.
    match std::str::from_utf8(body) {
        Ok(text) => parse_with(serde_json::Deserializer::from_str(text), path, drift),
        Err(_) => parse_with(serde_json::Deserializer::from_slice(body), path, drift),
    }
}

fn parse_with<'de, T: Resource>(
    mut deserializer: serde_json::Deserializer<impl serde_json::de::Read<'de>>,
    path: &str,
    drift: &Drift,
) -> serde_json::Result<T> {
    let value = noting::<T, _>(&mut deserializer, path, drift)?;
    deserializer.end().map(|()| value)
}

/// Value by value: what cannot be decoded is marked, of two names of a field one is chosen. An error
/// says whether the body is no JSON.
fn careful<T: Resource>(
    path: &str,
    body: &[u8],
    drift: &Drift,
) -> Result<(T, Tally), (bool, String)> {
    let decodable = clean::decodable(body);
    let mut value: Value =
        serde_json::from_slice(&decodable).map_err(|error| (true, error.to_string()))?;
    clean::settle(&mut value, T::SPELLINGS);
    let (outcome, tally) = clean::trace(T::MEASURES, || {
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(&value, &mut track);
        noting::<T, _>(tracked, path, drift).map_err(|error| (track.path().to_string(), error))
    });
    match outcome {
        Ok(value) => Ok((value, tally)),
        Err((place, error)) => {
            let place = if place == "." { String::new() } else { format!("at {place}: ") };
            Err((false, format!("{place}{error}")))
        }
    }
}

/// Notes the fields that no table has.
fn noting<'de, T: Resource, D: Deserializer<'de>>(
    deserializer: D,
    path: &str,
    drift: &Drift,
) -> Result<T, D::Error> {
    let mut fields = HashSet::new();
    let value = serde_ignored::deserialize(deserializer, |field| {
        if let Some(name) = drift::name(&field, T::UNUSED) {
            if drift::is_of_row(&field) {
                clean::unknown_member();
            }
            fields.insert(name);
        }
    })?;
    // Of an answer that is none, the error tells what is in it.
    drift.note(T::TABLE, path, fields);
    Ok(value)
}

/// Values that one answer has to have in a column before the column is called lost. One odd value may be
/// an accident; it is null and counted.
pub(crate) const LOST: u64 = 2;

/// The answer, where no column of it is lost and something of it could be read.
fn whole<T: Resource>(path: &str, value: T, tally: Tally) -> Result<(T, Tally)> {
    let lost = tally.columns.iter().find(|(_, column)| column.is_lost() && column.nulled >= LOST);
    if let Some((name, column)) = lost {
        return Err(lost_column::<T>(path, name, column));
    }
    let mut columns = tally.columns.iter();
    if let Some((name, column)) = columns.next()
        && column.is_lost()
        && columns.all(|(_, column)| column.is_lost())
    {
        return Err(lost_column::<T>(path, name, column));
    }
    Ok((value, tally))
}

/// The error of a column of which nothing could be read.
pub(crate) fn lost_column<T: Resource>(path: &str, name: &str, column: &clean::Column) -> Error {
    let clean::Column { nulled, shape, .. } = column;
    let table = T::TABLE;
    let values =
        if *nulled == 1 { "the only value".into() } else { format!("each of {nulled} values") };
    let reason = format!(
        "{values} for the column `{name}` of {table} is nothing that it can hold, such as {shape}"
    );
    Error::Malformed { path: path.to_owned(), expected: T::NAME, reason, cut: false }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Film {
        #[serde(deserialize_with = "clean::key_bigint")]
        id: i64,
        #[serde(default, alias = "runtime", deserialize_with = "clean::double")]
        length: Option<f64>,
    }

    impl Resource for Film {
        const NAME: &'static str = "a film";
        const TABLE: &'static str = "films";
        const UNUSED: &'static [&'static str] = &[];
        const SPELLINGS: &'static [Spelling] =
            &[Spelling { object: "", documented: "length", other: "runtime" }];
    }

    fn page(body: &str) -> Result<(Page<Film>, Tally)> {
        read("/films?page=1", &Response::new(200, body.to_owned()), &Drift::default())
    }

    #[test]
    fn empty_rows_are_skipped_and_counted_and_still_fill_the_page() {
        let rows = vec![r#"{"id":1,"length":2}"#; 99].join(",");
        let (full, tally) = page(&format!("[{rows},{{}}]")).unwrap();
        assert_eq!((full.rows.len(), full.received), (99, PAGE));
        assert_eq!((tally.nulled, tally.skipped), (0, 1));
        let (short, tally) = page(r#"[{"id":"7","length":2}]"#).unwrap();
        assert_eq!((short.rows[0].id, short.rows[0].length), (7, Some(2.0)));
        assert_eq!(tally, Tally::default());
    }

    #[test]
    fn single_odd_values_are_counted_by_column() {
        let (page, tally) = page(r#"[{"id":1,"length":"long"},{"id":2,"length":1}]"#).unwrap();
        assert_eq!(page.rows[0].length, None);
        let column = &tally.columns["length"];
        assert_eq!((tally.nulled, column.present, column.nulled), (1, 2, 1));
    }

    #[test]
    fn a_column_of_which_nothing_can_be_read_is_an_error_that_tells_no_value() {
        let body = r#"[{"id":1,"length":"long 7"},{"id":2},{"id":3,"length":"long 8"}]"#;
        assert_eq!(
            page(body).unwrap_err().to_string(),
            "GET /films?page=1 answered something else than a list: each of 2 values for the column \
             `length` of films is nothing that it can hold, such as a text like `aaaa 9`"
        );
    }

    #[test]
    fn a_value_that_cannot_be_decoded_takes_nothing_else_away() {
        let body =
            b"\xef\xbb\xbf[{\"id\":1,\"length\":1e400},{\"id\":\"\xff\"},{\"id\":3,\"length\":4}]";
        let (page, tally) =
            read::<Page<Film>>("/films", &Response::new(200, &body[..]), &Drift::default())
                .unwrap();
        let ids: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
        assert_eq!((ids, page.received), (vec![1, 3], 3));
        assert_eq!((tally.nulled, tally.skipped), (1, 1));
    }

    #[test]
    fn a_field_that_comes_twice_is_the_last_one_and_of_two_names_the_documented_one() {
        let (page, tally) = page(
            r#"[{"id":1,"length":2,"length":3},{"id":2,"runtime":4,"length":5},{"id":3,"runtime":6}]"#,
        )
        .unwrap();
        let lengths: Vec<_> = page.rows.iter().map(|row| row.length.unwrap()).collect();
        assert_eq!((lengths, tally.nulled), (vec![3.0, 5.0, 6.0], 0));
    }

    #[test]
    fn what_is_wrong_with_a_body_is_named_with_its_place() {
        let error = |body: &str| page(body).unwrap_err();
        assert_eq!(
            error(r#"[{"id":1},{"id":null}]"#).to_string(),
            "GET /films?page=1 answered something else than a list: at [1].id: the key is nothing, and no integer"
        );
        assert!(matches!(error(r#"[{"id":1},{"#), Error::Malformed { cut: true, .. }));
        assert!(matches!(error("[] []"), Error::Malformed { cut: true, .. }));
    }

    #[test]
    fn of_what_is_no_json_nothing_is_shown() {
        for (body, reason) in [
            ("<html>192.0.2.1", "an HTML page, 15 bytes with status 200"),
            (
                r#"[{"ip":"192.0.2.1"#,
                "JSON that breaks off at line 1 column 17, 17 bytes with status 200",
            ),
            ("Ada was here", "text, 12 bytes with status 200"),
            ("", "an empty body with status 200"),
        ] {
            let said = "GET /films?page=1 answered something else than a list: ";
            assert_eq!(page(body).unwrap_err().to_string(), format!("{said}{reason}"));
        }
    }
}
