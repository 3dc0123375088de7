//! Pages by cursor: the row after or before which a page is.

use super::query::{Query, Refusal};

/// Where a page by cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cursor<'a> {
    /// At the beginning.
    First,
    /// After this row.
    After(&'a str),
    /// Before this row.
    Before(&'a str),
}

/// What a cursor is called: it says no more than the id of its row.
pub(super) fn of_row(id: &str) -> String {
    format!("c{id}")
}

impl<'a> Cursor<'a> {
    /// The cursor that was asked for; nothing where pages are counted.
    pub(super) fn of(query: &'a Query) -> Result<Option<Self>, Refusal> {
        let id = |name: &str| {
            let refused = || Refusal::bad(format!("{name} is no cursor"));
            let cursor = query.get(name);
            cursor.map(|cursor| cursor.strip_prefix('c').ok_or_else(refused)).transpose()
        };
        let enabled = query.choice("cursor[enabled]", &["0", "1"])? == Some("1");
        let cursor = match (id("cursor[after]")?, id("cursor[before]")?) {
            (Some(_), Some(_)) => {
                return Err(Refusal::bad("a cursor is before or after, not both"));
            }
            (Some(id), None) => Self::After(id),
            (None, Some(id)) => Self::Before(id),
            (None, None) if enabled => Self::First,
            (None, None) => return Ok(None),
        };
        if query.get("page").is_some() {
            return Err(Refusal::bad("page cannot be combined with cursor"));
        }
        Ok(Some(cursor))
    }

    /// The rows of its page. `all` are all rows in their order, of which `fits` tells those that
    /// are listed: the row of a cursor may be gone by now.
    pub(super) fn page<T>(
        self,
        all: Vec<T>,
        size: usize,
        id: impl Fn(&T) -> String,
        fits: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Refusal> {
        let place = |wanted: &str| {
            let found = all.iter().position(|row| id(row) == wanted);
            found.ok_or_else(|| Refusal::bad("the cursor names no row"))
        };
        let (from, to) = match self {
            Self::First => (0, all.len()),
            Self::After(id) => (place(id)? + 1, all.len()),
            Self::Before(id) => (0, place(id)?),
        };
        let rows = all.into_iter().skip(from).take(to - from).filter(|row| fits(row));
        let mut rows: Vec<T> = rows.collect();
        if matches!(self, Self::Before(_)) {
            rows.drain(..rows.len().saturating_sub(size));
        }
        rows.truncate(size);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn a_page_is_counted_or_found_by_a_cursor_and_not_both() {
        assert_eq!(Cursor::of(&query(&[("page", "2")])), Ok(None));
        assert_eq!(Cursor::of(&query(&[("cursor[enabled]", "1")])), Ok(Some(Cursor::First)));
        assert_eq!(Cursor::of(&query(&[("cursor[after]", "c7")])), Ok(Some(Cursor::After("7"))));
        for bad in [
            &[("cursor[enabled]", "1"), ("page", "1")][..],
            &[("cursor[enabled]", "yes")],
            &[("cursor[after]", "7")],
            &[("cursor[after]", "c7"), ("cursor[before]", "c9")],
        ] {
            assert!(matches!(Cursor::of(&query(bad)), Err(Refusal::Bad(_))), "{bad:?}");
        }
    }

    #[test]
    fn pages_are_beside_their_cursor_even_where_its_row_is_gone() {
        let page = |cursor: Cursor<'_>| {
            cursor.page((1..=9).collect(), 3, i32::to_string, |row| *row != 4).unwrap()
        };
        assert_eq!(page(Cursor::First), [1, 2, 3]);
        assert_eq!(page(Cursor::After("3")), [5, 6, 7]);
        assert_eq!(page(Cursor::After("4")), [5, 6, 7]);
        assert_eq!(page(Cursor::Before("7")), [3, 5, 6]);
        assert_eq!(page(Cursor::After("9")), Vec::<i32>::new());
    }
}
