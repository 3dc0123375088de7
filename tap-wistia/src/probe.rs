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
    const TABLE: &'static str = "";
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use crate::testing::{Reply, Server, config, ok};

    async fn probed(server: &Server, is_selected: impl Fn(&Stream) -> bool) -> Result<()> {
        let client = server.client(&config(""));
        run(&client, &streams::ALL, is_selected).await
    }

    fn account(path: &str) -> Reply {
        match path {
            "/medias?per_page=1" => ok(r#"[{"id":1,"hashed_id":"abc"}]"#),
            _ => ok("{}"),
        }
    }

    #[tokio::test]
    async fn each_selected_stream_costs_one_request_and_one_finds_a_media() {
        let server = Server::new(account);
        probed(&server, |_| true).await.unwrap();
        assert_eq!(
            server.asked(),
            [
                "/medias?per_page=1",
                "/medias?per_page=1",
                "/deleted_media?per_page=1",
                "/projects?per_page=1",
                "/tags?per_page=1",
                "/channels?per_page=1",
                "/channel_episodes?per_page=1",
                "/stats/medias/abc",
                "/stats/medias/abc",
                "/stats/medias/abc/by_date",
                "/stats/medias/abc/engagement",
                "/stats/medias/abc/engagement",
                "/analytics/medias/abc/timeseries?granularity=daily",
                "/stats/account",
                "/stats/events?per_page=1",
                "/stats/events?per_page=1",
                "/stats/visitors?per_page=1",
            ]
        );
        probed(&server, |stream| stream.name == "visitors").await.unwrap();
        assert_eq!(server.asked(), ["/medias?per_page=1", "/stats/visitors?per_page=1"]);
    }

    #[tokio::test]
    async fn an_account_without_medias_has_nothing_to_ask_for_each_of_them() {
        let server = Server::new(|_| ok("[]"));
        probed(&server, |stream| stream.name.starts_with("fact_engagement")).await.unwrap();
        assert_eq!(server.asked(), ["/medias?per_page=1"]);
    }

    #[tokio::test]
    async fn streams_that_may_not_be_read_are_named_and_the_others_still_tried() {
        let server = Server::new(|path| match path {
            path if path.starts_with("/medias") => (403, String::new()),
            path if path.starts_with("/stats/events") => (403, String::new()),
            path if path.starts_with("/channels") => (404, String::new()),
            _ => ok("[]"),
        });
        let error = probed(&server, |_| true).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "some streams were not synced: dim_media, fact_events, dim_visitors"
        );
        assert_eq!(server.asked().last().unwrap(), "/stats/visitors?per_page=1");
    }

    #[tokio::test]
    async fn a_token_that_is_not_accepted_ends_it_at_once() {
        let server = Server::new(|_| (401, String::new()));
        let error = probed(&server, |_| true).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
}
