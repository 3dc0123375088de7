//! `--test`: asks for one record of each selected stream and says what the token may read.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::client::{Client, Page, Request, Resource};
use crate::error::{Error, Result};
use crate::streams::media::Media;
use crate::streams::{Source, Stream};

/// An answer of which only its arrival counts.
#[derive(Debug, Deserialize)]
struct Anything(IgnoredAny);

impl Resource for Anything {
    const NAME: &'static str = "JSON";
    const UNUSED: &'static [&'static str] = &[];
}

/// Asks for one record of each stream.
pub async fn run(
    client: &Client,
    streams: impl IntoIterator<Item = &'static Stream>,
) -> Result<()> {
    let first = client.get::<Page<Media>>(&Request::new("/medias").with("per_page", 1)).await;
    let media = match &first {
        Ok(answer) => answer.value.rows.first().and_then(|media| media.hashed_id.clone()),
        Err(error) if error.is_of_stream() => None,
        Err(_) => return first.map(|_| ()),
    };
    let mut failed = Vec::new();
    for stream in streams {
        let request = match stream.source {
            Source::List(path) | Source::Rules(path) => {
                Some(Request::new(path).with("per_page", 1))
            }
            Source::Single(path) => Some(Request::new(path)),
            Source::Media(request) => media.as_deref().map(request),
        };
        let Some(request) = request else {
            tracing::info!(stream = stream.name, "nothing to ask for: the account has no media");
            continue;
        };
        match client.get::<Anything>(&request).await {
            Ok(_) => tracing::info!(stream = stream.name, "may be read"),
            Err(error) if error.is_of_stream() => {
                tracing::error!(stream = stream.name, "{error}");
                failed.push(stream.name);
            }
            Err(Error::NotFound { .. }) => {
                tracing::info!(stream = stream.name, "may be read; nothing was found");
            }
            Err(error) => return Err(error),
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::Streams { count: failed.len(), streams: failed.join(", ") })
}
