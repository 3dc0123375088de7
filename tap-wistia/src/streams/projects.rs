//! `dim_projects`: the projects (folders) of the account, from `/projects`.

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

/// The list of projects.
pub(super) static ENDPOINT: Endpoint =
    Endpoint { streams: &[&DIM_PROJECTS], read: Read::List(List::of::<Project>()) };

static DIM_PROJECTS: Stream = Stream {
    name: "dim_projects",
    keys: &["id"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<Project>,
};

/// A project.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Project {
    /// Number of the project.
    #[serde(deserialize_with = "clean::key_bigint")]
    id: i64,
    /// Id in URLs.
    #[serde(default, alias = "hashedId", deserialize_with = "clean::text")]
    hashed_id: Option<String>,
    /// Name.
    #[serde(default, deserialize_with = "clean::text")]
    name: Option<String>,
    /// Description.
    #[serde(default, deserialize_with = "clean::text")]
    description: Option<String>,
    /// Medias in it.
    #[serde(default, alias = "mediaCount", deserialize_with = "clean::bigint")]
    media_count: Option<i64>,
    /// When it was made.
    #[serde(default, alias = "created_at", deserialize_with = "clean::text")]
    created: Option<String>,
    /// When it was last changed.
    #[serde(default, alias = "updated_at", deserialize_with = "clean::text")]
    updated: Option<String>,
    /// Whether everybody may see it.
    #[serde(default, deserialize_with = "clean::boolean")]
    public: Option<bool>,
}

impl Resource for Project {
    const NAME: &'static str = "a project";
    const TABLE: &'static str = DIM_PROJECTS.name;
    const UNUSED: &'static [&'static str] =
        &["anonymousCanUpload", "anonymousCanDownload", "publicId"];
    const SPELLINGS: &'static [Spelling] = &[
        Spelling { object: "", documented: "hashedId", other: "hashed_id" },
        Spelling { object: "", documented: "mediaCount", other: "media_count" },
        Spelling { object: "", documented: "created", other: "created_at" },
        Spelling { object: "", documented: "updated", other: "updated_at" },
    ];
}

impl Listed for Project {
    fn identity(&self) -> impl Hash {
        self.id
    }
}

impl ListRow for Project {
    fn request() -> Request {
        Request::new("/projects")
    }

    fn emit(self, _: &Privacy, output: &mut Output) -> Result<()> {
        output.record(&DIM_PROJECTS, &self)
    }
}
