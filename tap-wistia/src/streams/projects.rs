//! `dim_projects`: the projects (folders) of the account, from `/projects`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Listing, Source, Stream, schema};
use crate::clean;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::privacy::Privacy;

/// The projects.
pub static DIM_PROJECTS: Stream = Stream {
    name: "dim_projects",
    keys: &["id"],
    replication_key: None,
    selected_by_default: false,
    source: Source::List("/projects"),
    schema: schema::<Project>,
};

/// A project.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct Project {
    /// Number of the project.
    #[serde(deserialize_with = "clean::key_bigint")]
    pub id: i64,
    /// Id in URLs.
    #[serde(default, alias = "hashedId", deserialize_with = "clean::text")]
    pub hashed_id: Option<String>,
    /// Name.
    #[serde(default, deserialize_with = "clean::text")]
    pub name: Option<String>,
    /// Description.
    #[serde(default, deserialize_with = "clean::text")]
    pub description: Option<String>,
    /// Medias in it.
    #[serde(default, alias = "mediaCount", deserialize_with = "clean::bigint")]
    pub media_count: Option<i64>,
    /// When it was made.
    #[serde(default, alias = "created_at", deserialize_with = "clean::text")]
    pub created: Option<String>,
    /// When it was last changed.
    #[serde(default, alias = "updated_at", deserialize_with = "clean::text")]
    pub updated: Option<String>,
    /// Whether everybody may see it.
    #[serde(default, deserialize_with = "clean::boolean")]
    pub public: Option<bool>,
}

impl Resource for Project {
    const NAME: &'static str = "a project";
    const UNUSED: &'static [&'static str] =
        &["anonymousCanUpload", "anonymousCanDownload", "publicId"];
}

/// Reads projects.
#[derive(Debug)]
pub struct Projects;

impl Listing for Projects {
    type Row = Project;
    const STREAM: &'static Stream = &DIM_PROJECTS;

    fn request(&self) -> Request {
        Request::new("/projects")
    }

    fn emit(&self, row: Project, _: &Privacy, output: &mut Output) -> Result<()> {
        output.record(&DIM_PROJECTS, &row)
    }
}
