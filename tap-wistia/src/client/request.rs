//! Requests: a path and a query below one of Wistia's two APIs, and the permission that they want.

use std::fmt::{self, Write as _};

use crate::permission::Permission;

/// The version of the modern API that the tap speaks. Each is served for about a year:
/// <https://docs.wistia.com/docs/migration-from-v1-guide>.
const MODERN_VERSION: &str = "2026-03";

/// A GET request below the API's base URL.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(super) api: Api,
    /// As it is sent: what stands between the slashes is encoded.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) permission: Permission,
    /// An id that cannot stand in a path. The request is not sent.
    pub(super) misfit: Option<String>,
}

/// Which of Wistia's two APIs answers: <https://docs.wistia.com/docs/making-api-requests>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// The one that never breaks.
    V1,
    /// The one whose versions expire. It is a sibling of the other.
    Modern {
        /// The version that the tap reads.
        version: &'static str,
    },
}

impl Request {
    /// A request to the v1 API for `path`, which begins with a slash and has no suffix.
    pub(crate) fn new(path: impl Into<String>) -> Self {
        Self {
            api: Api::V1,
            path: path.into(),
            query: Vec::new(),
            permission: Permission::AllData,
            misfit: None,
        }
    }

    /// A request to the modern API, of which statistics are read.
    pub(crate) fn modern(path: impl Into<String>) -> Self {
        Self::modern_at(MODERN_VERSION, path)
    }

    /// A request to the modern API for a resource that is not in every version.
    pub(crate) fn modern_at(version: &'static str, path: impl Into<String>) -> Self {
        let permission = Permission::DetailedStats;
        Self { api: Api::Modern { version }, permission, ..Self::new(path) }
    }

    /// The permission that the resource wants, where it is not that of most of its API.
    #[must_use]
    pub(crate) fn wanting(self, permission: Permission) -> Self {
        Self { permission, ..self }
    }

    /// What is asked for below the address of both APIs, without query.
    pub(crate) fn resource(&self) -> String {
        let api = match self.api {
            Api::V1 => "v1",
            Api::Modern { .. } => "modern",
        };
        format!("{api}{}", self.path)
    }

    /// Appends a part to the path, such as an id. Whatever it holds, it stays that one part; where it
    /// cannot, the request is an error instead.
    #[must_use]
    pub(crate) fn segment(mut self, part: &str) -> Self {
        if matches!(part, "" | "." | "..") {
            self.misfit = Some(part.to_owned());
        }
        self.path.push('/');
        for byte in part.bytes() {
            encode(byte, is_unreserved(byte), &mut self.path);
        }
        self
    }

    /// Appends a parameter; those before it keep their order.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and days are copied anyway")]
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }
}

/// Appends a byte as it is, or encoded.
fn encode(byte: u8, is_plain: bool, text: &mut String) {
    if is_plain {
        text.push(char::from(byte));
    } else {
        // Nothing refuses to be written to a string.
        _ = write!(text, "%{byte:02X}");
    }
}

/// What RFC 3986 lets stand for itself anywhere.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The path as it is sent. Of the query, what a person can read without doubt is not encoded.
impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)?;
        let mut text = String::new();
        for (position, (name, value)) in self.query.iter().enumerate() {
            text.clear();
            for byte in value.bytes() {
                let is_plain = byte.is_ascii_graphic()
                    && !matches!(byte, b'%' | b'&' | b'+' | b'#' | b'"' | b'<' | b'>' | b'\\');
                encode(byte, is_plain, &mut text);
            }
            write!(formatter, "{}{name}={text}", if position == 0 { '?' } else { '&' })?;
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
        let odd = Request::new("/medias").with("cursor[after]", "a=b&c\u{1b}d é");
        assert_eq!(odd.to_string(), "/medias?cursor[after]=a=b%26c%1Bd%20%C3%A9");
    }

    #[test]
    fn an_id_stays_one_part_of_the_path() {
        for (id, path) in [
            ("abc-D.e_9~", "/stats/medias/abc-D.e_9~/by_date"),
            ("a?b=c", "/stats/medias/a%3Fb%3Dc/by_date"),
            ("../../medias", "/stats/medias/..%2F..%2Fmedias/by_date"),
            ("%2e%2e", "/stats/medias/%252e%252e/by_date"),
            ("é\r\n\u{0}#", "/stats/medias/%C3%A9%0D%0A%00%23/by_date"),
        ] {
            let request = Request::new("/stats/medias").segment(id).segment("by_date");
            assert_eq!(request.to_string(), path);
            assert!(request.misfit.is_none());
        }
    }

    #[test]
    fn what_cannot_be_part_of_a_path_is_kept_as_a_fault() {
        for id in ["", ".", ".."] {
            let request = Request::new("/stats/medias").segment(id).segment("by_date");
            assert_eq!(request.misfit.as_deref(), Some(id));
        }
    }

    #[test]
    fn each_api_has_its_permission_and_a_resource_may_want_another() {
        assert_eq!(Request::new("/x").permission, Permission::AllData);
        assert_eq!(Request::modern("/x").permission, Permission::DetailedStats);
        let deleted =
            Request::modern_at("2026-09", "/deleted_media").wanting(Permission::FoldersAndMedia);
        assert_eq!(deleted.permission, Permission::FoldersAndMedia);
        assert_eq!(deleted.api, Api::Modern { version: "2026-09" });
    }
}
