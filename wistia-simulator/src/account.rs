//! The account: what is true, before it takes the form in which the API sends it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, Utc};
use fastrand::Rng;

/// Days for which events are kept.
pub const KEPT_DAYS: u64 = 730;

/// What an account is made from.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// The same seed makes the same account.
    pub seed: u64,
    /// Medias.
    pub medias: usize,
    /// Events.
    pub events: usize,
    /// Days over which the events are spread.
    pub days: u64,
    /// The account's present day.
    pub today: NaiveDate,
}

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
    pub created: String,
    /// When it was changed.
    pub updated: String,
    /// Seconds, or pages.
    pub duration: Option<f64>,
    /// HTML, or nothing.
    pub description: Option<String>,
    /// From 0 to 1.
    pub progress: f64,
    /// `ready` or `processing`.
    pub status: &'static str,
    /// Whether there is a still.
    pub thumbnail: bool,
    /// Section of its project.
    pub section: Option<&'static str>,
    /// Index in [`PROJECTS`].
    pub project: Option<usize>,
    /// How many files it has.
    pub assets: usize,
    /// Names of tags.
    pub tags: Vec<&'static str>,
    /// Whether it was deleted between being listed and being asked for.
    pub vanished: bool,
}

/// A visitor.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Id.
    pub key: String,
    /// Address.
    pub ip: String,
    /// Index in [`TOWNS`], or unknown.
    pub town: Option<usize>,
    /// Name.
    pub name: Option<&'static str>,
    /// Address of email.
    pub email: Option<String>,
    /// Browser, version, platform, mobile.
    pub agent: Option<(&'static str, &'static str, &'static str, bool)>,
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it was received.
    pub received: DateTime<Utc>,
    /// Id.
    pub key: String,
    /// Index in [`Account::visitors`].
    pub visitor: usize,
    /// Index in [`Account::medias`].
    pub media: usize,
    /// From 0 to 1.
    pub percent_viewed: f64,
    /// Page.
    pub embed_url: Option<String>,
    /// Conversion.
    pub conversion_type: Option<&'static str>,
    /// Whether it has a still.
    pub thumbnail: bool,
}

/// A town: country, region, city, latitude, longitude, organisation.
pub type Town = (&'static str, &'static str, &'static str, f64, f64, &'static str);

/// Where visitors are.
pub const TOWNS: [Town; 8] = [
    ("US", "Florida", "Exampleville", 28.1, -82.5, "Example ISP"),
    ("US", "WA", "Springfield", 47.25, -122.5, "Example Cable"),
    ("DE", "Bayern", "München", 48.1, 11.6, "Beispiel GmbH"),
    ("JP", "07", "会津若松市", 37.5, 139.9, "例示株式会社"),
    ("BR", "São Paulo", "São José", -23.2, -45.9, "Exemplo S.A."),
    ("GB", "England", "Exampleton", 51.5, -0.125, "Example \"Quoted\" Ltd"),
    ("IN", "Kerala", "കൊച്ചി", 9.97, 76.28, "Example Telecom"),
    ("FR", "Occitanie", "L'Exemple", 43.6, 1.44, "Exemple\\SA"),
];

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

const TAGS: [&str; 5] = ["paid", "q3", "évergreen", "demo", "launch"];

const SECTIONS: [&str; 3] = ["Trailers", "Deep dives", "Événements"];

/// Names of the projects.
pub const PROJECTS: [&str; 4] = ["Marketing", "Support", "Événements 2026", "ブランド"];

/// The account.
#[derive(Debug)]
pub struct Account {
    /// What it was made from.
    pub recipe: Recipe,
    /// Its medias, by id.
    pub medias: Vec<Media>,
    /// Its visitors.
    pub visitors: Vec<Visitor>,
    /// Its events, oldest first.
    pub events: Vec<Event>,
    /// Plays that came later, by media and day.
    restated: BTreeMap<(usize, NaiveDate), u64>,
    random: Rng,
}

/// The figures of a media on a day.
#[derive(Debug, Clone, Copy)]
pub struct DayFigures {
    /// Loads.
    pub loads: u64,
    /// Plays.
    pub plays: u64,
    /// Hours watched.
    pub hours: f64,
}

/// A number that depends on nothing but what it is made from.
pub fn hash(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

impl Account {
    /// Makes an account.
    pub fn new(recipe: Recipe) -> Self {
        let mut account = Self {
            recipe,
            medias: Vec::new(),
            visitors: Vec::new(),
            events: Vec::new(),
            restated: BTreeMap::new(),
            random: Rng::with_seed(recipe.seed),
        };
        for _ in 0..recipe.medias {
            account.add_media();
        }
        for _ in 0..recipe.events {
            let age = account.random.u64(0..recipe.days.max(1));
            account.add_event(age);
        }
        account.sort();
        account
    }

    fn sort(&mut self) {
        self.events.sort_by(|a, b| (a.received, &a.key).cmp(&(b.received, &b.key)));
    }

    fn add_media(&mut self) {
        let number = self.medias.len();
        let random = &mut self.random;
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
        let mut tags: Vec<&str> = TAGS.into_iter().filter(|_| random.u8(0..4) == 0).collect();
        random.shuffle(&mut tags);
        self.medias.push(Media {
            id: 90_000_001 + i64::try_from(number).unwrap_or_default(),
            hashed_id: format!("m{number:04}{:05x}", random.u32(0..0xf_ffff)),
            name: format!("{} #{number}", TITLES[random.usize(0..TITLES.len())]),
            kind,
            archived: random.u8(0..8) == 0,
            created: format!("2024-03-{day:02}T09:00:00+00:00"),
            updated: format!("2026-06-{day:02}T21:15:42+00:00"),
            duration,
            description: (random.u8(0..3) == 0).then(|| {
                format!(
                    "<p>Line {number}&nbsp;&amp; <a href=\"https://example.com\">link</a></p>\n"
                )
            }),
            progress: if processing { 0.42 } else { 1.0 },
            status: if processing { "processing" } else { "ready" },
            thumbnail: random.u8(0..6) != 0,
            section: (random.u8(0..2) == 0).then(|| SECTIONS[random.usize(0..SECTIONS.len())]),
            project: (random.u8(0..5) != 0).then(|| random.usize(0..PROJECTS.len())),
            assets: random.usize(0..4),
            tags,
            vanished: number % 40 == 7,
        });
    }

    fn add_visitor(&mut self, old: bool) -> usize {
        let number = self.visitors.len();
        let random = &mut self.random;
        let key = if old {
            format!("{:016X}{:016X}{:08X}", random.u64(..), random.u64(..), random.u32(..))
        } else {
            format!("1790011_{:08x}-1111-4222-8333-{:012x}", random.u32(..), random.u64(..) >> 16)
        };
        let ip = if random.bool() {
            format!("192.0.2.{}", random.u8(..))
        } else {
            format!("2001:db8::{:x}", random.u16(..))
        };
        self.visitors.push(Visitor {
            key,
            ip,
            town: (random.u8(0..6) != 0).then(|| random.usize(0..TOWNS.len())),
            name: (random.u8(0..5) == 0).then_some("Test Person"),
            email: (random.u8(0..4) == 0).then(|| format!("person{number}@example.com")),
            agent: (random.u8(0..10) != 0).then(|| match random.u8(0..3) {
                0 => ("Chrome", "141", "mac", false),
                1 => ("Unknown Browser", "0", "iOS (iPhone)", true),
                _ => ("Firefox", "128.0", "windows", false),
            }),
        });
        number
    }

    /// An event so many days before today.
    fn add_event(&mut self, age: u64) {
        if self.medias.is_empty() {
            return;
        }
        let old = age > 200;
        let visitor = if self.visitors.is_empty() || self.random.u8(0..3) == 0 {
            self.add_visitor(old)
        } else {
            self.random.usize(0..self.visitors.len())
        };
        let number = self.events.len();
        let day = self.recipe.today.checked_sub_days(Days::new(age)).unwrap_or(self.recipe.today);
        let random = &mut self.random;
        // Today's events are of its first seconds: they have happened already.
        let span = if age == 0 { 1000 } else { 86_400_000 };
        let received =
            day.and_time(NaiveTime::MIN).and_utc() + Duration::milliseconds(random.i64(0..span));
        let key = if old {
            format!("{}e0.{}", received.timestamp_millis(), 10_000_000 + number)
        } else {
            format!("1790011_{number:08x}-1111-4222-8333-{:012x}", random.u64(..) >> 16)
        };
        let percent = f64::from(random.u32(0..=1000)) / 1000.0;
        self.events.push(Event {
            received,
            key,
            visitor,
            media: random.usize(0..self.medias.len()),
            percent_viewed: if random.u8(0..5) == 0 { 1.0 } else { percent },
            embed_url: (random.u8(0..8) != 0).then(|| {
                format!(
                    "https://www.example.com/landing/{}?utm_source=x&mail=a%40example.com",
                    number % 9
                )
            }),
            conversion_type: (random.u8(0..20) == 0)
                .then(|| ["post-roll-email", "7", "cta"][random.usize(0..3)]),
            thumbnail: random.u8(0..3) == 0,
        });
    }

    /// The figures of a media on a day. They come from nothing but the account's seed, and from
    /// what was restated since.
    pub fn figures(&self, media: usize, day: NaiveDate) -> DayFigures {
        let number = hash((self.recipe.seed, media, day));
        let quiet = number % 10 < 3;
        let plays = if quiet { 0 } else { (number >> 8) % 40 }
            + self.restated.get(&(media, day)).copied().unwrap_or(0);
        let loads = if quiet { plays } else { plays + (number >> 16) % 100 };
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let hours = plays as f64 * self.hours_a_play(media);
        DayFigures { loads, plays, hours }
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn hours_a_play(&self, media: usize) -> f64 {
        (1 + hash((self.recipe.seed, media)) % 1000) as f64 / 8192.0
    }

    /// The figures of a media since it was made.
    pub fn lifetime(&self, media: usize) -> DayFigures {
        let mut sum = DayFigures { loads: 0, plays: 0, hours: 0.0 };
        for age in 0..KEPT_DAYS {
            if let Some(day) = self.recipe.today.checked_sub_days(Days::new(age)) {
                let figures = self.figures(media, day);
                sum.loads += figures.loads;
                sum.plays += figures.plays;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let plays = sum.plays as f64;
        DayFigures { hours: plays * self.hours_a_play(media), ..sum }
    }

    /// How often each second of a media was watched, and watched again. Some viewers leave in the
    /// first seconds, some at the moments that lose them, and some stay to the end.
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "seconds of a media"
    )]
    pub fn graph(&self, media: usize) -> Vec<(u64, u64)> {
        let cells = self.medias[media].duration.unwrap_or(0.0).min(1000.0) as u64;
        let plays = self.lifetime(media).plays;
        let leave = |cell: u64| match hash((media, cell, "leave")) {
            number if number % 50 == 0 => cells.midpoint(number % cells),
            number if cell < 10 => 8 + number % 8,
            number => 1 + number % 4,
        };
        let all = (0..cells).map(leave).sum::<u64>() + cells;
        let mut left = 0;
        (0..cells)
            .map(|cell| {
                let watching = plays * (all - left) / all;
                left += leave(cell);
                (watching, hash((media, cell)) % 50)
            })
            .collect()
    }

    /// Adds events of today, late events of the days before, and medias; lets views of recent days
    /// go on, and restates plays of recent days.
    pub fn grow(&mut self, growth: &Growth) {
        for _ in 0..growth.new_medias {
            self.add_media();
        }
        for _ in 0..growth.new_events {
            self.add_event(0);
        }
        for number in 0..growth.late_events {
            self.add_event(1 + number as u64 % 2);
        }
        self.sort();
        let recent = self.recipe.today.checked_sub_days(Days::new(2)).unwrap_or_default();
        let mut rising = growth.risen_events;
        for event in self.events.iter_mut().rev() {
            if rising > 0 && event.received.date_naive() >= recent && event.percent_viewed < 0.9 {
                event.percent_viewed += 0.0625;
                rising -= 1;
            }
        }
        for age in 0..growth.restated_days {
            let Some(day) = self.recipe.today.checked_sub_days(Days::new(age)) else { continue };
            for media in 0..self.medias.len() {
                *self.restated.entry((media, day)).or_default() += 1 + (media as u64 + age) % 3;
            }
        }
    }

    /// The events of the days from `start` to `end` of a zone, oldest first.
    pub fn events_between(&self, start: NaiveDate, end: NaiveDate, zone: i64) -> &[Event] {
        let kept = self.recipe.today.checked_sub_days(Days::new(KEPT_DAYS)).unwrap_or(start);
        let day = |event: &Event| (event.received + Duration::hours(zone)).date_naive();
        let from = self
            .events
            .partition_point(|event| day(event) < start || event.received.date_naive() < kept);
        let to = self.events.partition_point(|event| day(event) <= end);
        self.events.get(from..to.max(from)).unwrap_or_default()
    }
}

/// How an account grows.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Growth {
    /// Events of today.
    pub new_events: usize,
    /// Events of the two days before today.
    pub late_events: usize,
    /// Events of the last two days whose views went on.
    pub risen_events: usize,
    /// Medias.
    pub new_medias: usize,
    /// Days, from today back, whose figures change.
    pub restated_days: u64,
}

/// A rate that is neither of the plain quotients, as in the API.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub fn rate(loads: u64, plays: u64) -> f64 {
    if loads == 0 { 0.0 } else { plays as f64 / (loads as f64 + 1.0) }
}
