//! `dim_channels` and `bridge_media_channel`: where medias are shown, from `/channels`,
//! `/channel_episodes` and the team's own rules.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean::{self, Spelling};
use crate::client::{Request, Resource};
use crate::context::Context;
use crate::error::Result;
use crate::output::Output;
use crate::pages::{Ends, Listed, LookAhead, Pages};
use crate::privacy::Privacy;
use crate::read::{Endpoint, List, ListRow, OfMedia, Read};
use crate::stream::{Stream, schema};

/// Wistia's own channels.
pub(super) static CHANNELS: Endpoint =
    Endpoint { streams: &[&DIM_CHANNELS], read: Read::List(List::of::<Channel>()) };

/// What they show, and what the team's rules say of the medias.
pub(super) static EPISODES: Endpoint = Endpoint {
    streams: &[&BRIDGE_MEDIA_CHANNEL],
    read: Read::Derived(
        List { request: episodes, read: |context| Box::pin(read_episodes(context)) },
        BY_RULE,
    ),
};

static DIM_CHANNELS: Stream = Stream {
    name: "dim_channels",
    keys: &["id"],
    replication_key: None,
    selected_by_default: false,
    schema: schema::<Channel>,
};

static BRIDGE_MEDIA_CHANNEL: Stream = Stream {
    name: "bridge_media_channel",
    keys: &["media_id", "channel", "source"],
    replication_key: None,
    selected_by_default: false,
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

/// A media and a channel that shows it.
#[derive(Debug, Serialize, JsonSchema)]
struct MediaChannel<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// Name of the channel.
    channel: &'a str,
    /// `wistia` where Wistia says so, `rule` where a rule of the settings does.
    source: &'a str,
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
    const UNUSED: &'static [&'static str] = &[
        "hashedId",
        "title",
        "description",
        "summary",
        "published",
        "created",
        "updated",
        "publish_at",
    ];
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

impl ListRow for Channel {
    fn request() -> Request {
        Request::new("/channels")
    }

    fn emit(self, _: &Privacy, output: &mut Output) -> Result<()> {
        output.record(&DIM_CHANNELS, &self)
    }
}

/// Account-wide, so that no channel is asked for by itself.
fn episodes() -> Request {
    Request::new("/channel_episodes")
}

/// Reads the medias that Wistia's own channels show, by the names of the channels.
async fn read_episodes(context: &mut Context<'_>) -> Result<()> {
    let mut names = HashMap::new();
    let ends = Ends::default();
    let request = Channel::request();
    let mut channels = Pages::<Channel>::new(context.client, request, LookAhead::Little, &ends);
    while let Some(page) = channels.next().await? {
        // A channel without a name goes by its id below.
        names.extend(page.into_iter().filter_map(|row| Some((row.hashed_id?, row.name?))));
    }
    let mut written = HashSet::new();
    let ends = Ends::default();
    let mut episodes = Pages::<Episode>::new(context.client, episodes(), LookAhead::Little, &ends);
    while let Some(page) = episodes.next().await? {
        context.output.extracted_now();
        for Episode { channel_hashed_id, media_hashed_id: media_id } in page {
            let channel = names.get(&channel_hashed_id).cloned().unwrap_or(channel_hashed_id);
            if context.settings.wants_media(&media_id)
                && written.insert((media_id.clone(), channel.clone()))
            {
                let record =
                    MediaChannel { media_id: &media_id, channel: &channel, source: "wistia" };
                context.output.record(&BRIDGE_MEDIA_CHANNEL, &record)?;
            }
        }
    }
    context.write_state()
}

/// The channel that the team's rules find for a media.
const BY_RULE: OfMedia = OfMedia {
    is_active: |settings| !settings.rules.is_empty(),
    emit: |media, settings, output| match settings.rules.channel(media) {
        Some(channel) => {
            let record = MediaChannel { media_id: media.hashed_id, channel, source: "rule" };
            output.record(&BRIDGE_MEDIA_CHANNEL, &record)
        }
        None => Ok(()),
    },
};
