//! The list of medias: by cursor, which stays right while medias are added and deleted, and by page
//! number where the answer has no cursor.

use std::collections::{HashMap, HashSet};

use futures::future::LocalBoxFuture;

use crate::client::{Client, PAGE, Page, Request};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::pages::{Ends, Listed, Listing, Next};
use crate::settings::Settings;
use crate::stream::{Labels, MediaId};

/// A row of the list.
pub(crate) trait MediaRow: Listed {
    /// The request for the list, without its page.
    fn request() -> Request;

    /// Its number, by which doubles are known.
    fn id(&self) -> i64;

    /// Where the next page begins, if this is the last row of its page.
    fn cursor(&self) -> Option<&str>;

    /// What other streams need of it; nothing where it has no hashed id.
    fn media(&self) -> Option<MediaId>;

    /// What rules look at.
    fn labels<'a>(&'a self, media: &'a MediaId) -> Labels<'a>;

    /// Writes the record.
    fn emit(&self, output: &mut Output) -> Result<()>;
}

/// What another stream makes of each media.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfMedia {
    /// Whether it makes anything, with these settings.
    pub(crate) is_active: fn(&Settings) -> bool,
    /// Writes what it makes of a media.
    pub(crate) emit: fn(&Labels<'_>, &Settings, &mut Output) -> Result<()>,
}

type Read =
    for<'a> fn(&'a mut Context<'_>, Vec<OfMedia>) -> LocalBoxFuture<'a, Result<Vec<MediaId>>>;

/// The list, whatever its rows are.
#[derive(Debug)]
pub(crate) struct Medias {
    /// The request for the list, without its page.
    pub(crate) request: fn() -> Request,
    /// Asks for a page of the list, and returns the hashed ids in it.
    pub(crate) page: for<'a> fn(&'a Client, &'a Request) -> LocalBoxFuture<'a, Result<Vec<String>>>,
    /// Reads it, and returns the medias that figures are asked for, by number.
    pub(crate) read: Read,
}

impl Medias {
    /// The list of such rows.
    pub(crate) const fn of<R: MediaRow>() -> Self {
        Self { request: R::request, page: page::<R>, read: boxed::<R> }
    }
}

fn page<'a, R: MediaRow>(
    client: &'a Client,
    request: &'a Request,
) -> LocalBoxFuture<'a, Result<Vec<String>>> {
    Box::pin(async move {
        let page: Page<R> = client.get(request).await?.value;
        let medias = page.rows.iter().filter_map(MediaRow::media);
        Ok(medias.map(|media| media.hashed_id).collect())
    })
}

/// The request for the medias that the settings ask for, without its page.
fn list(request: Request, settings: &Settings) -> Request {
    let request = request.with("per_page", PAGE);
    if settings.config.include_archived { request } else { request.with("archived", false) }
}

/// The request for their first page.
pub(super) fn first(request: Request, settings: &Settings) -> Request {
    list(request, settings).with("cursor[enabled]", 1)
}

fn boxed<'a, R: MediaRow>(
    context: &'a mut Context<'_>,
    derived: Vec<OfMedia>,
) -> LocalBoxFuture<'a, Result<Vec<MediaId>>> {
    Box::pin(async move { read::<R>(context, &derived).await })
}

async fn read<R: MediaRow>(context: &mut Context<'_>, derived: &[OfMedia]) -> Result<Vec<MediaId>> {
    let settings = context.settings;
    let list = list(R::request(), settings);
    let mut request = first(R::request(), settings);
    let mut medias = Vec::new();
    let mut known = HashSet::new();
    let mut numbers = HashMap::new();
    let ends = Ends::default();
    let mut listing = Listing::new(&ends);
    let mut number = 1;
    loop {
        let page: Page<R> = context.client.get(&request).await?.value;
        context.output.extracted_now();
        let next = listing.next(&page);
        let cursor = page.rows.last().and_then(MediaRow::cursor).map(str::to_owned);
        // Without a hashed id there are no figures of a media, and nobody would miss them.
        let nameless = |row: &R| Error::Malformed {
            path: request.to_string(),
            expected: R::NAME,
            reason: format!("the media {} has no hashed id", row.id()),
            cut: false,
        };
        let rows = page.rows.into_iter().map(|row| match row.media() {
            Some(media) => Ok((row, media)),
            None => Err(context.client.told(nameless(&row))),
        });
        for (row, media) in rows.collect::<Result<Vec<_>>>()? {
            if !settings.config.media_ids.is_empty() {
                numbers.insert(media.id, media.hashed_id.clone());
            }
            if known.insert(media.id) && settings.wants_media(&media.hashed_id) {
                row.emit(&mut context.output)?;
                for of_media in derived {
                    (of_media.emit)(&row.labels(&media), settings, &mut context.output)?;
                }
                medias.push(media);
            }
        }
        context.write_state()?;
        context.show(None);
        match next {
            Next::Page => {}
            Next::End => break,
            Next::Endless => {
                let path = R::request().to_string();
                return Err(context.client.told(Error::EndlessPages { path, host: String::new() }));
            }
        }
        number += 1;
        request = match &cursor {
            Some(cursor) => list.clone().with("cursor[enabled]", 1).with("cursor[after]", cursor),
            None => list.clone().with("page", number),
        };
    }
    medias.sort_by_key(|media| media.id);
    check_media_ids(settings, &medias, &numbers)?;
    Ok(medias)
}

/// Whether the account has all medias that the settings name. One that it has not is a mistake, or is
/// gone: to go on without it would call days of it read.
fn check_media_ids(
    settings: &Settings,
    medias: &[MediaId],
    numbers: &HashMap<i64, String>,
) -> Result<()> {
    let media_ids = &settings.config.media_ids;
    let Some(id) = media_ids.iter().find(|id| !medias.iter().any(|media| media.hashed_id == **id))
    else {
        return Ok(());
    };
    let numbered = id.parse().ok().and_then(|number| numbers.get(&number));
    let archived = if settings.config.include_archived { "" } else { ", or it is archived" };
    Err(Error::Setting {
        key: "media_ids",
        reason: match numbered {
            Some(hashed_id) => {
                format!("`{id}` is the number of a media; its hashed id is `{hashed_id}`")
            }
            None => format!("the account has no media `{id}`{archived}"),
        },
    })
}
