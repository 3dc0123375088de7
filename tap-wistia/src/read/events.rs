//! Lists by date that are too long to be read at once: in slices, oldest first, in one pass for all
//! the streams that they feed.

use std::fmt;
use std::hash::BuildHasher;

use chrono::{DateTime, Days, NaiveDate, Utc};
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesOrdered;
use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};
use sha2::{Digest, Sha256};

use super::slice::{DEEP, Slice, Slicer};
use crate::client::{Client, Request};
use crate::config::Period;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::figures;
use crate::output::Output;
use crate::pages::{Ends, Listed, LookAhead, Pages};
use crate::privacy::Privacy;
use crate::settings::Settings;
use crate::state::Bookmark;
use crate::stream::Stream;

/// A row of the list. The list comes newest first, and grows at its head.
pub(crate) trait EventRow: Listed {
    /// The request for the list, without days and page. It takes a `media_id` too.
    fn request() -> Request;

    /// What no two records share. The list may have doubles.
    fn key(&self) -> &str;

    /// When what the row tells of happened, where that can be read.
    fn time(&self) -> Option<DateTime<Utc>>;

    /// The UTC day of it.
    fn day(&self) -> Option<NaiveDate> {
        self.time().map(|time| time.date_naive())
    }

    /// Hashed id of the media that it is about.
    fn media_id(&self) -> Option<&str>;

    /// Whether, of two rows of one key, this one stays.
    fn exceeds(&self, other: &Self) -> bool;

    /// Treats what is personal about it.
    fn protect(&mut self, privacy: &Privacy);

    /// Writes the records of a slice, of which no two rows share a key. The newest row comes first.
    fn emit(slice: &[Self], output: &mut Output) -> Result<()>;
}

/// Rows of all slices that are open at the same time.
const OPEN: usize = 12_000;

/// Days before today from which a sync has few enough to be read in one go, if their rows are few too.
const NIGHT: u64 = 7;

type Read =
    for<'a> fn(&'a mut Context<'_>, &'static [&'static Stream]) -> LocalBoxFuture<'a, Result<()>>;

/// A list by date, whatever its rows are.
#[derive(Debug)]
pub(crate) struct Events {
    /// The request for the list, without days and page.
    pub(crate) request: fn() -> Request,
    /// Reads it for these streams.
    pub(crate) read: Read,
}

impl Events {
    /// The list of such rows.
    pub(crate) const fn of<R: EventRow>() -> Self {
        Self { request: R::request, read: boxed::<R> }
    }
}

fn boxed<'a, R: EventRow>(
    context: &'a mut Context<'_>,
    streams: &'static [&'static Stream],
) -> LocalBoxFuture<'a, Result<()>> {
    Box::pin(read::<R>(context, streams))
}

async fn read<R: EventRow>(
    context: &mut Context<'_>,
    streams: &'static [&'static Stream],
) -> Result<()> {
    let settings = context.settings;
    let lookback_days = settings.config.lookback_days;
    let wanted = context.output.wanted(streams);
    let start = wanted
        .iter()
        .map(|stream| match newly_included(&context.state.bookmark(stream), settings) {
            Some(reason) => context.all_days(stream, reason),
            None => context.start_of(stream, lookback_days),
        })
        .min()
        .ok_or_else(|| Error::internal("a stream that is wanted"))?;
    let ends = Ends::default();
    let reader = Reader { client: context.client, settings, start, ends: &ends };
    let mut slices = Slices::<R>::new(&reader);
    let (mut read, all) = (0, Slice { start, end: settings.period.end }.days());
    while let Some(ReadSlice { slice, rows, .. }) = slices.next().await? {
        context.output.extracted_now();
        R::emit(&rows, &mut context.output)?;
        let bookmark = Bookmark {
            media_ids: digest_of(&settings.config.media_ids),
            personal_data: Some(settings.config.personal_data),
            ..context.read_until(slice.end)
        };
        context.bookmark(streams, &bookmark);
        if let Some(newest) = rows.first().and_then(R::time) {
            figures::lag(&context.output.wanted(streams), newest);
        }
        context.write_state()?;
        read = all.min(read + slice.days());
        context.show(usize::try_from(read).ok().zip(usize::try_from(all).ok()));
    }
    Ok(())
}

/// Why what the settings ask for is not in what was read up to a bookmark.
fn newly_included(bookmark: &Bookmark, settings: &Settings) -> Option<&'static str> {
    let personal_data = bookmark.personal_data?;
    if bookmark.media_ids.is_some() && bookmark.media_ids != digest_of(&settings.config.media_ids) {
        return Some("`media_ids` names other medias than in the last sync");
    }
    // Rows that may hold more about a person than is wanted now are written again. Those under another
    // key stay: the tap removes nothing.
    let is_other = settings.config.personal_data != personal_data;
    is_other.then_some(
        "`personal_data` is another than in the last sync; rows under visitors' former ids stay until \
         they are erased",
    )
}

/// A digest of the medias that the settings name; none where they name none.
fn digest_of(media_ids: &[String]) -> Option<String> {
    if media_ids.is_empty() {
        return None;
    }
    let mut sorted: Vec<&str> = media_ids.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let hash = Sha256::digest(sorted.join("\n").as_bytes());
    Some(hex::encode(&hash[..4]))
}

/// What is read in one pass.
#[derive(Debug)]
struct Reader<'a> {
    client: &'a Client,
    settings: &'a Settings,
    /// What is known of the ends of slices.
    ends: &'a Ends,
    /// First day of this pass. Rows outside the days of the settings are left out.
    start: NaiveDate,
}

/// A slice that was read.
#[derive(Debug)]
struct ReadSlice<R> {
    /// Its days.
    slice: Slice,
    /// Its rows, newest first, each key once.
    rows: Vec<R>,
    /// Where a slice that was too deep was cut: its older days are still to be read.
    older: Option<Slice>,
}

/// Slices that are read, in the order of their days.
struct Slices<'a, R> {
    reader: &'a Reader<'a>,
    slicer: Slicer,
    /// All days, where they are few and rows still arrive on the last ones: those of a night.
    night: Option<Slice>,
    /// The days on which rows still arrive. They come last.
    live: Option<Slice>,
    in_flight: FuturesOrdered<LocalBoxFuture<'a, Result<ReadSlice<R>>>>,
    /// Newer parts of slices that were cut, and where to go on after them.
    held: Vec<(ReadSlice<R>, Slicer)>,
}

impl<R> fmt::Debug for Slices<'_, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Slices").field("slicer", &self.slicer).finish_non_exhaustive()
    }
}

impl<'a, R: EventRow> Slices<'a, R> {
    fn new(reader: &'a Reader<'a>) -> Self {
        let Period { end, today, .. } = reader.settings.period;
        let yesterday = before(today, 1);
        let live = (end >= yesterday)
            .then(|| Slice { start: reader.start.max(yesterday), end: after(today, 1) });
        let closed = end.min(before(today, 2));
        let is_night =
            end >= yesterday && reader.start <= closed && reader.start >= before(today, NIGHT);
        Self {
            reader,
            night: is_night.then(|| Slice { start: reader.start, end: after(today, 1) }),
            slicer: Slicer::new(reader.start, closed),
            live,
            in_flight: FuturesOrdered::new(),
            held: Vec::new(),
        }
    }

    /// The next slice, oldest first.
    async fn next(&mut self) -> Result<Option<ReadSlice<R>>> {
        if let Some(night) = self.night.take()
            && let Some(read) = self.reader.page(night).await?
        {
            self.slicer = self.slicer.from(after(night.end, 1));
            self.live = None;
            return Ok(Some(read));
        }
        loop {
            let wanted = if self.slicer.is_calibrated() {
                self.slicer.open_at_once(OPEN).min(self.reader.settings.config.concurrency)
            } else {
                1
            };
            let look_ahead = if wanted == 1 { LookAhead::Much } else { LookAhead::Little };
            while self.in_flight.len() < wanted
                && let Some(slice) = self.slicer.take()
            {
                self.in_flight.push_back(Box::pin(self.reader.closed(slice, look_ahead)));
            }
            let Some(read) = self.in_flight.next().await else {
                // What was cut off comes after what is older.
                if let Some((newer, slicer)) = self.held.pop() {
                    self.slicer = slicer;
                    return Ok(Some(newer));
                }
                let Some(live) = self.live.take() else { return Ok(None) };
                return self.reader.live(live).await.map(Some);
            };
            let mut read = read?;
            let Some(older) = read.older.take() else {
                self.slicer.observe(read.slice, read.rows.len());
                return Ok(Some(read));
            };
            self.in_flight.clear();
            let newer = Slice { start: after(older.end, 1), end: read.slice.end };
            self.slicer.observe(newer, read.rows.len());
            let inner = self.slicer.over(older.start, older.end);
            let outer = std::mem::replace(&mut self.slicer, inner);
            self.held.push((read, outer.from(after(newer.end, 1))));
        }
    }
}

impl Reader<'_> {
    /// Reads days on which nothing new is expected.
    async fn closed<R: EventRow>(
        &self,
        slice: Slice,
        look_ahead: LookAhead,
    ) -> Result<ReadSlice<R>> {
        // The zone of the server's days is not documented: the outermost days are asked for with a
        // day beside them.
        let outermost = slice.end == self.settings.period.end;
        let asked = Slice {
            start: if slice.start == self.start { before(slice.start, 1) } else { slice.start },
            end: if outermost { after(slice.end, 1) } else { slice.end },
        };
        let mut gathered = Gathered::default();
        let mut pages =
            Pages::<R>::new(self.client, self.request::<R>(asked), look_ahead, self.ends);
        while let Some(page) = pages.next().await? {
            let oldest = page.last().and_then(EventRow::day);
            self.gather(&mut gathered, page);
            // Days are cut with one to spare, again for the zone.
            let older = oldest.map(|day| Slice { start: slice.start, end: after(day, 1) });
            if pages.read() >= DEEP
                && let Some(older) = older.filter(|older| older.end < slice.end)
            {
                return Ok(ReadSlice { slice, rows: gathered.rows, older: Some(older) });
            }
        }
        Ok(ReadSlice { slice, rows: gathered.rows, older: None })
    }

    /// Reads days, where all their rows are in one page that is not full. Two slices would cost a page
    /// each.
    async fn page<R: EventRow>(&self, slice: Slice) -> Result<Option<ReadSlice<R>>> {
        let request = self.request::<R>(Slice { start: before(slice.start, 1), ..slice });
        let mut gathered = Gathered::default();
        let mut pages = Pages::<R>::new(self.client, request, LookAhead::Never, self.ends);
        while let Some(page) = pages.next().await? {
            if pages.was_full() {
                return Ok(None);
            }
            self.gather(&mut gathered, page);
        }
        Ok(Some(ReadSlice { slice, rows: gathered.rows, older: None }))
    }

    /// Reads days on which rows still arrive.
    async fn live<R: EventRow>(&self, slice: Slice) -> Result<ReadSlice<R>> {
        let start = if slice.start == self.start { before(slice.start, 1) } else { slice.start };
        let mut gathered = Gathered::default();
        let request = self.request::<R>(Slice { start, ..slice });
        let mut pages = Pages::<R>::new(self.client, request, LookAhead::Never, self.ends);
        while let Some(page) = pages.next().await? {
            self.gather(&mut gathered, page);
        }
        Ok(ReadSlice { slice, rows: gathered.rows, older: None })
    }

    fn request<R: EventRow>(&self, slice: Slice) -> Request {
        let request = R::request().with("start_date", slice.start).with("end_date", slice.end);
        match &self.settings.config.media_ids[..] {
            [only] => request.with("media_id", only),
            _ => request,
        }
    }

    fn gather<R: EventRow>(&self, gathered: &mut Gathered<R>, page: Vec<R>) {
        let Settings { config, period, privacy, .. } = self.settings;
        for mut row in page {
            let is_outside = |day: NaiveDate| !(period.start..=period.last()).contains(&day);
            let day = row.day();
            if day.is_some_and(is_outside) {
                continue;
            }
            let is_of_media = |id: &String| row.media_id() == Some(id);
            if !config.media_ids.is_empty() && !config.media_ids.iter().any(is_of_media) {
                continue;
            }
            if day.is_none() {
                // It stays in the slice that it came with: to leave it out would lose it for ever.
                self.client.traffic().unreadable_time();
            }
            row.protect(privacy);
            gathered.add(row);
        }
    }
}

/// Rows by their key.
#[derive(Debug)]
struct Gathered<R> {
    rows: Vec<R>,
    /// Where the row of each key stands. Keys are in the rows alone.
    positions: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl<R> Default for Gathered<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            positions: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl<R: EventRow> Gathered<R> {
    fn add(&mut self, row: R) {
        let Self { rows, positions, hasher } = self;
        let hash = hasher.hash_one(row.key());
        let is_same = |position: &usize| rows[*position].key() == row.key();
        let of_known = |position: &usize| hasher.hash_one(rows[*position].key());
        match positions.entry(hash, is_same, of_known) {
            Entry::Vacant(entry) => {
                entry.insert(rows.len());
                rows.push(row);
            }
            Entry::Occupied(entry) => {
                let known = &mut rows[*entry.get()];
                if row.exceeds(known) {
                    *known = row;
                }
            }
        }
    }
}

/// The calendar ends long after every period, which ends today at the latest.
fn before(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(Days::new(days)).unwrap_or(day)
}

/// As [`before`].
fn after(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_add_days(Days::new(days)).unwrap_or(day)
}
