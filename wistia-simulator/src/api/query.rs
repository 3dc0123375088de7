//! Parameters, and refusals of those that are none.

use chrono::NaiveDate;
use serde_json::Value;

/// The parameters of a request. Those that a resource does not know are ignored.
#[derive(Debug, Clone, Default)]
pub struct Query(pub Vec<(String, String)>);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 404 with a JSON body.
    NotFound,
    /// 404 without a body, as all statistics answer.
    NoStats,
    /// 400, with all that is wrong.
    Bad(Vec<String>),
    /// 422.
    BadDate,
    /// 500.
    Broken,
}

impl Refusal {
    /// 400 for one reason.
    pub fn bad(reason: impl Into<String>) -> Self {
        Self::Bad(vec![reason.into()])
    }
}

/// An answer.
pub type Answer = Result<Value, Refusal>;

impl Query {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that may stand more than once.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let refused = |_| Refusal::bad(format!("{name} is not an integer"));
        self.get(name).map(str::parse).transpose().map_err(refused)
    }

    /// A word of a list.
    pub fn choice(&self, name: &str, known: &[&str]) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            Some(word) if !known.contains(&word) => {
                Err(Refusal::bad(format!("{name} is not one of {}", known.join(", "))))
            }
            word => Ok(word),
        }
    }

    /// Yes or no.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        Ok(self.choice(name, &["true", "false"])?.map(|word| word == "true"))
    }

    /// A day: YYYY-MM-DD and nothing else.
    pub fn day(&self, name: &str) -> Result<Option<NaiveDate>, Refusal> {
        let refused = || Refusal::bad(format!("{name} is not a date"));
        let Some(text) = self.get(name) else { return Ok(None) };
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| refused())?;
        if day.to_string() == text { Ok(Some(day)) } else { Err(refused()) }
    }

    /// Whether rows come in the order of what they are sorted by, or the other way.
    pub fn is_ascending(&self) -> Result<bool, Refusal> {
        Ok(self.choice("sort_direction", &["0", "1"])? != Some("0"))
    }

    /// The rows of a page.
    pub fn page<T>(&self, rows: impl Iterator<Item = T>) -> Result<Vec<T>, Refusal> {
        let size = self.page_size()?;
        let number = usize::try_from(self.integer("page")?.unwrap_or(1)).unwrap_or(1).max(1);
        Ok(rows.skip((number - 1).saturating_mul(size)).take(size).collect())
    }

    /// Rows of a page: 10 where nothing is said, 100 at most.
    pub fn page_size(&self) -> Result<usize, Refusal> {
        let size = self.integer("per_page")?.unwrap_or(10).clamp(1, 100);
        Ok(usize::try_from(size).unwrap_or(100))
    }

    /// Rows in the order that was asked for, of those that there are.
    pub fn sorted<T>(
        &self,
        rows: impl Iterator<Item = T>,
        known: &[&str],
        usual: &str,
        key: impl Fn(&T, &str) -> (i64, String),
    ) -> Result<std::vec::IntoIter<T>, Refusal> {
        let by = self.choice("sort_by", known)?.unwrap_or(usual);
        let ascending = self.is_ascending()?;
        let mut rows: Vec<T> = rows.collect();
        rows.sort_by_cached_key(|row| key(row, by));
        if !ascending {
            rows.reverse();
        }
        Ok(rows.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn a_day_has_one_spelling() {
        let day = |text| query(&[("start_date", text)]).day("start_date");
        assert_eq!(day("2026-02-28").unwrap().unwrap().to_string(), "2026-02-28");
        for text in ["2026-02-30", "2026-2-8", "2026-02-28T00:00:00Z", "20260228", "", "today"] {
            assert!(matches!(day(text), Err(Refusal::Bad(_))), "{text}");
        }
    }

    #[test]
    fn a_page_has_ten_rows_unless_told_and_a_hundred_at_most() {
        let rows = |pairs: &[(&str, &str)]| query(pairs).page(1..=250);
        assert_eq!(rows(&[]).unwrap(), (1..=10).collect::<Vec<_>>());
        assert_eq!(rows(&[("per_page", "500")]).unwrap().len(), 100);
        assert_eq!(rows(&[("per_page", "100"), ("page", "3")]).unwrap().len(), 50);
        assert_eq!(rows(&[("per_page", "100"), ("page", "4")]).unwrap().len(), 0);
        assert_eq!(rows(&[("page", "0")]).unwrap()[0], 1);
        assert_eq!(rows(&[("page", "9223372036854775807")]).unwrap().len(), 0);
        for pair in [("per_page", "abc"), ("page", "1.5"), ("page", "")] {
            assert!(matches!(rows(&[pair]), Err(Refusal::Bad(_))), "{pair:?}");
        }
    }

    #[test]
    fn only_words_that_are_described_sort() {
        let sorted = |by: &str, direction: &str| {
            let asked = query(&[("sort_by", by), ("sort_direction", direction)]);
            asked.sorted([2, 1, 3].into_iter(), &["id"], "id", |id, _| (*id, String::new()))
        };
        assert_eq!(sorted("id", "1").unwrap().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(sorted("id", "0").unwrap().collect::<Vec<_>>(), [3, 2, 1]);
        assert!(sorted("plays", "1").is_err());
        assert!(sorted("id", "desc").is_err());
    }
}
