//! `dim_media`: the medias of the account, from `/medias`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Source, Stream, schema};
use crate::clean;
use crate::client::Resource;

/// The medias.
pub static DIM_MEDIA: Stream = Stream {
    name: "dim_media",
    keys: &["id"],
    replication_key: None,
    selected_by_default: true,
    source: Source::List("/medias"),
    schema: schema::<Media>,
};

/// A video, audio file, image or document.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Media {
    /// Number of the media.
    #[serde(deserialize_with = "clean::key_bigint")]
    pub id: i64,
    /// Title.
    #[serde(default, deserialize_with = "clean::text")]
    pub name: Option<String>,
    /// Kind, such as `Video`, `Audio` or `PdfDocument`.
    #[serde(default, rename = "type", deserialize_with = "clean::text")]
    pub kind: Option<String>,
    /// Whether it is archived.
    #[serde(default, deserialize_with = "clean::boolean")]
    pub archived: Option<bool>,
    /// When it was made.
    #[serde(default, deserialize_with = "clean::text")]
    pub created: Option<String>,
    /// When it was last changed.
    #[serde(default, deserialize_with = "clean::text")]
    pub updated: Option<String>,
    /// Length in seconds; pages for documents.
    #[serde(default, deserialize_with = "clean::double")]
    pub duration: Option<f64>,
    /// Id in URLs and in all statistics.
    #[serde(default, alias = "hashedId", deserialize_with = "clean::text")]
    pub hashed_id: Option<String>,
    /// Description, as HTML.
    #[serde(default, deserialize_with = "clean::text")]
    pub description: Option<String>,
    /// Part of the processing that is done, from 0 to 1.
    #[serde(default, deserialize_with = "clean::double")]
    pub progress: Option<f64>,
    /// `queued`, `processing`, `ready` or `failed`.
    #[serde(default, deserialize_with = "clean::text")]
    pub status: Option<String>,
    /// Still image.
    #[serde(default, deserialize_with = "clean::object")]
    pub thumbnail: Option<Thumbnail>,
    /// Section of the project.
    #[serde(default, deserialize_with = "clean::text")]
    pub section: Option<String>,
    /// Project (folder) that holds it.
    #[serde(default, alias = "folder", deserialize_with = "clean::object")]
    pub project: Option<Project>,
    /// Its files.
    #[serde(default, deserialize_with = "clean::list")]
    pub assets: Option<Vec<Asset>>,
    /// Names of its tags.
    #[serde(default, deserialize_with = "clean::tags")]
    pub tags: Option<Vec<String>>,
    /// Where the next page begins.
    #[serde(default, skip_serializing, deserialize_with = "clean::text")]
    #[schemars(skip)]
    pub cursor: Option<String>,
}

/// A still image.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Thumbnail {
    /// Where it is.
    #[serde(default, deserialize_with = "clean::text")]
    pub url: Option<String>,
    /// Width in pixels.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub width: Option<i64>,
    /// Height in pixels.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub height: Option<i64>,
}

/// The project of a media.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Project {
    /// Number of the project.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub id: Option<i64>,
    /// Name.
    #[serde(default, deserialize_with = "clean::text")]
    pub name: Option<String>,
    /// Id in URLs.
    #[serde(default, alias = "hashedId", deserialize_with = "clean::text")]
    pub hashed_id: Option<String>,
}

/// A file, of a media or a still of an event.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Asset {
    /// Where it is.
    #[serde(default, deserialize_with = "clean::text")]
    pub url: Option<String>,
    /// Width in pixels.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub width: Option<i64>,
    /// Height in pixels.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub height: Option<i64>,
    /// Size in bytes.
    #[serde(default, alias = "fileSize", deserialize_with = "clean::bigint")]
    pub file_size: Option<i64>,
    /// MIME type.
    #[serde(default, alias = "contentType", deserialize_with = "clean::text")]
    pub content_type: Option<String>,
    /// Kind, such as `OriginalFile`.
    #[serde(default, rename = "type", deserialize_with = "clean::text")]
    pub kind: Option<String>,
}

impl Resource for Media {
    const NAME: &'static str = "a media";
    const UNUSED: &'static [&'static str] = &["embedCode", "subfolder", "project.hashedId"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_snake_case_and_empty_objects_null() {
        let media: Media = serde_json::from_str(
            r#"{"id":"7","thumbnail":{},"project":null,"tags":["a",{"name":"b"}],"duration":"",
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
          ]
        }
        "#);
    }

    #[test]
    fn a_media_without_its_key_is_an_error() {
        for json in [r#"{"name":"x"}"#, r#"{"id":null,"name":"x"}"#, r#"{"id":""}"#] {
            assert!(serde_json::from_str::<Media>(json).is_err(), "{json}");
        }
    }
}
