//! `--test` and Airbyte's `check`: the smallest request of each selected stream, to see what the token
//! may read.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::client::{Client, Resource};
use crate::error::{Error, Kind, Result};
use crate::read::{Endpoint, Read};
use crate::stream::Stream;

/// An answer of which only its arrival counts.
#[derive(Debug, Deserialize)]
struct Anything(IgnoredAny);

impl Resource for Anything {
    const NAME: &'static str = "JSON";
    const UNUSED: &'static [&'static str] = &[];
}

/// Asks for the selected ones of these endpoints' streams. What is asked for each media is asked for
/// any of them.
pub(crate) async fn run(
    client: &Client,
    endpoints: &[&'static Endpoint],
    is_selected: impl Fn(&Stream) -> bool,
) -> Result<()> {
    let media_id = any_media(client, endpoints).await?;
    let mut failed = Vec::new();
    for endpoint in endpoints {
        for stream in endpoint.streams.iter().filter(|stream| is_selected(stream)) {
            let Some(request) = endpoint.read.probe(media_id.as_deref()) else {
                tracing::info!(
                    stream = stream.name,
                    "nothing to ask for: the account has no media"
                );
                continue;
            };
            match client.get::<Anything>(&request).await {
                Ok(_) => tracing::info!(stream = stream.name, "may be read"),
                Err(error) if error.kind() == Kind::Access => {
                    tracing::error!(stream = stream.name, "{error}");
                    failed.push(stream.name);
                }
                Err(Error::NotFound { .. }) => {
                    tracing::info!(stream = stream.name, "may be read; nothing was found");
                }
                Err(error) => return Err(error),
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::Streams { count: failed.len(), streams: failed.join(", ") })
}

/// The hashed id of a media; none where there is none, or where the token may not read them.
async fn any_media(client: &Client, endpoints: &[&'static Endpoint]) -> Result<Option<String>> {
    let lists = endpoints.iter().filter_map(|endpoint| match &endpoint.read {
        Read::Medias(medias) => Some(medias),
        Read::List(_)
        | Read::Derived(..)
        | Read::PerMedia(_)
        | Read::Account(_)
        | Read::Events(_) => None,
    });
    for medias in lists {
        match (medias.first)(client).await {
            Err(error) if error.kind() == Kind::Access => {}
            outcome => return outcome,
        }
    }
    Ok(None)
}
