//! `dim_channels` and `bridge_media_channel`: where medias are shown, from `/channels`,
//! `/channel_episodes` and the team's own rules.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::media::Media;
use super::{Listing, Source, Stream, schema};
use crate::clean;
use crate::client::{Request, Resource};
use crate::config::ChannelRule;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::privacy::Privacy;

/// Wistia's own channels.
pub static DIM_CHANNELS: Stream = Stream {
    name: "dim_channels",
    keys: &["id"],
    replication_key: None,
    selected_by_default: false,
    source: Source::List("/channels"),
    schema: schema::<Channel>,
};

/// The channels of each media.
pub static BRIDGE_MEDIA_CHANNEL: Stream = Stream {
    name: "bridge_media_channel",
    keys: &["media_id", "channel", "source"],
    replication_key: None,
    selected_by_default: false,
    source: Source::Rules("/channel_episodes"),
    schema: schema::<MediaChannel<'_>>,
};

/// A Wistia channel.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct Channel {
    /// Number of the channel.
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
}

/// A media and a channel that shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MediaChannel<'a> {
    /// Hashed id of the media.
    pub media_id: &'a str,
    /// Name of the channel.
    pub channel: &'a str,
    /// `wistia` where Wistia says so, `rule` where a rule of the settings does.
    pub source: &'a str,
}

/// A media in a channel.
#[derive(Debug, Deserialize)]
pub struct Episode {
    /// Hashed id of the channel.
    #[serde(default, alias = "channelHashedId", deserialize_with = "clean::text")]
    pub channel_hashed_id: Option<String>,
    /// Hashed id of the media.
    #[serde(default, alias = "mediaHashedId", deserialize_with = "clean::text")]
    pub media_hashed_id: Option<String>,
}

impl Resource for Channel {
    const NAME: &'static str = "a channel";
    const UNUSED: &'static [&'static str] = &[];
}

impl Resource for Episode {
    const NAME: &'static str = "an episode";
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
}

/// Reads channels.
#[derive(Debug)]
pub struct Channels;

impl Listing for Channels {
    type Row = Channel;
    const STREAM: &'static Stream = &DIM_CHANNELS;

    fn request(&self) -> Request {
        Request::new("/channels")
    }

    fn emit(&self, row: Channel, _: &Privacy, output: &mut Output) -> Result<()> {
        output.record(&DIM_CHANNELS, &row)
    }
}

/// The team's rules, ready to be used.
#[derive(Debug, Default)]
pub struct Rules(Vec<(String, Matcher)>);

#[derive(Debug, Default)]
struct Matcher {
    name: Option<Regex>,
    section: Option<Regex>,
    project: Option<Regex>,
    tag: Option<Regex>,
}

impl Rules {
    /// Compiles the rules of the settings.
    pub fn new(rules: &[ChannelRule]) -> Result<Self> {
        let compile = |pattern: &Option<String>| {
            let Some(pattern) = pattern else { return Ok(None) };
            Regex::new(pattern).map(Some).map_err(|error| {
                // The lines before the last one draw the pattern with a mark under it.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Error::Setting {
                    key: "channel_rules",
                    reason: format!("`{pattern}` is no pattern: {reason}"),
                }
            })
        };
        let mut compiled = Vec::new();
        for rule in rules {
            let matcher = Matcher {
                name: compile(&rule.name)?,
                section: compile(&rule.section)?,
                project: compile(&rule.project)?,
                tag: compile(&rule.tag)?,
            };
            if matcher.is_empty() {
                return Err(Error::Setting {
                    key: "channel_rules",
                    reason: format!(
                        "the rule for `{}` has no pattern; give name, section, project or tag",
                        rule.channel
                    ),
                });
            }
            compiled.push((rule.channel.clone(), matcher));
        }
        Ok(Self(compiled))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The channel of a media: that of the first rule that fits.
    pub fn channel(&self, media: &Media) -> Option<&str> {
        self.0.iter().find(|(_, matcher)| matcher.fits(media)).map(|(channel, _)| channel.as_str())
    }
}

impl Matcher {
    fn is_empty(&self) -> bool {
        [&self.name, &self.section, &self.project, &self.tag]
            .iter()
            .all(|pattern| pattern.is_none())
    }

    /// Whether every pattern that is given fits.
    fn fits(&self, media: &Media) -> bool {
        let fits = |pattern: &Option<Regex>, text: Option<&String>| match pattern {
            None => true,
            Some(pattern) => text.is_some_and(|text| pattern.is_match(text)),
        };
        let project = media.project.as_ref().and_then(|project| project.name.as_ref());
        let tagged = match &self.tag {
            None => true,
            Some(pattern) => media.tags.iter().flatten().any(|tag| pattern.is_match(tag)),
        };
        tagged
            && fits(&self.name, media.name.as_ref())
            && fits(&self.section, media.section.as_ref())
            && fits(&self.project, project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Result<Rules> {
        Rules::new(&serde_json::from_str::<Vec<ChannelRule>>(json).unwrap())
    }

    #[test]
    fn the_first_rule_that_fits_names_the_channel() {
        let rules = rules(
            r#"[{"channel":"YouTube","name":"(?i)youtube"},{"channel":"Ads","tag":"^paid$","project":"Mark"},
                {"channel":"Rest","name":"."}]"#,
        )
        .unwrap();
        let media = |json: &str| serde_json::from_str::<Media>(json).unwrap();
        let ads = media(r#"{"id":1,"name":"x","tags":["paid"],"project":{"name":"Marketing"}}"#);
        assert_eq!(rules.channel(&ads), Some("Ads"));
        assert_eq!(rules.channel(&media(r#"{"id":1,"name":"a YOUTUBE film"}"#)), Some("YouTube"));
        assert_eq!(rules.channel(&media(r#"{"id":1,"name":"x"}"#)), Some("Rest"));
        assert_eq!(rules.channel(&media(r#"{"id":1}"#)), None);
    }

    #[test]
    fn a_rule_without_or_with_a_broken_pattern_is_an_error() {
        for json in [r#"[{"channel":"a"}]"#, r#"[{"channel":"a","name":"("}]"#] {
            assert!(rules(json).unwrap_err().to_string().contains("`channel_rules`"));
        }
    }
}
