//! `dim_channels` and `bridge_media_channel`: where medias are shown, from `/channels`,
//! `/channel_episodes` and the team's own rules.
//!
//! Episodes know the ids of channels alone. The list of channels is read once a sync and leaves their
//! names; it is an endpoint of its own, so that channels are complete where episodes cannot be read.

use std::collections::HashMap;
use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean::{self, Spelling};
use crate::client::{Request, Resource};
use crate::context::Context;
use crate::error::Result;
use crate::pages::{Ends, Listed, LookAhead, Pages};
use crate::read::{Endpoint, List, OfMedia, Read};
use crate::stream::{Stream, schema};

/// Wistia's own channels.
pub(super) static CHANNELS: Endpoint = Endpoint {
    streams: &[&DIM_CHANNELS],
    read: Read::List(List { request: channels, read: |context| Box::pin(list_channels(context)) }),
};

/// What they show, and what the team's rules say of the medias.
pub(super) static EPISODES: Endpoint = Endpoint {
    streams: &[&BRIDGE_MEDIA_CHANNEL],
    read: Read::Derived(
        List { request: episodes, read: |context| Box::pin(list_episodes(context)) },
        BY_RULE,
    ),
};

static DIM_CHANNELS: Stream = Stream {
    name: "dim_channels",
    keys: &["id"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<Channel>,
};

static BRIDGE_MEDIA_CHANNEL: Stream = Stream {
    name: "bridge_media_channel",
    keys: &["media_id", "channel_id", "source"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<MediaChannel<'_>>,
};

/// A Wistia channel.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Channel {
    /// Number of the channel.
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
}

/// A media and a channel that it is in.
#[derive(Debug, Serialize, JsonSchema)]
struct MediaChannel<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// Name of the channel. Several channels of Wistia's may have one name.
    channel: &'a str,
    /// `wistia` where Wistia says so, `rule` where a rule of the settings does.
    source: &'a str,
    /// Hashed id of the channel (`dim_channels.hashed_id`); of a rule's channel, its name.
    channel_id: &'a str,
    /// Whether an episode shows the media there, or only drafts of episodes do; null for a rule.
    published: Option<bool>,
}

/// A media in a channel. The API documents both ids as always there.
#[derive(Debug, Deserialize)]
struct Episode {
    /// Hashed id of the channel.
    #[serde(alias = "channelHashedId", deserialize_with = "clean::key")]
    channel_hashed_id: String,
    /// Hashed id of the media.
    #[serde(alias = "mediaHashedId", deserialize_with = "clean::key")]
    media_hashed_id: String,
    /// Whether it can be seen, or is a draft.
    #[serde(default, deserialize_with = "clean::boolean")]
    published: Option<bool>,
}

impl Resource for Channel {
    const NAME: &'static str = "a channel";
    const TABLE: &'static str = DIM_CHANNELS.name;
    const UNUSED: &'static [&'static str] = &[];
    const SPELLINGS: &'static [Spelling] = &[
        Spelling { object: "", documented: "hashedId", other: "hashed_id" },
        Spelling { object: "", documented: "mediaCount", other: "media_count" },
        Spelling { object: "", documented: "created", other: "created_at" },
        Spelling { object: "", documented: "updated", other: "updated_at" },
    ];
}

impl Resource for Episode {
    const NAME: &'static str = "an episode";
    const TABLE: &'static str = BRIDGE_MEDIA_CHANNEL.name;
    const UNUSED: &'static [&'static str] =
        &["hashedId", "title", "description", "summary", "created", "updated", "publish_at"];
    const SPELLINGS: &'static [Spelling] = &[
        Spelling { object: "", documented: "channelHashedId", other: "channel_hashed_id" },
        Spelling { object: "", documented: "mediaHashedId", other: "media_hashed_id" },
    ];
}

impl Listed for Channel {
    fn identity(&self) -> impl Hash {
        self.id
    }
}

impl Listed for Episode {
    fn identity(&self) -> impl Hash {
        (&self.channel_hashed_id, &self.media_hashed_id)
    }
}

fn channels() -> Request {
    Request::new("/channels")
}

/// Account-wide, so that no channel is asked for by itself.
fn episodes() -> Request {
    Request::new("/channel_episodes")
}

async fn list_channels(context: &mut Context<'_>) -> Result<()> {
    let outcome = read_channels(context).await;
    // Of a list that failed, too: whoever reads the messages may rely on those before it.
    context.write_state()?;
    outcome
}

/// Reads the channels, and leaves their names by hashed id. One without a name goes by its id.
async fn read_channels(context: &mut Context<'_>) -> Result<()> {
    let mut names = HashMap::new();
    let ends = Ends::default();
    let mut pages = Pages::<Channel>::new(context.client, channels(), LookAhead::Little, &ends);
    while let Some(page) = pages.next().await? {
        context.output.extracted_now();
        for channel in page {
            context.output.record(&DIM_CHANNELS, &channel)?;
            names.extend(channel.hashed_id.zip(channel.name));
        }
        context.show(None);
    }
    context.names.insert(DIM_CHANNELS.name, names);
    Ok(())
}

/// Writes the medias that Wistia's own channels show. A media that several episodes of a channel show
/// is there once, and published where one of them is: so nothing is written before the list ends.
async fn list_episodes(context: &mut Context<'_>) -> Result<()> {
    if !context.names.contains_key(DIM_CHANNELS.name) {
        read_channels(context).await?;
    }
    let mut shown = Vec::new();
    let mut positions = HashMap::new();
    let ends = Ends::default();
    let mut pages = Pages::<Episode>::new(context.client, episodes(), LookAhead::Little, &ends);
    while let Some(page) = pages.next().await? {
        context.output.extracted_now();
        for Episode { channel_hashed_id, media_hashed_id, published } in page {
            if !context.settings.wants_media(&media_hashed_id) {
                continue;
            }
            let key = (media_hashed_id, channel_hashed_id);
            let position = *positions.entry(key.clone()).or_insert(shown.len());
            match shown.get_mut(position) {
                None => shown.push((key, published)),
                Some((_, known)) => *known = published.max(*known),
            }
        }
        context.show(None);
    }
    let names = context.names.get(DIM_CHANNELS.name);
    for ((media_id, channel_id), published) in &shown {
        let name = names.and_then(|names| names.get(channel_id));
        let record = MediaChannel {
            media_id,
            channel: name.unwrap_or(channel_id),
            source: "wistia",
            channel_id,
            published: *published,
        };
        context.output.record(&BRIDGE_MEDIA_CHANNEL, &record)?;
    }
    context.write_state()
}

/// The channel that the team's rules find for a media.
const BY_RULE: OfMedia = OfMedia {
    is_active: |settings| !settings.rules.is_empty(),
    emit: |media, settings, output| match settings.rules.channel(media) {
        Some(channel) => {
            let record = MediaChannel {
                media_id: media.hashed_id,
                channel,
                source: "rule",
                channel_id: channel,
                published: None,
            };
            output.record(&BRIDGE_MEDIA_CHANNEL, &record)
        }
        None => Ok(()),
    },
};
