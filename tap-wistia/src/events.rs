//! One pass over the events of the account, in slices, for `fact_events` and `dim_visitors`.

use std::collections::HashMap;
use std::fmt;

use chrono::{Days, NaiveDate};
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesOrdered;

use crate::client::{Client, Request};
use crate::config::Period;
use crate::error::Result;
use crate::output::Output;
use crate::pages::{LookAhead, Pages};
use crate::privacy::Privacy;
use crate::slice::{DEEP, Slice, Slicer};
use crate::streams::event::{DIM_VISITORS, Event, FACT_EVENTS};

/// What events are read.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The API.
    pub client: &'a Client,
    /// Treatment of personal data.
    pub privacy: &'a Privacy,
    /// Only these medias, or all.
    pub media_ids: &'a [String],
    /// First and last day of the settings. Events outside are left out.
    pub period: Period,
    /// First day of this pass.
    pub start: NaiveDate,
}

/// A slice that was read.
#[derive(Debug)]
pub struct Reading {
    /// The slice.
    pub slice: Slice,
    /// Its events, newest first, each key once.
    pub events: Vec<Event>,
    /// Where a slice that was too deep was cut: its older days are still to be read.
    older: Option<Slice>,
}

/// Where slices are read one after another.
pub struct Readings<'a> {
    reader: &'a Reader<'a>,
    concurrency: usize,
    slicer: Slicer,
    live: Option<Slice>,
    in_flight: FuturesOrdered<LocalBoxFuture<'a, Result<Reading>>>,
    /// Newer parts of slices that were cut, and where to go on after them.
    held: Vec<(Reading, Slicer)>,
}

impl fmt::Debug for Readings<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readings").field("slicer", &self.slicer).finish_non_exhaustive()
    }
}

impl<'a> Readings<'a> {
    /// Reads up to `concurrency` slices at a time.
    pub fn new(reader: &'a Reader<'a>, concurrency: usize) -> Self {
        let Period { end, today, .. } = reader.period;
        let yesterday = before(today, 1);
        let live = (end >= yesterday)
            .then(|| Slice { start: reader.start.max(yesterday), end: after(today, 1) });
        let closed = end.min(before(today, 2));
        Self {
            reader,
            concurrency,
            slicer: Slicer::new(reader.start, closed),
            live,
            in_flight: FuturesOrdered::new(),
            held: Vec::new(),
        }
    }

    /// The next slice, oldest first.
    pub async fn next(&mut self) -> Result<Option<Reading>> {
        loop {
            let (wanted, look_ahead) = if self.slicer.is_settled() {
                (self.concurrency, LookAhead::Little)
            } else {
                (1, LookAhead::Much)
            };
            while self.in_flight.len() < wanted
                && let Some(slice) = self.slicer.take()
            {
                self.in_flight.push_back(Box::pin(self.reader.read(slice, look_ahead)));
            }
            let Some(reading) = self.in_flight.next().await else {
                // What was cut off goes after what is older.
                if let Some((newer, slicer)) = self.held.pop() {
                    self.slicer = slicer;
                    return Ok(Some(newer));
                }
                let Some(live) = self.live.take() else { return Ok(None) };
                return self.reader.read_live(live).await.map(Some);
            };
            let mut reading = reading?;
            let Some(older) = reading.older.take() else {
                self.slicer.learn(reading.slice, reading.events.len());
                return Ok(Some(reading));
            };
            self.in_flight.clear();
            let newer = Slice { start: after(older.end, 1), end: reading.slice.end };
            self.slicer.learn(newer, reading.events.len());
            let inner = self.slicer.over(older.start, older.end);
            let outer = std::mem::replace(&mut self.slicer, inner);
            self.held.push((reading, outer.from(after(newer.end, 1))));
        }
    }
}

impl Reader<'_> {
    /// Reads days on which nothing new is expected.
    async fn read(&self, slice: Slice, look_ahead: LookAhead) -> Result<Reading> {
        // The zone of the server's days is not documented: the outermost days are asked for with a
        // day beside them.
        let outermost = slice.end == self.period.end;
        let asked = Slice {
            start: if slice.start == self.start { before(slice.start, 1) } else { slice.start },
            end: if outermost { after(slice.end, 1) } else { slice.end },
        };
        let mut events = Gathered::default();
        let mut pages = Pages::new(self.client, self.request(asked), look_ahead);
        while let Some(page) = pages.next().await? {
            let oldest = page.last().and_then(Event::day);
            self.gather(&mut events, page);
            // Days are cut with one to spare, again for the zone.
            let older = oldest.map(|day| Slice { start: slice.start, end: after(day, 1) });
            if pages.read() >= DEEP
                && let Some(older) = older.filter(|older| older.end < slice.end)
            {
                return Ok(Reading { slice, events: events.rows, older: Some(older) });
            }
        }
        Ok(Reading { slice, events: events.rows, older: None })
    }

    /// Reads days on which events still arrive.
    async fn read_live(&self, slice: Slice) -> Result<Reading> {
        let start = if slice.start == self.start { before(slice.start, 1) } else { slice.start };
        let mut events = Gathered::default();
        let request = self.request(Slice { start, ..slice });
        let mut pages = Pages::new(self.client, request, LookAhead::Never);
        while let Some(page) = pages.next().await? {
            self.gather(&mut events, page);
        }
        Ok(Reading { slice, events: events.rows, older: None })
    }

    fn request(&self, slice: Slice) -> Request {
        let request = Request::new("/stats/events")
            .with("start_date", slice.start)
            .with("end_date", slice.end);
        match self.media_ids {
            [only] => request.with("media_id", only),
            _ => request,
        }
    }

    fn gather(&self, events: &mut Gathered, page: Vec<Event>) {
        for mut event in page {
            let wanted = |day: NaiveDate| (self.period.start..=self.period.last()).contains(&day);
            if event.day().is_some_and(|day| !wanted(day)) {
                continue;
            }
            let of_media = |id: &String| event.media_id.as_ref() == Some(id);
            if !self.media_ids.is_empty() && !self.media_ids.iter().any(of_media) {
                continue;
            }
            self.privacy.event(&mut event);
            events.add(event);
        }
    }
}

/// Events by their key: of doubles the one stays that was watched longer.
#[derive(Debug, Default)]
struct Gathered {
    rows: Vec<Event>,
    places: HashMap<String, usize>,
}

impl Gathered {
    fn add(&mut self, event: Event) {
        match self.places.get(&event.event_key) {
            None => {
                self.places.insert(event.event_key.clone(), self.rows.len());
                self.rows.push(event);
            }
            Some(place) => {
                let known = &mut self.rows[*place];
                if event.percent_viewed > known.percent_viewed {
                    *known = event;
                }
            }
        }
    }
}

/// Writes the records of a slice, oldest first.
pub fn emit(events: &[Event], output: &mut Output) -> Result<()> {
    output.extracted_now();
    for event in events.iter().rev() {
        output.record(&FACT_EVENTS, event)?;
    }
    if !output.wants(&DIM_VISITORS) {
        return Ok(());
    }
    let mut newest: HashMap<&str, usize> = HashMap::new();
    for (place, event) in events.iter().enumerate() {
        let Some(visitor) = event.visitor_key.as_deref() else { continue };
        let known = newest.entry(visitor).or_insert(place);
        let age = |event: &Event| event.time().unwrap_or_default();
        if age(event) > age(&events[*known]) {
            *known = place;
        }
    }
    for (place, event) in events.iter().enumerate().rev() {
        let is_newest =
            event.visitor_key.as_deref().is_some_and(|key| newest.get(key) == Some(&place));
        if let Some(visitor) = event.visitor().filter(|_| is_newest) {
            output.record(&DIM_VISITORS, &visitor)?;
        }
    }
    Ok(())
}

fn before(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(Days::new(days)).unwrap_or(day)
}

fn after(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_add_days(Days::new(days)).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_doubles_the_one_that_was_watched_longer_stays() {
        let event = |percent: &str| {
            serde_json::from_str(&format!(r#"{{"event_key":"a","percent_viewed":{percent}}}"#))
                .unwrap()
        };
        let mut gathered = Gathered::default();
        for percent in ["0.5", "0.75", "null", "0.25"] {
            gathered.add(event(percent));
        }
        assert_eq!(gathered.rows.len(), 1);
        assert_eq!(gathered.rows[0].percent_viewed, Some(0.75));
    }
}
