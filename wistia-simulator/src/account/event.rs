//! Events, and those who watched.

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use fastrand::Rng;

use super::hash::hash;
use super::media::Asset;

/// A visitor.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Id.
    pub key: String,
    /// Address.
    pub ip: String,
    /// Where the visitor is, or nothing.
    pub town: Option<Town>,
    /// Name.
    pub name: Option<&'static str>,
    /// Address of email.
    pub email: Option<String>,
    /// Name of the organisation and title in it.
    pub organisation: Option<(&'static str, Option<&'static str>)>,
    /// Browser and system.
    pub agent: Option<Agent>,
    /// When the visitor was first seen.
    pub created: DateTime<Utc>,
    /// Medias loaded.
    pub loads: u64,
    /// Medias played.
    pub plays: u64,
    /// Key of the event that told the address.
    pub identified_by: Option<String>,
}

/// A browser and its system.
#[derive(Debug, Clone, Copy)]
pub struct Agent {
    /// Browser.
    pub browser: &'static str,
    /// Its version.
    pub version: &'static str,
    /// System.
    pub platform: &'static str,
    /// Whether it is a mobile device.
    pub mobile: bool,
}

/// Where a visitor is.
#[derive(Debug, Clone, Copy)]
pub struct Town {
    /// Code of the country.
    pub country: &'static str,
    /// Region.
    pub region: &'static str,
    /// City.
    pub city: &'static str,
    /// Latitude.
    pub lat: f64,
    /// Longitude.
    pub lon: f64,
    /// Organisation of the network.
    pub org: &'static str,
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it was received.
    pub received: DateTime<Utc>,
    /// Id.
    pub key: String,
    /// Index of its visitor in the account.
    pub visitor: usize,
    /// Index of its media in the account.
    pub media: usize,
    /// From 0 to 1.
    pub percent_viewed: f64,
    /// Page.
    pub embed_url: Option<String>,
    /// What the visitor did beside watching.
    pub conversion: Option<Conversion>,
    /// Its still.
    pub thumbnail: Option<Asset>,
}

/// What a visitor did beside watching.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// Kind.
    pub kind: &'static str,
    /// Address that was left.
    pub email: Option<String>,
    /// First name and last name that were left.
    pub name: Option<(&'static str, &'static str)>,
    /// Whether nobody had left this address before, where that is known.
    pub is_new_lead: Option<bool>,
}

const fn town(
    country: &'static str,
    region: &'static str,
    city: &'static str,
    (lat, lon): (f64, f64),
    org: &'static str,
) -> Town {
    Town { country, region, city, lat, lon, org }
}

const TOWNS: [Town; 8] = [
    town("US", "Florida", "Exampleville", (28.1, -82.5), "Example ISP"),
    town("US", "WA", "Springfield", (47.25, -122.5), "Example Cable"),
    town("DE", "Bayern", "München", (48.1, 11.6), "Beispiel GmbH"),
    town("JP", "07", "会津若松市", (37.5, 139.9), "例示株式会社"),
    town("BR", "São Paulo", "São José", (-23.2, -45.9), "Exemplo S.A."),
    town("GB", "England", "Exampleton", (51.5, -0.125), "Example \"Quoted\" Ltd"),
    town("IN", "Kerala", "കൊച്ചി", (9.97, 76.28), "Example Telecom"),
    town("FR", "Occitanie", "L'Exemple", (43.6, 1.44), "Exemple\\SA"),
];

const AGENTS: [Agent; 3] = [
    Agent { browser: "Chrome", version: "141", platform: "mac", mobile: false },
    Agent { browser: "Unknown Browser", version: "0", platform: "iOS (iPhone)", mobile: true },
    Agent { browser: "Firefox", version: "128.0", platform: "windows", mobile: false },
];

impl Visitor {
    /// The visitor of a number; `old` ones have keys as they were given long ago.
    pub(super) fn new(random: &mut Rng, number: usize, old: bool, today: NaiveDate) -> Self {
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
        let town = (random.u8(0..6) != 0).then(|| TOWNS[random.usize(0..TOWNS.len())]);
        let name = (random.u8(0..5) == 0).then_some("Test Person");
        let email = (random.u8(0..4) == 0).then(|| format!("person{number}@example.com"));
        let agent = (random.u8(0..10) != 0).then(|| AGENTS[usize::from(random.u8(0..3))]);
        let chance = hash((&key, "visitor"));
        let organisation = match chance % 9 {
            0 => Some(("Example Ltd", Some("Tester"))),
            1 => Some(("Beispiel GmbH", None)),
            _ => None,
        };
        let before = Duration::milliseconds((chance % 40_000_000_000).cast_signed());
        let first = today.and_time(NaiveTime::MIN).and_utc() - Duration::days(731) - before;
        let whole = first - Duration::milliseconds(first.timestamp_subsec_millis().into());
        let loads = 1 + (chance >> 8) % 23;
        Self {
            key,
            ip,
            town,
            name,
            email,
            organisation,
            agent,
            created: if old { whole } else { first },
            loads,
            plays: (chance >> 16) % loads,
            identified_by: None,
        }
    }
}

impl Event {
    /// The event of a number, on a day. Today's events are of its first second: they have happened
    /// already.
    pub(super) fn new(
        random: &mut Rng,
        number: usize,
        day: NaiveDate,
        (is_today, old): (bool, bool),
        (visitor, medias): (usize, usize),
    ) -> Self {
        let span = if is_today { 1000 } else { 86_400_000 };
        let received =
            day.and_time(NaiveTime::MIN).and_utc() + Duration::milliseconds(random.i64(0..span));
        let key = if old {
            format!("{}e0.{}", received.timestamp_millis(), 10_000_000 + number)
        } else {
            format!("1790011_{number:08x}-1111-4222-8333-{:012x}", random.u64(..) >> 16)
        };
        let percent = f64::from(random.u32(0..=1000)) / 1000.0;
        let media = random.usize(0..medias);
        let percent_viewed = if random.u8(0..5) == 0 { 1.0 } else { percent };
        let embed_url = (random.u8(0..8) != 0).then(|| {
            format!(
                "https://www.example.com/landing/{}?utm_source=x&mail=a%40example.com",
                number % 9
            )
        });
        let conversion = (random.u8(0..20) == 0).then(|| {
            Conversion::new(["post-roll-email", "7", "cta"][random.usize(0..3)], &key, number)
        });
        let thumbnail = (random.u8(0..3) == 0).then(|| Asset::still(number));
        Self { received, key, visitor, media, percent_viewed, embed_url, conversion, thumbnail }
    }
}

impl Conversion {
    fn new(kind: &'static str, key: &str, number: usize) -> Self {
        let chance = hash((key, "conversion"));
        Self {
            kind,
            email: (kind != "cta").then(|| format!("lead{number}@example.com")),
            name: (kind == "post-roll-email").then_some(("Test", "Person")),
            is_new_lead: match (kind, chance % 5) {
                ("cta", _) | (_, 0) => None,
                (_, other) => Some(other % 2 == 0),
            },
        }
    }
}
