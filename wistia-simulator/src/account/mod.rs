//! The account: what is true, before it takes the form in which the API sends it.
//!
//! This is data alone. How a rate, an address or a time is written is for those who tell of it.

mod event;
mod figures;
mod hash;
mod media;
mod places;

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, Utc};
use fastrand::Rng;

pub use event::{Agent, Conversion, Event, Town, Visitor};
pub use figures::{Action, Figures};
pub use media::{Asset, Media};
pub use places::{Caption, Channel, Episode, Project, Subfolder, Tag};

use media::Made;

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

/// The account.
#[derive(Debug)]
pub struct Account {
    /// What it was made from.
    pub recipe: Recipe,
    /// Its medias, by id. Those that were deleted stay where they were.
    pub medias: Vec<Media>,
    /// Its projects, by id.
    pub projects: Vec<Project>,
    /// Its channels, by id.
    pub channels: Vec<Channel>,
    /// Its episodes, in the order of the medias.
    pub episodes: Vec<Episode>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its captions.
    pub captions: Vec<Caption>,
    /// Its visitors.
    pub visitors: Vec<Visitor>,
    /// Its events, oldest first.
    pub events: Vec<Event>,
    /// Plays that came later, by media and day.
    restated: BTreeMap<(usize, NaiveDate), u64>,
    random: Rng,
}

impl Account {
    /// Makes an account.
    pub fn new(recipe: Recipe) -> Self {
        let mut account = Self {
            recipe,
            medias: Vec::new(),
            projects: places::projects(),
            channels: places::channels(),
            episodes: Vec::new(),
            tags: places::tags(),
            captions: Vec::new(),
            visitors: Vec::new(),
            events: Vec::new(),
            restated: BTreeMap::new(),
            random: Rng::with_seed(recipe.seed),
        };
        for _ in 0..recipe.medias {
            account.add_media(Made::Before(recipe.today));
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

    fn add_media(&mut self, made: Made) {
        let number = self.medias.len();
        // No media has the last tag.
        let tags: Vec<&str> = self.tags.iter().rev().skip(1).rev().map(|tag| tag.name).collect();
        let media = Media::new(&mut self.random, number, made, &tags, self.projects.len());
        self.episodes.extend(places::episodes(number, &media.hashed_id, self.recipe.today));
        self.captions.extend(places::captions(number, &media.hashed_id));
        self.medias.push(media);
    }

    /// An event so many days before today.
    fn add_event(&mut self, age: u64) {
        if self.medias.is_empty() {
            return;
        }
        let old = age > 200;
        let visitor = if self.visitors.is_empty() || self.random.u8(0..3) == 0 {
            let number = self.visitors.len();
            let today = self.recipe.today;
            self.visitors.push(Visitor::new(&mut self.random, number, old, today));
            number
        } else {
            self.random.usize(0..self.visitors.len())
        };
        let day = self.recipe.today.checked_sub_days(Days::new(age)).unwrap_or(self.recipe.today);
        let number = self.events.len();
        let places = (visitor, self.medias.len());
        let mut event = Event::new(&mut self.random, number, day, (age == 0, old), places);
        // What was not there yet, or is no more, is not watched.
        let is_there = |index: usize| {
            let media = &self.medias[index];
            media.deleted.is_none() && media.created.date_naive() <= day
        };
        let others = (0..self.medias.len()).map(|step| (event.media + step) % self.medias.len());
        event.media = others.into_iter().find(|index| is_there(*index)).unwrap_or(event.media);
        let visitor = &mut self.visitors[visitor];
        if visitor.email.is_some()
            && visitor.loads.is_multiple_of(2)
            && visitor.identified_by.is_none()
        {
            visitor.identified_by = Some(event.key.clone());
        }
        self.events.push(event);
    }

    /// The figures of a media on a day. They come from nothing but the account's seed, and from
    /// what was restated since. Before it was made there are none.
    pub fn figures(&self, media: usize, day: NaiveDate) -> Figures {
        if day < self.medias[media].created.date_naive() {
            return Figures::default();
        }
        let later = self.restated.get(&(media, day)).copied().unwrap_or(0);
        figures::of_day(self.recipe.seed, media, day, later)
    }

    /// The figures of a media since it was made, as far back as two years.
    pub fn lifetime(&self, media: usize) -> Figures {
        let days = (0..730).filter_map(|age| self.recipe.today.checked_sub_days(Days::new(age)));
        let days = days.map(|day| self.figures(media, day));
        figures::sum(self.recipe.seed, media, days)
    }

    /// What visitors of a media could do beside watching, and how often they did.
    pub fn actions(&self, media: usize) -> Vec<Action> {
        figures::actions(self.recipe.seed, media, &self.lifetime(media))
    }

    /// How often each second of a media was watched, and watched again; no more than 1000 of them.
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "seconds of a media"
    )]
    pub fn graph(&self, media: usize) -> Vec<(u64, u64)> {
        let cells = self.medias[media].duration.unwrap_or(0.0).min(1000.0) as u64;
        figures::graph(media, cells, self.lifetime(media).plays)
    }

    /// Adds events of today, late events of the days before, and medias; lets views of recent days
    /// go on, and restates plays of recent days.
    pub fn grow(&mut self, growth: &Growth) {
        for _ in 0..growth.new_medias {
            self.add_media(Made::On(self.recipe.today));
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

    /// Deletes a media, today. Whether there was one with this hashed id.
    pub fn delete(&mut self, hashed_id: &str) -> bool {
        let order = self.medias.iter().filter(|media| media.deleted.is_some()).count();
        let Some(index) = self
            .medias
            .iter()
            .position(|media| media.hashed_id == hashed_id && media.deleted.is_none())
        else {
            return false;
        };
        let time: DateTime<Utc> = self.recipe.today.and_time(NaiveTime::MIN).and_utc();
        let seconds = i64::try_from(order).unwrap_or_default();
        self.medias[index].deleted = Some(time + Duration::seconds(2 + seconds));
        self.episodes.retain(|episode| episode.media != index);
        self.captions.retain(|caption| caption.media != index);
        true
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
    /// Medias that are made today.
    pub new_medias: usize,
    /// Days, from today back, whose figures change.
    pub restated_days: u64,
}
