//! Requests: a path and a query below one of Wistia's two APIs.

use std::fmt;

/// The version of the modern API that the tap speaks. Each is served for about a year:
/// <https://docs.wistia.com/docs/migration-from-v1-guide>.
pub(super) const MODERN_VERSION: &str = "2026-03";

/// A GET request below the API's base URL.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(super) api: Api,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
}

/// Which of Wistia's two APIs answers: <https://docs.wistia.com/docs/making-api-requests>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// The one that never breaks.
    V1,
    /// The one whose versions expire. It is a sibling of the other.
    Modern,
}

impl Request {
    /// A request to the v1 API for `path`, which begins with a slash and has no suffix.
    pub(crate) fn new(path: impl Into<String>) -> Self {
        Self { api: Api::V1, path: path.into(), query: Vec::new() }
    }

    /// A request to the modern API.
    pub(crate) fn modern(path: impl Into<String>) -> Self {
        Self { api: Api::Modern, ..Self::new(path) }
    }

    /// Appends a parameter; those before it keep their order.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and days are copied anyway")]
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }
}

/// As a person writes it down: nothing is escaped.
impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)?;
        for (position, (name, value)) in self.query.iter().enumerate() {
            write!(formatter, "{}{name}={value}", if position == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_in_the_order_in_which_they_were_added() {
        let request = Request::new("/medias").with("per_page", 100).with("archived", false);
        assert_eq!(request.to_string(), "/medias?per_page=100&archived=false");
        assert_eq!(Request::modern("/tags").to_string(), "/tags");
    }
}
