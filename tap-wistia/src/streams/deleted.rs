//! `dim_deleted_media`: medias that were deleted and may still be restored, from the modern API's
//! `/deleted_media`.
//!
//! Wistia names a media there for as long as it can be restored, 30 days on most plans. A row once read
//! stays in the lake, so that what is gone for good is still known to have been there.

use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean::{self, Spelling};
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::pages::Listed;
use crate::permission::Permission;
use crate::privacy::Privacy;
use crate::read::{Endpoint, List, ListRow, Read};
use crate::stream::{Stream, schema};

/// The list of deleted medias.
pub(super) static ENDPOINT: Endpoint =
    Endpoint { streams: &[&DIM_DELETED_MEDIA], read: Read::List(List::of::<DeletedMedia>()) };

static DIM_DELETED_MEDIA: Stream = Stream {
    name: "dim_deleted_media",
    keys: &["hashed_id"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<DeletedMedia>,
};

/// A media that was deleted.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct DeletedMedia {
    /// Id in URLs and in all statistics; `dim_media.hashed_id`.
    #[serde(alias = "hashedId", deserialize_with = "clean::key")]
    hashed_id: String,
    /// Title.
    #[serde(default, deserialize_with = "clean::text")]
    name: Option<String>,
    /// Kind, such as `Video` or `Audio`.
    #[serde(default, rename = "type", deserialize_with = "clean::text")]
    kind: Option<String>,
    /// Length in seconds.
    #[serde(default, deserialize_with = "clean::double")]
    duration: Option<f64>,
    /// When it was deleted. It may have been restored since; then it has newer figures.
    #[serde(default, deserialize_with = "clean::text")]
    deleted_at: Option<String>,
    /// When it goes for good.
    #[serde(default, deserialize_with = "clean::text")]
    restore_expires_at: Option<String>,
    /// Project (folder) to which it would return; null where that was deleted too.
    #[serde(default, alias = "project", deserialize_with = "clean::object")]
    folder: Option<Folder>,
}

/// A folder.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Folder {
    /// Id in URLs.
    #[serde(default, alias = "hashedId", deserialize_with = "clean::text")]
    hashed_id: Option<String>,
    /// Name.
    #[serde(default, deserialize_with = "clean::text")]
    name: Option<String>,
}

impl Resource for DeletedMedia {
    const NAME: &'static str = "a deleted media";
    const TABLE: &'static str = DIM_DELETED_MEDIA.name;
    const UNUSED: &'static [&'static str] = &["cursor"];
    const SPELLINGS: &'static [Spelling] = &[
        Spelling { object: "", documented: "hashed_id", other: "hashedId" },
        Spelling { object: "", documented: "folder", other: "project" },
        Spelling { object: "folder", documented: "hashed_id", other: "hashedId" },
    ];
}

impl Listed for DeletedMedia {
    fn identity(&self) -> impl Hash {
        &self.hashed_id
    }
}

impl ListRow for DeletedMedia {
    fn request() -> Request {
        // The version of the tap's other requests has no such list.
        Request::modern_at("2026-09", "/deleted_media").wanting(Permission::FoldersAndMedia)
    }

    fn emit(self, _: &Privacy, output: &mut Output) -> Result<()> {
        output.record(&DIM_DELETED_MEDIA, &self)
    }
}
