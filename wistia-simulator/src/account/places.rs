//! Where medias are: projects and their subfolders, channels and their episodes. And tags and
//! captions.

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};

use super::hash::hash;

/// A project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Number.
    pub id: i64,
    /// Id in URLs.
    pub hashed_id: String,
    /// Name.
    pub name: &'static str,
    /// Description, where there is one.
    pub description: Option<&'static str>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was changed.
    pub updated: DateTime<Utc>,
    /// Its id for everybody, where everybody may see it.
    pub public_id: Option<String>,
    /// Its subfolders.
    pub subfolders: Vec<Subfolder>,
}

/// A subfolder.
#[derive(Debug, Clone)]
pub struct Subfolder {
    /// Id in URLs.
    pub hashed_id: String,
    /// Name.
    pub name: Option<&'static str>,
    /// Description, where there is one.
    pub description: Option<&'static str>,
    /// Place in its project.
    pub position: u64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was changed.
    pub updated: DateTime<Utc>,
}

/// A channel.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Number.
    pub id: i64,
    /// Id in URLs.
    pub hashed_id: String,
    /// Name. Two channels may have one name.
    pub name: &'static str,
    /// Description, where there is one.
    pub description: Option<&'static str>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was changed.
    pub updated: DateTime<Utc>,
}

/// A media in a channel.
#[derive(Debug, Clone)]
pub struct Episode {
    /// Id in URLs.
    pub hashed_id: String,
    /// Index of its channel in the account.
    pub channel: usize,
    /// Index of its media in the account.
    pub media: usize,
    /// Title, where it is not that of the media.
    pub title: Option<String>,
    /// Whether it is to be seen.
    pub published: bool,
    /// When it will be.
    pub publish_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A tag.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Name.
    pub name: &'static str,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was changed.
    pub updated: DateTime<Utc>,
}

/// Captions of a media.
#[derive(Debug, Clone)]
pub struct Caption {
    /// Id in URLs.
    pub hashed_id: String,
    /// Index of its media in the account.
    pub media: usize,
    /// Code of three letters.
    pub language: &'static str,
    /// Name in English.
    pub english: &'static str,
    /// Name in the language.
    pub native: &'static str,
    /// What is said; nothing while it is a draft.
    pub text: Option<&'static str>,
}

fn at(year: i32, month: u32, day: u32, seconds: i64) -> DateTime<Utc> {
    let day = NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    day.and_time(NaiveTime::MIN).and_utc() + Duration::seconds(seconds)
}

/// The projects of every account.
pub(super) fn projects() -> Vec<Project> {
    let names = ["Marketing", "Support", "Événements 2026", "ブランド"];
    let describe = |number: i64| (number == 2).then_some("Messen & Kongresse");
    (0..)
        .zip(names)
        .map(|(number, name)| Project {
            id: 7001 + number,
            hashed_id: format!("projexmpl{number}"),
            name,
            description: describe(number),
            created: at(2023, 1, 1, number),
            updated: at(2026, 6, 30, 76_542 + number),
            public_id: (number == 1).then(|| format!("pubexmpl{number}")),
            subfolders: [Some("Season one"), None]
                .into_iter()
                .zip(0..)
                .map(|(name, position)| Subfolder {
                    hashed_id: format!("subexmpl{number}{position}"),
                    name,
                    description: name.map(|_| "All episodes"),
                    position,
                    created: at(2023, 2, 1, number),
                    updated: at(2024, 2, 1, number),
                })
                .collect(),
        })
        .collect()
}

/// The channels of every account: two of them have one name, one is empty.
pub(super) fn channels() -> Vec<Channel> {
    let names = ["Academy", "Events", "Academy", "Coming soon"];
    (0..)
        .zip(names)
        .map(|(number, name)| Channel {
            id: 501 + number,
            hashed_id: format!("chanexmpl{}", number + 1),
            name,
            description: (number == 1).then_some("Talks & \"demos\""),
            created: at(2025, 2, 3, 14_706 + number),
            updated: at(2026, 2, 3, 14_706 + number),
        })
        .collect()
}

/// The episodes that a media is, most of them one or none. Some are not to be seen, one will be.
pub(super) fn episodes(media: usize, hashed_id: &str, today: NaiveDate) -> Vec<Episode> {
    let episode = |number: usize, channel, published| Episode {
        hashed_id: format!("ep{number}{hashed_id}"),
        channel,
        media,
        title: hash((hashed_id, number)).is_multiple_of(4).then(|| format!("Episode {media}")),
        published,
        publish_at: None,
        created: at(2025, 2, 3, 14_706)
            + Duration::days(i64::try_from(channel + media % 300).unwrap_or(0)),
    };
    let mut episodes = Vec::new();
    if media.is_multiple_of(5) {
        // Now and then a media is twice in one channel, and one of the two is not to be seen.
        match media % 15 {
            0 => episodes.extend([episode(0, 0, false), episode(1, 0, true)]),
            10 if media % 30 == 10 => {
                episodes.extend([episode(0, 0, true), episode(1, 0, false)]);
            }
            _ => episodes.push(episode(0, 0, true)),
        }
    }
    if media % 4 == 1 {
        episodes.push(episode(2, 1, media % 8 == 1));
    }
    if media % 5 == 2 || media.is_multiple_of(10) {
        episodes.push(episode(3, 2, media % 3 != 2));
    }
    if media == 5 {
        let publish_at = today.and_time(NaiveTime::MIN).and_utc() + Duration::days(7);
        for episode in episodes.iter_mut().filter(|episode| episode.channel == 1) {
            (episode.published, episode.publish_at) = (false, Some(publish_at));
        }
    }
    episodes
}

/// The tags of every account; no media has the last one.
pub(super) fn tags() -> Vec<Tag> {
    let names = ["paid", "q3", "évergreen", "demo", "launch", "unused"];
    (0..)
        .zip(names)
        .map(|(number, name)| Tag {
            name,
            created: at(2025, 8, 13, 67_659 + number),
            updated: at(2025, 8, 19, 78_420 + number),
        })
        .collect()
}

/// The captions of a media.
pub(super) fn captions(media: usize, hashed_id: &str) -> Vec<Caption> {
    let caption = |language, english, native, text| Caption {
        hashed_id: format!("cap{language}{hashed_id}"),
        media,
        language,
        english,
        native,
        text,
    };
    let said = Some("1\n00:00:00,000 --> 00:00:02,000\nHello\n\n");
    let all =
        [caption("eng", "English", "English", said), caption("spa", "Spanish", "Español", None)];
    all.into_iter().take(if media.is_multiple_of(4) { 1 + media % 8 / 4 } else { 0 }).collect()
}
