//! What answers are: rows and pages of them, refusals, and bodies that are neither.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::clean::{self, Counts};
use crate::drift::Drift;
use crate::error::{Error, Result};

/// Rows of a full page. Wistia serves no more, whatever is asked:
/// <https://docs.wistia.com/docs/making-api-requests>.
pub(crate) const PAGE: usize = 100;

/// Bytes of a body that an error shows.
const SHOWN: usize = 200;

/// Something that Wistia answers.
pub(crate) trait Resource: DeserializeOwned + 'static {
    /// What it is called in errors, such as `a media`.
    const NAME: &'static str;
    /// Documented fields that no table has. Other unknown fields are named in the log.
    const UNUSED: &'static [&'static str];
}

/// A page of a list. Empty rows are left out.
#[derive(Debug)]
pub(crate) struct Page<T> {
    /// The rows that hold something.
    pub(crate) rows: Vec<T>,
    /// Rows with the empty ones: they count for the end of the list.
    received: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<clean::Row<T>>::deserialize(deserializer)?;
        let received = rows.len();
        Ok(Self { rows: rows.into_iter().filter_map(|row| row.0).collect(), received })
    }
}

impl<T: Resource> Resource for Page<T> {
    const NAME: &'static str = "a list";
    const UNUSED: &'static [&'static str] = T::UNUSED;
}

impl<T> Page<T> {
    /// Whether no page follows: a list ends with a page that is not full. There is no total and no
    /// link to a next page.
    pub(crate) fn is_last(&self) -> bool {
        self.received < PAGE
    }
}

/// Reads the body of an answer, and counts what cleaning changed.
pub(super) fn read<T: Resource>(path: &str, body: &[u8], drift: &Drift) -> (Result<T>, Counts) {
    let (value, counts) = clean::counting(|| {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        serde_ignored::deserialize(&mut deserializer, |field| drift.note(T::UNUSED, path, &field))
            .and_then(|value| deserializer.end().map(|()| value))
    });
    (value.map_err(|error| malformed::<T>(path, body, &error)), counts)
}

/// Words what is wrong with a body. The path to the place is found by reading it a second time.
fn malformed<T: Resource>(path: &str, body: &[u8], error: &serde_json::Error) -> Error {
    let cut = !error.is_data();
    let reason = if cut {
        format!("{error}; it begins with: {}", start_of(body))
    } else {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(error) => format!("at {}: {}", error.path(), error.inner()),
            Ok(_) => error.to_string(),
        }
    };
    Error::Malformed { path: path.to_owned(), expected: T::NAME, reason, cut }
}

/// The start of a body, on one line.
fn start_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if body.len() > SHOWN { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Film {
        #[serde(deserialize_with = "clean::key_bigint")]
        id: i64,
        #[serde(default, deserialize_with = "clean::double")]
        length: Option<f64>,
    }

    impl Resource for Film {
        const NAME: &'static str = "a film";
        const UNUSED: &'static [&'static str] = &[];
    }

    fn page(body: &str) -> (Result<Page<Film>>, Counts) {
        read("/films?page=1", body.as_bytes(), &Drift::default())
    }

    #[test]
    fn the_start_of_a_body_is_one_line() {
        assert_eq!(start_of(b"<html>\n  <h1>Bad\tGateway"), "<html> <h1>Bad Gateway");
        assert_eq!(start_of("x".repeat(300).as_bytes()).chars().count(), SHOWN + 1);
    }

    #[test]
    fn empty_rows_are_skipped_and_counted_and_still_fill_the_page() {
        let rows = vec![r#"{"id":1,"length":"long"}"#; 99].join(",");
        let (full, counts) = page(&format!("[{rows},{{}}]"));
        let full = full.unwrap();
        assert_eq!((full.rows.len(), full.is_last()), (99, false));
        assert_eq!(counts, Counts { nulled: 99, skipped: 1 });
        let (short, counts) = page(r#"[{"id":"7","length":2}]"#);
        let short = short.unwrap();
        assert!(short.is_last());
        assert_eq!((short.rows[0].id, short.rows[0].length), (7, Some(2.0)));
        assert_eq!(counts, Counts::default());
    }

    #[test]
    fn what_is_wrong_with_a_body_is_named_with_its_place() {
        let error = |body: &str| page(body).0.unwrap_err();
        assert_eq!(
            error(r#"[{"id":1},{"id":null}]"#).to_string(),
            "GET /films?page=1 answered something else than a list: at [1].id: the key is absent or no integer at line 1 column 21"
        );
        assert!(matches!(error(r#"[{"id":1},{"#), Error::Malformed { cut: true, .. }));
        assert!(matches!(error("[] []"), Error::Malformed { cut: true, .. }));
        let html = error("<html>").to_string();
        assert!(html.ends_with("it begins with: <html>"), "{html}");
    }
}
