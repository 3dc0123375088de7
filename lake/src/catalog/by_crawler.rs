//! Sync by crawler: it is made to cover the tables, crawls, and what it made of them is compared with
//! the lake.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_glue::types::Crawler;

use super::api::{CrawlerSpec, GlueApi};
use super::clock::Polling;
use super::crawl::{self, Crawl, Progress};
use super::crawler::{Target, has_succeeded_since};
use super::event::{Activity, Event, Status};
use super::mismatch::Mismatch;
use super::options::{CrawlerOptions, Wait};
use super::partitions::DirtyPartitions;
use super::rejection::{Reason, Rejection};
use super::session::{Session, behind, folders_with_files};
use crate::error::{Error, Result};

/// Lets the crawler crawl, if anything may have changed since its last crawl. `stopped` says whether a
/// signal asks for the end.
pub(super) fn sync(
    session: &mut Session,
    options: &CrawlerOptions,
    wait: Wait,
    stopped: &dyn Fn() -> bool,
) -> Result<()> {
    session.notes.read_others(&session.lake)?;
    let begun = session.clock.now();
    let found = session.glue.crawler(&options.name);
    let dirty = dirty_tables(session, found.as_ref().ok().map(Option::as_ref))?;
    if dirty.is_empty() {
        if let Err(rejection) = found {
            tracing::warn!("nothing has changed, and the crawler was not looked at: {rejection}");
        }
        return session.notes.finish(&session.lake, dirty, None);
    }
    session.notes.mark_dirty(&session.lake, dirty.iter().map(String::as_str))?;
    let spec = spec(session, options);
    let (time, wait) = match wait {
        Wait::Configured => (Duration::from_secs(options.timeout_seconds), options.wait),
        Wait::Never => (Duration::ZERO, false),
    };
    let clock = Arc::clone(&session.clock);
    let mut polling = Polling::new(&*clock, begun + time, stopped);
    let (outcome, crawl_after) = crawl_once(session, &spec, found, &dirty, wait, &mut polling);
    let is_stopped = stopped();
    report(session, spec, &dirty, &outcome, is_stopped, begun);
    match outcome {
        Ok(Progressed::Succeeded) => session.notes.finish(&session.lake, BTreeSet::new(), None),
        Ok(Progressed::Started) => session.notes.finish(&session.lake, dirty, crawl_after),
        Err(error) => {
            session.notes.finish(&session.lake, dirty.clone(), crawl_after)?;
            Err(if is_stopped {
                Error::Interrupted { what: "the crawler".into() }
            } else {
                behind(&dirty, error)
            })
        }
    }
}

/// What the crawler puts before the names of tables.
pub(super) fn prefix(glue: &dyn GlueApi, options: &CrawlerOptions) -> Result<String> {
    let found = glue.crawler(&options.name)?;
    let own = found.as_ref().and_then(Crawler::table_prefix);
    Ok(own.unwrap_or_default().to_owned())
}

/// How far a crawl came that has not failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progressed {
    Succeeded,
    Started,
}

/// Prepares the crawler, crawls, and compares. With the outcome comes when the crawl before began, if
/// one was started.
fn crawl_once(
    session: &Session,
    spec: &CrawlerSpec,
    found: Result<Option<Crawler>, Rejection>,
    dirty: &BTreeSet<String>,
    wait: bool,
    polling: &mut Polling<'_>,
) -> (Result<Progressed>, Option<String>) {
    let started = found.map_err(Error::from).and_then(|found| {
        let targets = targets(session, spec, dirty)?;
        let crawler = crawl::prepare(&*session.glue, spec, found, &targets, polling)?;
        let crawl = crawl::crawl(&*session.glue, &spec.name, wait, polling)?;
        Ok((crawler, crawl))
    });
    let (crawler, Crawl { progress, after }) = match started {
        Ok(started) => started,
        Err(error) => return (Err(error), None),
    };
    match progress {
        Progress::Started => (Ok(Progressed::Started), Some(after)),
        Progress::Failed(reason) => {
            let object = session.glue.crawler_arn(&spec.name);
            (Err(Error::Catalog { object, reason, source: None }), Some(after))
        }
        // A crawl that has ended well and is not right is none that the next run may rely on.
        Progress::Succeeded => {
            let prefix = crawler.table_prefix().unwrap_or_default();
            (compare(session, prefix, dirty).map(|()| Progressed::Succeeded), None)
        }
    }
}

fn report(
    session: &mut Session,
    spec: CrawlerSpec,
    dirty: &BTreeSet<String>,
    outcome: &Result<Progressed>,
    is_stopped: bool,
    begun: Instant,
) {
    let (status, error) = match outcome {
        Ok(Progressed::Succeeded) => (Status::Succeeded, None),
        Ok(Progressed::Started) => (Status::Started, None),
        Err(error) if is_stopped => (Status::Interrupted, Some(error.with_causes())),
        Err(error) => (Status::Failed, Some(error.with_causes())),
    };
    session.emit(Event {
        tables: dirty.iter().cloned().collect(),
        partitions: session.dirty.values().map(DirtyPartitions::named).sum(),
        crawler: Some(spec.name),
        error,
        ..session.event(Activity::Crawl, status, begun)
    });
}

fn spec(session: &Session, options: &CrawlerOptions) -> CrawlerSpec {
    CrawlerSpec {
        name: options.name.clone(),
        create: options.create,
        role: options.role_arn.clone(),
        database: session.options.database.clone(),
        table_prefix: session.options.table_prefix.clone(),
    }
}

/// The tables that have changed since they were crawled. `found` is what is known of the crawler:
/// nothing, that there is none, or the crawler.
fn dirty_tables(
    session: &mut Session,
    found: Option<Option<&Crawler>>,
) -> Result<BTreeSet<String>> {
    if let Some(Some(crawler)) = found {
        session.notes.remove_others(&session.lake, |note| {
            let after = note.crawl_after.as_deref();
            after.is_some_and(|after| has_succeeded_since(crawler, after))
        })?;
    }
    let changed = session.dirty.iter().filter(|(_, partitions)| !partitions.is_empty());
    let mut dirty: BTreeSet<String> = changed.map(|(table, _)| table.clone()).collect();
    for table in session.notes.others().flat_map(|note| &note.tables) {
        if session.has(table)? {
            dirty.insert(table.clone());
        }
    }
    let has_never_crawled =
        found.is_some_and(|found| found.is_none_or(|crawler| crawler.last_crawl().is_none()));
    if dirty.is_empty() && has_never_crawled {
        dirty.extend(session.tables()?);
    }
    Ok(dirty)
}

/// The tables that the crawler must cover: all of the lake where it is ours to change, else those
/// that are dirty.
fn targets(session: &Session, spec: &CrawlerSpec, dirty: &BTreeSet<String>) -> Result<Vec<Target>> {
    let tables = if spec.create { session.tables()? } else { dirty.clone() };
    let target = |table: String| Target {
        location: session.location(&table),
        table: session.options.table_name(&table),
    };
    Ok(tables.into_iter().map(target).collect())
}

/// Compares what the crawler has made of the tables with what they are, if that may be read.
fn compare(session: &Session, prefix: &str, tables: &BTreeSet<String>) -> Result<()> {
    for table in tables {
        // Of a table without a definition or without files a crawler makes nothing.
        let Some(entry) = session.entry(table)? else { continue };
        if folders_with_files(&session.lake, table)?.is_empty() {
            continue;
        }
        let name = format!("{prefix}{table}");
        let found = match session.glue.table(&name) {
            Ok(found) => found,
            Err(rejection) if rejection.reason == Reason::Denied => {
                tracing::info!("what the crawler has made is not looked at: {rejection}");
                return Ok(());
            }
            Err(rejection) => return Err(rejection.into()),
        };
        let mismatch = match &found {
            Some(found) => entry.difference(found),
            None => Some(Mismatch::NoTable),
        };
        if let Some(mismatch) = mismatch {
            return Err(Error::Catalog {
                object: session.glue.table_arn(&name, found.as_ref()),
                reason: format!(
                    "after a crawl that succeeded, {mismatch}; correct or remove the table in the catalog, or set `catalog.type` to `glue`"
                ),
                source: None,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_glue::types::{CrawlerState, LastCrawlStatus};
    use serde_json::json;

    use super::*;
    use crate::catalog::clock::tests::FakeClock;
    use crate::catalog::dirty::tests::stored;
    use crate::catalog::fake::{FakeGlue, column};
    use crate::catalog::options::Method;
    use crate::catalog::session::tests::{load, session};
    use crate::testing::LakeFolder;

    struct Setup {
        folder: LakeFolder,
        glue: FakeGlue,
        clock: Arc<FakeClock>,
        options: CrawlerOptions,
    }

    impl Setup {
        fn new() -> Self {
            let options = CrawlerOptions {
                name: "c".into(),
                create: true,
                role_arn: Some("role".into()),
                wait: true,
                timeout_seconds: 60,
            };
            let clock = Arc::new(FakeClock::new());
            Self { folder: LakeFolder::new(), glue: FakeGlue::default(), clock, options }
        }

        /// Another run.
        fn run(&self) -> Session {
            let method = Method::Crawler(self.options.clone());
            session(&self.folder.lake(), &self.glue, &self.clock, method)
        }

        /// Another run that loads rows of these ids into the table `t`, which a crawl will make right.
        fn loaded(&self, ids: &[i64]) -> Session {
            let mut run = self.run();
            load(&mut run, "t", ids);
            self.glue.state().crawled = vec![run.entry("t").unwrap().unwrap().create()];
            run
        }

        fn sync(&self, run: &mut Session) -> Result<()> {
            sync(run, &self.options, Wait::Configured, &|| false)
        }

        fn starts(&self) -> usize {
            self.glue.count("StartCrawler")
        }
    }

    fn statuses(session: &Session) -> Vec<Status> {
        session.events.iter().map(|event| event.status).collect()
    }

    #[test]
    fn a_run_makes_the_crawler_and_its_crawl_makes_the_tables() {
        let setup = Setup::new();
        let mut run = setup.loaded(&[0, 1]);
        assert_eq!(stored(&run.lake).len(), 1);
        setup.sync(&mut run).unwrap();
        assert_eq!(statuses(&run), [Status::Succeeded]);
        let event = &run.events[0];
        assert_eq!((event.tables.as_slice(), event.partitions), (&["t".to_owned()][..], 2));
        assert_eq!(event.crawler.as_deref(), Some("c"));
        assert!(stored(&run.lake).is_empty());
    }

    #[test]
    fn nothing_changed_and_no_crawl() {
        let setup = Setup::new();
        setup.sync(&mut setup.loaded(&[0])).unwrap();
        let mut next = setup.run();
        next.dirty.insert("t".into(), DirtyPartitions::none());
        setup.sync(&mut next).unwrap();
        assert_eq!(setup.starts(), 1);
        assert!(next.events.is_empty());
    }

    #[test]
    fn tables_that_were_there_before_the_crawler_are_crawled() {
        let setup = Setup::new();
        let run = setup.loaded(&[0]);
        run.lake.store.delete(&format!("_lake/catalog/{}.json", run.lake.run)).unwrap();
        let mut next = setup.run();
        setup.sync(&mut next).unwrap();
        assert_eq!(next.events[0].tables, ["t"]);
    }

    #[test]
    fn a_type_that_a_crawl_does_not_make_right_is_named_until_it_is_right() {
        let setup = Setup::new();
        let mut run = setup.loaded(&[0]);
        let right = setup.glue.state().crawled.clone();
        let wrong = |table: &mut aws_sdk_glue::types::TableInput| {
            let own = table.storage_descriptor.as_mut().unwrap();
            own.columns.as_mut().unwrap()[0] = column("id", "int");
        };
        setup.glue.state().crawled.iter_mut().for_each(wrong);
        let error = setup.sync(&mut run).unwrap_err();
        let text = error.with_causes();
        assert!(text.contains("after a crawl that succeeded, its column `id` is int"), "{text}");
        assert_eq!(statuses(&run), [Status::Failed]);
        assert!(stored(&run.lake)[0].get("crawl_after").is_none());
        let mut next = setup.run();
        setup.sync(&mut next).unwrap_err();
        setup.glue.state().crawled = right;
        setup.sync(&mut setup.run()).unwrap();
        assert!(stored(&next.lake).is_empty());
    }

    #[test]
    fn a_table_that_a_crawl_does_not_make_is_named() {
        let setup = Setup::new();
        let mut run = setup.loaded(&[0]);
        setup.glue.state().crawled.clear();
        let text = setup.sync(&mut run).unwrap_err().with_causes();
        assert!(
            text.contains("arn:table/t: after a crawl that succeeded, it is not there"),
            "{text}"
        );
    }

    #[test]
    fn what_may_not_be_read_after_a_crawl_is_not_compared() {
        let setup = Setup::new();
        let mut run = setup.loaded(&[0]);
        setup.glue.state().crawled.clear();
        setup.glue.deny("GetTable");
        setup.sync(&mut run).unwrap();
        assert_eq!(statuses(&run), [Status::Succeeded]);
    }

    #[test]
    fn a_crawl_that_fails_is_done_again_by_the_next_run() {
        let setup = Setup::new();
        let mut run = setup.loaded(&[0]);
        setup.glue.state().ends.push_back(LastCrawlStatus::Failed);
        let error = setup.sync(&mut run).unwrap_err();
        assert!(error.to_string().ends_with("the catalog is behind: `t`"), "{error}");
        assert!(error.with_causes().contains("arn:crawler/c: the crawl was FAILED"), "{error}");
        assert_eq!(stored(&run.lake)[0]["crawl_after"], json!(""));
        let mut next = setup.run();
        setup.sync(&mut next).unwrap();
        assert_eq!(setup.starts(), 2);
        assert!(stored(&next.lake).is_empty());
    }

    #[test]
    fn a_crawl_that_nobody_waits_for_counts_when_it_has_succeeded() {
        let mut setup = Setup::new();
        setup.options.wait = false;
        let mut run = setup.loaded(&[0]);
        setup.sync(&mut run).unwrap();
        assert_eq!(statuses(&run), [Status::Started]);
        assert_eq!(stored(&run.lake)[0]["tables"], json!(["t"]));
        while !setup.glue.state().looks.is_empty() {
            crate::catalog::api::CrawlerApi::crawler(&setup.glue, "c").unwrap();
        }
        let mut next = setup.run();
        setup.sync(&mut next).unwrap();
        assert_eq!(setup.starts(), 1);
        assert!(next.events.is_empty() && stored(&next.lake).is_empty());
    }

    #[test]
    fn a_crawl_that_does_not_end_in_time_counts_when_it_has_ended() {
        let mut setup = Setup::new();
        setup.options.timeout_seconds = 1;
        let mut run = setup.loaded(&[0]);
        let text = setup.sync(&mut run).unwrap_err().with_causes();
        assert!(text.contains("did not end in time"), "{text}");
        while !setup.glue.state().looks.is_empty() {
            crate::catalog::api::CrawlerApi::crawler(&setup.glue, "c").unwrap();
        }
        setup.sync(&mut setup.run()).unwrap();
        assert_eq!(setup.starts(), 1);
        assert!(stored(&run.lake).is_empty());
    }

    #[test]
    fn a_signal_ends_the_waiting_and_leaves_the_crawl_to_the_next_run() {
        let setup = Setup::new();
        let mut run = setup.loaded(&[0]);
        let stopped = || setup.starts() > 0;
        let error = sync(&mut run, &setup.options, Wait::Configured, &stopped).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        assert_eq!(statuses(&run), [Status::Interrupted]);
        assert_eq!(stored(&run.lake)[0]["crawl_after"], json!(""));
    }

    #[test]
    fn a_run_that_has_failed_starts_the_crawler_and_does_not_wait() {
        let setup = Setup::new();
        let mut run = setup.loaded(&[0]);
        sync(&mut run, &setup.options, Wait::Never, &|| false).unwrap();
        assert_eq!(statuses(&run), [Status::Started]);
        // Nor does it wait for a crawl that runs already.
        let mut next = setup.loaded(&[1]);
        let error = sync(&mut next, &setup.options, Wait::Never, &|| false).unwrap_err();
        assert!(error.with_causes().contains("could not be started in time"), "{error}");
        assert!(setup.clock.slept().is_zero());
    }

    #[test]
    fn a_crawler_that_may_not_be_looked_at_matters_when_something_has_changed() {
        let setup = Setup::new();
        setup.sync(&mut setup.loaded(&[0])).unwrap();
        setup.glue.deny("GetCrawler");
        setup.sync(&mut setup.run()).unwrap();
        let mut run = setup.loaded(&[1]);
        let text = setup.sync(&mut run).unwrap_err().with_causes();
        assert!(text.contains("glue:GetCrawler"), "{text}");
        assert_eq!(stored(&run.lake).len(), 1);
    }

    #[test]
    fn without_create_the_crawler_must_cover_what_has_changed() {
        let mut setup = Setup::new();
        setup.sync(&mut setup.loaded(&[0])).unwrap();
        setup.options.create = false;
        setup.sync(&mut setup.loaded(&[1])).unwrap();
        let mut run = setup.run();
        load(&mut run, "u", &[0]);
        let text = setup.sync(&mut run).unwrap_err().with_causes();
        assert!(text.contains("it does not crawl") && text.contains("/u/"), "{text}");
    }

    #[test]
    fn a_crawl_of_another_that_is_running_is_waited_for() {
        let setup = Setup::new();
        setup.sync(&mut setup.loaded(&[0])).unwrap();
        let mut run = setup.loaded(&[1]);
        setup.glue.state().looks.extend([CrawlerState::Running, CrawlerState::Stopping]);
        setup.sync(&mut run).unwrap();
        assert_eq!(setup.starts(), 2);
        assert_eq!(statuses(&run), [Status::Succeeded]);
    }
}
