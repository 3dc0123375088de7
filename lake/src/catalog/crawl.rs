//! The end of a run with a crawler: give it its targets, let it crawl, look at what it has made.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_sdk_glue::types::Crawler;

use super::crawler::{self, Crawl, Crawlers as _, Place, Plan, Wish};
use super::refusal::Why;
use super::register::Tables as _;
use super::{Catalog, CrawlerOptions, Event, Patience, Scope, folders, is_behind, seconds_since};
use crate::error::{Error, Result};

/// The longest pause between two looks at a crawler.
const LONGEST_PAUSE: Duration = Duration::from_secs(12);

/// How often a pause looks whether a signal has come.
const GLANCE: Duration = Duration::from_millis(100);

/// Tries to give a crawler its targets.
const ATTEMPTS: u32 = 20;

impl Catalog {
    /// Has the crawler bring the catalog up, if anything may have changed since its last crawl.
    pub(super) fn crawl(
        &mut self,
        settings: &CrawlerOptions,
        patience: Patience,
        stopped: &dyn Fn() -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        let wish = self.wish(settings);
        let found = self.glue.crawler(&wish.name);
        let behind = self.not_crawled(found.as_ref().ok().map(Option::as_ref))?;
        if behind.is_empty() {
            if let Err(refusal) = found {
                tracing::warn!("nothing has changed, and the crawler was not looked at: {refusal}");
            }
            return self.notes.settle(&self.lake, behind, None);
        }
        self.notes.mark_dirty(&self.lake, behind.iter().map(String::as_str))?;
        let (time, wait) = match patience {
            Patience::Options => (Duration::from_secs(settings.timeout_seconds), settings.wait),
            Patience::None => (Duration::ZERO, false),
        };
        let mut pause = |look: u32| pause(look, begun + time, stopped);
        let outcome = found.map_err(Error::from).and_then(|found| {
            let crawler = self.prepare(&wish, found, &behind, &mut pause)?;
            let (crawl, before) = crawler::crawl(&self.glue, &wish.name, wait, &mut pause)?;
            if crawl == Crawl::Succeeded {
                self.compare(crawler.table_prefix().unwrap_or_default(), &behind)?;
            }
            Ok((crawl, before))
        });
        let (outcome, crawl_after) = match outcome {
            Ok((Crawl::Failed(reason), before)) => {
                let object = self.glue.crawler_arn(&wish.name);
                (Err(Error::Catalog { object, reason }), Some(before))
            }
            Ok((crawl, before)) => (Ok(crawl), Some(before)),
            Err(error) => (Err(error), None),
        };
        let is_stopped = stopped();
        self.tell(Event {
            tables: behind.iter().cloned().collect(),
            partitions: self.touched.values().map(Scope::len).sum(),
            crawler: Some(wish.name),
            status: match &outcome {
                Ok(Crawl::Succeeded) => "succeeded",
                Ok(_) => "started",
                Err(_) if is_stopped => "interrupted",
                Err(_) => "failed",
            },
            seconds: seconds_since(begun),
            error: outcome.as_ref().err().map(ToString::to_string),
            ..self.event("crawl")
        });
        match outcome {
            Ok(Crawl::Succeeded) => self.notes.settle(&self.lake, BTreeSet::new(), None),
            Ok(_) => self.notes.settle(&self.lake, behind, crawl_after),
            Err(error) => {
                self.notes.settle(&self.lake, behind.clone(), crawl_after)?;
                Err(match is_stopped {
                    true => Error::Interrupted { what: "the crawler".into() },
                    false => is_behind(&behind, error),
                })
            }
        }
    }

    fn wish(&self, settings: &CrawlerOptions) -> Wish {
        Wish {
            name: settings.name.clone(),
            create: settings.create,
            role: settings.role_arn.clone(),
            database: self.options.database.clone(),
            table_prefix: self.options.table_prefix.clone(),
        }
    }

    /// The tables that have changed since they were crawled. `found` is what is known of the
    /// crawler: nothing, that there is none, or the crawler.
    fn not_crawled(&mut self, found: Option<Option<&Crawler>>) -> Result<BTreeSet<String>> {
        if let Some(Some(crawler)) = found {
            self.notes.drop_others(&self.lake, |note| {
                let after = note.crawl_after.as_deref();
                after.is_some_and(|after| crawler::has_succeeded_since(crawler, after))
            })?;
        }
        let changed = self.touched.iter().filter(|(_, scope)| !scope.is_empty());
        let mut behind: BTreeSet<String> = changed.map(|(table, _)| table.clone()).collect();
        behind.extend(self.notes.others().flat_map(|note| note.tables.iter().cloned()));
        let has_never_crawled =
            found.is_some_and(|found| found.is_none_or(|crawler| crawler.last_crawl().is_none()));
        if behind.is_empty() && has_never_crawled {
            behind.extend(self.lake.tables()?);
        }
        Ok(behind)
    }

    /// Makes the crawler or gives it its targets, as far as the settings allow.
    fn prepare(
        &self,
        wish: &Wish,
        mut found: Option<Crawler>,
        behind: &BTreeSet<String>,
        pause: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Crawler> {
        let refused = |reason| Error::Catalog { object: self.glue.crawler_arn(&wish.name), reason };
        let tables =
            if wish.create { self.lake.tables()? } else { behind.iter().cloned().collect() };
        let places: Vec<Place> = tables
            .into_iter()
            .map(|table| (self.options.table(&table), self.location(&table)))
            .collect();
        for attempt in 0..ATTEMPTS {
            let outcome = match crawler::plan(wish, found.as_ref(), &places).map_err(refused)? {
                Plan::Ready => break,
                Plan::Create(targets) => {
                    match self.glue.create_database() {
                        // Whether it is there is for the crawler to say.
                        Err(refusal) if refusal.why != Why::Denied => return Err(refusal.into()),
                        _ => {}
                    }
                    self.glue.create_crawler(wish, targets)
                }
                Plan::Update(targets) => self.glue.update_crawler(wish, targets),
            };
            match outcome {
                Ok(()) => {}
                Err(refusal) => match refusal.why {
                    Why::Exists | Why::Changed => {}
                    Why::Running if pause(attempt) => {}
                    _ => return Err(refusal.into()),
                },
            }
            found = self.glue.crawler(&wish.name)?;
        }
        found.ok_or_else(|| refused("it is gone".into()))
    }

    /// Compares what the crawler has made of the tables with what they are, if that may be read.
    fn compare(&self, prefix: &str, tables: &BTreeSet<String>) -> Result<()> {
        for table in tables {
            let name = format!("{prefix}{table}");
            let Some(wanted) = self.wanted(table)? else { continue };
            if folders(&self.lake, table)?.is_empty() {
                continue;
            }
            let (found, difference) = match self.glue.table(&name) {
                Ok(Some(found)) => {
                    let difference = wanted.difference(&found);
                    (Some(found), difference)
                }
                Ok(None) => (None, Some("it is not there".into())),
                Err(refusal) if refusal.why == Why::Denied => {
                    tracing::info!("what the crawler has made is not looked at: {refusal}");
                    return Ok(());
                }
                Err(refusal) => return Err(refusal.into()),
            };
            if let Some(difference) = difference {
                return Err(Error::Catalog {
                    object: self.glue.describe(&name, found.as_ref()),
                    reason: format!(
                        "after a crawl that succeeded, {difference}; correct or remove the table in the catalog, or set `catalog.type` to `glue`"
                    ),
                });
            }
        }
        Ok(())
    }
}

/// Waits between two looks, longer each time. Whether there is time for another.
fn pause(look: u32, deadline: Instant, stopped: &dyn Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_millis(500 << look.min(5)).min(LONGEST_PAUSE);
    while Instant::now() < until.min(deadline) {
        if stopped() {
            return false;
        }
        std::thread::sleep(GLANCE.min(until.saturating_duration_since(Instant::now())));
    }
    Instant::now() < deadline
}
