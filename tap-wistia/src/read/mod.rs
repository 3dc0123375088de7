//! How streams are read: the ways that there are, and which endpoint is read in which of them.
//!
//! A stream's file says what is particular about it, in one of the traits of this folder, and names
//! the way in its [`Endpoint`]. A new way is a variant of [`Read`], and the compiler names what has to
//! know of it.

mod account;
mod days;
mod events;
mod figures;
mod list;
mod media_figures;
mod media_pass;
mod medias;
mod slice;

use crate::client::Request;
use crate::config::Period;
use crate::settings::Settings;
use crate::stream::Stream;

pub(crate) use account::{Account, AccountDay};
pub(crate) use days::Days;
pub(crate) use events::{EventRow, Events};
pub(crate) use figures::MediaFigures;
pub(crate) use list::{List, ListRow};
pub(crate) use media_figures::PerMedia;
pub(crate) use medias::{MediaRow, Medias, OfMedia};

/// A place of the API that is read in one pass, and the streams that the pass feeds.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The streams, in the order of the catalog.
    pub(crate) streams: &'static [&'static Stream],
    /// How they are read.
    pub(crate) read: Read,
}

/// The ways of reading.
#[derive(Debug)]
pub(crate) enum Read {
    /// The list of medias, which others are read by. It is read where any of them is wanted.
    Medias(Medias),
    /// A list of its own, to its end in every sync.
    List(List),
    /// A list of its own, and what is made of each media while the medias are read.
    Derived(List, OfMedia),
    /// An answer for each media.
    PerMedia(PerMedia),
    /// One answer with a row a day.
    Account(Account),
    /// A list by date, in slices, oldest first.
    Events(Events),
}

impl Read {
    /// Whether a sync goes on from the day where the last one ended.
    pub(crate) fn is_incremental(&self) -> bool {
        match self {
            Self::Medias(_) | Self::List(_) | Self::Derived(..) => false,
            Self::PerMedia(figures) => figures.is_by_day,
            Self::Account(_) | Self::Events(_) => true,
        }
    }

    /// Whether a read that was interrupted goes on where it was.
    pub(crate) fn is_resumable(&self) -> bool {
        match self {
            Self::Medias(_) | Self::List(_) | Self::Derived(..) => false,
            Self::PerMedia(_) | Self::Account(_) | Self::Events(_) => true,
        }
    }

    /// Whether the medias have to be read first.
    pub(crate) fn needs_medias(&self, settings: &Settings) -> bool {
        match self {
            Self::Medias(_) | Self::PerMedia(_) => true,
            Self::Derived(_, of_media) => {
                (of_media.is_active)(settings) || !settings.config.media_ids.is_empty()
            }
            // Only the list tells whether the medias that the settings name are there.
            Self::Events(_) => !settings.config.media_ids.is_empty(),
            Self::List(_) | Self::Account(_) => false,
        }
    }

    /// The first request of a sync from the beginning, for one row where it can be had; none where it
    /// needs a media and there is none.
    pub(crate) fn probe(&self, media_id: Option<&str>, settings: &Settings) -> Option<Request> {
        let Period { start: first, end: last, .. } = settings.period;
        let one_row = |request: Request| Some(request.with("per_page", 1));
        match self {
            Self::Medias(medias) => Some(medias::first((medias.request)(), settings)),
            Self::List(list) | Self::Derived(list, _) => one_row((list.request)()),
            Self::PerMedia(figures) => {
                media_id.map(|media_id| (figures.request)(media_id, Days { first, last }))
            }
            Self::Account(account) => Some((account.request)(Days { first, last })),
            Self::Events(events) => {
                one_row((events.request)().with("start_date", first).with("end_date", last))
            }
        }
    }
}
