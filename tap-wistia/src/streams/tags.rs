//! `dim_tags`: the tags of the account, from `/tags`.

use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean::{self, Spelling};
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::pages::Listed;
use crate::privacy::Privacy;
use crate::read::{Endpoint, List, ListRow, Read};
use crate::stream::{Stream, schema};

/// The list of tags.
pub(super) static ENDPOINT: Endpoint =
    Endpoint { streams: &[&DIM_TAGS], read: Read::List(List::of::<Tag>()) };

static DIM_TAGS: Stream = Stream {
    name: "dim_tags",
    keys: &["name"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<Tag>,
};

/// A tag. Wistia knows it by its name alone.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Tag {
    /// Name, as it stands in `dim_media.tags`.
    #[serde(deserialize_with = "clean::key")]
    name: String,
    /// Medias that bear it.
    #[serde(default, alias = "taggingsCount", deserialize_with = "clean::bigint")]
    taggings_count: Option<i64>,
    /// When it was made.
    #[serde(default, alias = "created_at", deserialize_with = "clean::text")]
    created: Option<String>,
    /// When it was last changed.
    #[serde(default, alias = "updated_at", deserialize_with = "clean::text")]
    updated: Option<String>,
}

impl Resource for Tag {
    const NAME: &'static str = "a tag";
    const TABLE: &'static str = DIM_TAGS.name;
    const UNUSED: &'static [&'static str] = &[];
    const SPELLINGS: &'static [Spelling] = &[
        Spelling { object: "", documented: "taggingsCount", other: "taggings_count" },
        Spelling { object: "", documented: "created", other: "created_at" },
        Spelling { object: "", documented: "updated", other: "updated_at" },
    ];
}

impl Listed for Tag {
    fn identity(&self) -> impl Hash {
        &self.name
    }
}

impl ListRow for Tag {
    fn request() -> Request {
        Request::new("/tags")
    }

    fn emit(self, _: &Privacy, output: &mut Output) -> Result<()> {
        output.record(&DIM_TAGS, &self)
    }
}
