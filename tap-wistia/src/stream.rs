//! What a stream is, and what other streams know of a media. Everything else stands on this.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde_json::Value;

/// What is fixed about a stream, whatever is read of it.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Unique. It is the name of the table, and of the bookmark in the state.
    pub(crate) name: &'static str,
    /// The columns that no two records share.
    pub(crate) keys: &'static [&'static str],
    /// The column that bookmarks are about, for a stream that Singer reads in increments.
    pub(crate) replication_key: Option<&'static str>,
    /// Whether it is read where no catalog says otherwise.
    pub(crate) selected_by_default: bool,
    /// The columns that hashing personal data changes.
    pub(crate) masked: &'static [&'static str],
    /// The JSON Schema of its records.
    pub(crate) schema: fn() -> Value,
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The JSON Schema of a record type.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    program::schema::record::<T>()
}

/// A media for which figures can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaId {
    /// Younger medias have larger numbers.
    pub(crate) id: i64,
    /// The id in the paths of the API.
    pub(crate) hashed_id: String,
    /// The UTC day on which it was created.
    pub(crate) created: Option<NaiveDate>,
}

/// What people have written on a media, by which teams tell their channels apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels<'a> {
    /// The id in the paths of the API.
    pub(crate) hashed_id: &'a str,
    /// Its title.
    pub(crate) name: Option<&'a str>,
    /// The section of its project.
    pub(crate) section: Option<&'a str>,
    /// The name of its project.
    pub(crate) project: Option<&'a str>,
    /// The names of its tags.
    pub(crate) tags: &'a [String],
}
