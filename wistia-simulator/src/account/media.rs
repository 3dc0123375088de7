//! Medias and their files.

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use fastrand::Rng;

use super::hash::hash;

/// A media.
#[derive(Debug, Clone)]
pub struct Media {
    /// Number.
    pub id: i64,
    /// Id in URLs.
    pub hashed_id: String,
    /// Title.
    pub name: String,
    /// `Video`, `Audio`, `Image` or `PdfDocument`.
    pub kind: &'static str,
    /// Whether it is archived.
    pub archived: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was changed.
    pub updated: DateTime<Utc>,
    /// Seconds, or pages.
    pub duration: Option<f64>,
    /// HTML, or nothing.
    pub description: Option<String>,
    /// From 0 to 1.
    pub progress: f64,
    /// `ready` or `processing`.
    pub status: &'static str,
    /// Width and height of its still, where there is one.
    pub thumbnail: Option<(u32, u32)>,
    /// Section of its project.
    pub section: Option<&'static str>,
    /// Index of its project in the account.
    pub project: Option<usize>,
    /// Index of its subfolder in its project.
    pub subfolder: Option<usize>,
    /// Its files.
    pub assets: Vec<Asset>,
    /// Names of tags.
    pub tags: Vec<&'static str>,
    /// Whether it was deleted between being listed and being asked for.
    pub vanished: bool,
    /// When it was deleted.
    pub deleted: Option<DateTime<Utc>>,
}

/// A file.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Kind, such as `OriginalFile`.
    pub kind: &'static str,
    /// MIME type.
    pub content_type: &'static str,
    /// Bytes.
    pub size: u64,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels. Now and then it alone is unknown.
    pub height: Option<u32>,
}

const TITLES: [&str; 10] = [
    "Launch teaser (YouTube)",
    "Facebook cut, 30 s",
    "Onboarding – part 1",
    "価格のご案内",
    "Fußball & Öl: \"Das Interview\"",
    "Price sheet",
    "🎬 Behind the scenes",
    "Q3 webinar\trecording",
    "مرحبا بالعالم",
    "A/B test\nvariant",
];

const SECTIONS: [&str; 3] = ["Trailers", "Deep dives", "Événements"];

const SIZES: [(u32, u32); 4] = [(1920, 1080), (1280, 720), (640, 360), (1080, 1920)];

/// When a media is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Made {
    /// Some time before today: most of them long ago, some lately.
    Before(NaiveDate),
    /// Today.
    On(NaiveDate),
}

impl Media {
    /// The media of a number, in one of so many projects.
    pub(super) fn new(
        random: &mut Rng,
        number: usize,
        made: Made,
        tags: &[&'static str],
        projects: usize,
    ) -> Self {
        let kind = ["Video", "Video", "Video", "Video", "Audio", "Image", "PdfDocument"]
            [random.usize(0..7)];
        let whole = random.f64() * 400.0;
        let duration = match kind {
            "Video" | "Audio" if random.u8(0..30) == 0 => Some(2400.5),
            "Video" | "Audio" => Some((whole * 10.0).round() / 10.0),
            "PdfDocument" => Some(12.0),
            _ => None,
        };
        let day = random.u32(1..28);
        let processing = random.u8(0..20) == 0;
        let mut tags: Vec<&str> = tags.iter().copied().filter(|_| random.u8(0..4) == 0).collect();
        random.shuffle(&mut tags);
        let hashed_id = format!("m{number:04}{:05x}", random.u32(0..0xf_ffff));
        let name = format!("{} #{number}", TITLES[random.usize(0..TITLES.len())]);
        let archived = random.u8(0..8) == 0;
        let description = (random.u8(0..3) == 0).then(|| {
            format!("<p>Line {number}&nbsp;&amp; <a href=\"https://example.com\">link</a></p>\n")
        });
        let still = random.u8(0..6) != 0;
        let section = (random.u8(0..2) == 0).then(|| SECTIONS[random.usize(0..SECTIONS.len())]);
        let project = (random.u8(0..5) != 0).then(|| random.usize(0..projects));
        let files = random.u64(0..4);
        let (created, updated) = times(number, day, made);
        Self {
            id: 90_000_001 + i64::try_from(number).unwrap_or_default(),
            name,
            kind,
            archived,
            created,
            updated,
            duration,
            description,
            progress: if processing { 0.42 } else { 1.0 },
            status: if processing { "processing" } else { "ready" },
            thumbnail: still.then_some(if number.is_multiple_of(3) {
                (640, 360)
            } else {
                (200, 120)
            }),
            section,
            project,
            subfolder: project.filter(|_| number % 3 == 1).map(|_| number % 2),
            assets: (0..files).map(|file| Asset::new(&hashed_id, kind, file)).collect(),
            tags,
            vanished: number % 40 == 7,
            deleted: None,
            hashed_id,
        }
    }
}

/// When a media was made and changed.
fn times(number: usize, day: u32, made: Made) -> (DateTime<Utc>, DateTime<Utc>) {
    let at = |day: NaiveDate, seconds: i64| {
        day.and_time(NaiveTime::MIN).and_utc() + Duration::seconds(seconds)
    };
    let days = i64::try_from(number).unwrap_or_default();
    match made {
        // The account's present is its first seconds: what happens today has happened by then.
        Made::On(today) => (at(today, 0), at(today, 1)),
        Made::Before(today) if number % 12 == 5 => {
            let lately = today - Duration::days(10 + days * 7 % 60);
            (at(lately, 32_400), at(lately, 40_000 + days))
        }
        Made::Before(_) => {
            let of = |year, month| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
            (at(of(2024, 3), 32_400), at(of(2026, 6), 76_542))
        }
    }
}

impl Asset {
    fn new(hashed_id: &str, media: &str, file: u64) -> Self {
        let number = hash((hashed_id, file, "asset"));
        let (kind, content_type) = match (file, media) {
            (0, "Audio") => ("OriginalFile", "audio/wav"),
            (0, "Image") => ("OriginalFile", "image/png"),
            (0, "PdfDocument") => ("OriginalFile", "application/pdf"),
            (0, _) => ("OriginalFile", "video/mp4"),
            (1, "Video") => ("IphoneVideoFile", "video/mp4"),
            _ => ("Mp3AudioFile", "audio/mpeg"),
        };
        let is_seen = content_type.starts_with("video/") || content_type.starts_with("image/");
        let (width, height) = SIZES[usize::from(number.to_le_bytes()[0]) % SIZES.len()];
        Self {
            kind,
            content_type,
            size: 10_000 + number % 90_000_000,
            width: is_seen.then_some(width),
            height: (is_seen && number % 30 != 3).then_some(height),
        }
    }

    /// A still of a media, as an event has it.
    pub(super) fn still(number: usize) -> Self {
        let (width, height) = SIZES[number % SIZES.len()];
        Self {
            kind: "StillImageFile",
            content_type: "image/jpeg",
            size: 30_000 + number as u64,
            width: Some(width),
            height: Some(height),
        }
    }
}
