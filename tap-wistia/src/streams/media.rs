//! `dim_media`: the medias of the account, from `/medias`.

use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean::{self, Spelling};
use crate::client::{Request, Resource};
use crate::config::parse_day;
use crate::error::Result;
use crate::output::Output;
use crate::pages::Listed;
use crate::read::{Endpoint, MediaRow, Medias, Read};
use crate::stream::{Labels, MediaId, Stream, schema};

/// The list of medias, with all that is known of each:
/// <https://docs.wistia.com/v2026.03/reference/getting-started-with-the-data-api>.
pub(super) static ENDPOINT: Endpoint =
    Endpoint { streams: &[&DIM_MEDIA], read: Read::Medias(Medias::of::<Media>()) };

static DIM_MEDIA: Stream = Stream {
    name: "dim_media",
    keys: &["id"],
    replication_key: None,
    selected_by_default: true,
    masked: &[],
    schema: schema::<Media>,
};

/// A video, audio file, image or document.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Media {
    /// Number of the media.
    #[serde(deserialize_with = "clean::key_bigint")]
    id: i64,
    /// Title.
    #[serde(default, deserialize_with = "clean::text")]
    name: Option<String>,
    /// Kind, such as `Video`, `Audio` or `PdfDocument`.
    #[serde(default, rename = "type", deserialize_with = "clean::text")]
    kind: Option<String>,
    /// Whether it is archived.
    #[serde(default, deserialize_with = "clean::boolean")]
    archived: Option<bool>,
    /// When it was made.
    #[serde(default, deserialize_with = "clean::text")]
    created: Option<String>,
    /// When it was last changed.
    #[serde(default, deserialize_with = "clean::text")]
    updated: Option<String>,
    /// Length in seconds; pages for documents.
    #[serde(default, deserialize_with = "clean::double")]
    duration: Option<f64>,
    /// Id in URLs and in all statistics.
    #[serde(default, alias = "hashedId", deserialize_with = "clean::text")]
    hashed_id: Option<String>,
    /// Description, as HTML.
    #[serde(default, deserialize_with = "clean::text")]
    description: Option<String>,
    /// Part of the processing that is done, from 0 to 1.
    #[serde(default, deserialize_with = "clean::double")]
    progress: Option<f64>,
    /// `queued`, `processing`, `ready` or `failed`.
    #[serde(default, deserialize_with = "clean::text")]
    status: Option<String>,
    /// Still image.
    #[serde(default, deserialize_with = "clean::object")]
    thumbnail: Option<Thumbnail>,
    /// Section of the project.
    #[serde(default, deserialize_with = "clean::text")]
    section: Option<String>,
    /// Project (folder) that holds it.
    #[serde(default, alias = "folder", deserialize_with = "clean::object")]
    project: Option<Project>,
    /// Its files.
    #[serde(default, deserialize_with = "clean::list")]
    assets: Option<Vec<Asset>>,
    /// Names of its tags.
    #[serde(default, deserialize_with = "clean::tags")]
    tags: Option<Vec<String>>,
    /// Subfolder of the project that holds it.
    #[serde(default, deserialize_with = "clean::object")]
    subfolder: Option<Subfolder>,
    /// When it was deleted, where the list of medias says so. Wistia leaves deleted medias out of that
    /// list, and tells of them elsewhere without their number: their rows stay here as they last were,
    /// and `dim_deleted_media` has, by `hashed_id`, when they went.
    #[serde(default, deserialize_with = "clean::text")]
    deleted_at: Option<String>,
    /// Where the next page begins.
    #[serde(default, skip_serializing, deserialize_with = "clean::hint")]
    #[schemars(skip)]
    cursor: Option<String>,
}

/// A still image.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Thumbnail {
    /// Where it is.
    #[serde(default, deserialize_with = "clean::text")]
    url: Option<String>,
    /// Width in pixels.
    #[serde(default, deserialize_with = "clean::bigint")]
    width: Option<i64>,
    /// Height in pixels.
    #[serde(default, deserialize_with = "clean::bigint")]
    height: Option<i64>,
}

/// The project of a media.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Project {
    /// Number of the project.
    #[serde(default, deserialize_with = "clean::bigint")]
    id: Option<i64>,
    /// Name.
    #[serde(default, deserialize_with = "clean::text")]
    name: Option<String>,
    /// Id in URLs.
    #[serde(default, alias = "hashedId", deserialize_with = "clean::text")]
    hashed_id: Option<String>,
}

/// The subfolder of a media.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Subfolder {
    /// Id in URLs.
    #[serde(default, alias = "hashedId", deserialize_with = "clean::text")]
    hashed_id: Option<String>,
    /// Name.
    #[serde(default, deserialize_with = "clean::text")]
    name: Option<String>,
    /// Description.
    #[serde(default, deserialize_with = "clean::text")]
    description: Option<String>,
    /// Place among the subfolders of the project.
    #[serde(default, deserialize_with = "clean::bigint")]
    position: Option<i64>,
    /// When it was made.
    #[serde(default, alias = "created_at", deserialize_with = "clean::text")]
    created: Option<String>,
    /// When it was last changed.
    #[serde(default, alias = "updated_at", deserialize_with = "clean::text")]
    updated: Option<String>,
}

/// A file, of a media or a still of an event.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub(super) struct Asset {
    /// Where it is.
    #[serde(default, deserialize_with = "clean::text")]
    url: Option<String>,
    /// Width in pixels.
    #[serde(default, deserialize_with = "clean::bigint")]
    width: Option<i64>,
    /// Height in pixels.
    #[serde(default, deserialize_with = "clean::bigint")]
    height: Option<i64>,
    /// Size in bytes.
    #[serde(default, alias = "fileSize", deserialize_with = "clean::bigint")]
    file_size: Option<i64>,
    /// MIME type.
    #[serde(default, alias = "contentType", deserialize_with = "clean::text")]
    content_type: Option<String>,
    /// Kind, such as `OriginalFile`.
    #[serde(default, rename = "type", deserialize_with = "clean::text")]
    kind: Option<String>,
}

impl Resource for Media {
    const NAME: &'static str = "a media";
    const TABLE: &'static str = DIM_MEDIA.name;
    const UNUSED: &'static [&'static str] = &["embedCode", "project.hashedId"];
    const SPELLINGS: &'static [Spelling] = &[
        Spelling { object: "", documented: "hashed_id", other: "hashedId" },
        Spelling { object: "", documented: "project", other: "folder" },
        Spelling { object: "subfolder", documented: "hashed_id", other: "hashedId" },
        Spelling { object: "project", documented: "hashedId", other: "hashed_id" },
        Spelling { object: "assets", documented: "fileSize", other: "file_size" },
        Spelling { object: "assets", documented: "contentType", other: "content_type" },
    ];
}

impl Listed for Media {
    fn identity(&self) -> impl Hash {
        self.id
    }
}

impl MediaRow for Media {
    fn request() -> Request {
        Request::new("/medias")
    }

    fn id(&self) -> i64 {
        self.id
    }

    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn media(&self) -> Option<MediaId> {
        let created = self.created.as_deref().and_then(parse_day);
        Some(MediaId { id: self.id, hashed_id: self.hashed_id.clone()?, created })
    }

    fn labels<'a>(&'a self, media: &'a MediaId) -> Labels<'a> {
        Labels {
            hashed_id: &media.hashed_id,
            name: self.name.as_deref(),
            section: self.section.as_deref(),
            project: self.project.as_ref().and_then(|project| project.name.as_deref()),
            tags: self.tags.as_deref().unwrap_or_default(),
        }
    }

    fn emit(&self, output: &mut Output) -> Result<()> {
        output.record(&DIM_MEDIA, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_snake_case_and_empty_objects_null() {
        let media: Media = serde_json::from_str(
            r#"{"id":"7","thumbnail":{},"project":null,"tags":["a",{"name":"b"}],"duration":"",
                "subfolder":{"hashedId":"s","name":"Launch","description":"","position":"2"},"cursor":"c",
                "assets":[{"url":"u","fileSize":"12","contentType":"video/mp4"},{}]}"#,
        )
        .unwrap();
        insta::assert_json_snapshot!(media, @r#"
        {
          "id": 7,
          "name": null,
          "type": null,
          "archived": null,
          "created": null,
          "updated": null,
          "duration": null,
          "hashed_id": null,
          "description": null,
          "progress": null,
          "status": null,
          "thumbnail": null,
          "section": null,
          "project": null,
          "assets": [
            {
              "url": "u",
              "width": null,
              "height": null,
              "file_size": 12,
              "content_type": "video/mp4",
              "type": null
            }
          ],
          "tags": [
            "a",
            "b"
          ],
          "subfolder": {
            "hashed_id": "s",
            "name": "Launch",
            "description": null,
            "position": 2,
            "created": null,
            "updated": null
          },
          "deleted_at": null
        }
        "#);
    }

    #[test]
    fn rules_see_title_section_project_and_tags() {
        let media: Media = serde_json::from_str(
            r#"{"id":7,"hashedId":"abc","name":"n","section":"s","project":{"name":"p"},
                "tags":[{"name":"t"}],"created":"2026-01-02T03:04:05+00:00"}"#,
        )
        .unwrap();
        let id = media.media().unwrap();
        assert_eq!(id.created.unwrap().to_string(), "2026-01-02");
        let labels = media.labels(&id);
        assert_eq!((labels.hashed_id, labels.name), ("abc", Some("n")));
        assert_eq!((labels.section, labels.project), (Some("s"), Some("p")));
        assert_eq!(labels.tags, ["t"]);
        let bare: Media = serde_json::from_str(r#"{"id":7}"#).unwrap();
        assert!(bare.media().is_none());
        assert!(bare.labels(&id).tags.is_empty());
    }

    #[test]
    fn a_media_without_its_key_is_an_error() {
        for json in [r#"{"name":"x"}"#, r#"{"id":null,"name":"x"}"#, r#"{"id":""}"#] {
            assert!(serde_json::from_str::<Media>(json).is_err(), "{json}");
        }
    }
}
