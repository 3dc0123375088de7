//! One crawl: the crawler is made or changed to cover the tables, started, and waited for.

use aws_sdk_glue::types::{Crawler, CrawlerState};

use super::api::{CrawlerApi, CrawlerSpec, GlueApi};
use super::clock::Polling;
use super::crawler::{CrawlerChange, Target, crawl_since, last_start, outcome};
use super::rejection::Reason;
use crate::error::{Error, Result};

/// Tries to change a crawler that others keep changing.
const ATTEMPTS: u32 = 20;

/// How far a crawl came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has ended well.
    Succeeded,
    /// It was started, and is not waited for.
    Started,
    /// It was started and did not end well, or not in time.
    Failed(String),
}

/// A crawl that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crawl {
    /// How far it came.
    pub(super) progress: Progress,
    /// When the crawl before it began, as [`last_start`] words it.
    pub(super) after: String,
}

/// Makes the crawler or changes it to cover the targets, as far as the spec allows.
pub(super) fn prepare(
    glue: &dyn GlueApi,
    spec: &CrawlerSpec,
    mut found: Option<Crawler>,
    targets: &[Target],
    polling: &mut Polling<'_>,
) -> Result<Crawler> {
    for _ in 0..ATTEMPTS {
        let change = CrawlerChange::required(spec, found.as_ref(), targets)
            .map_err(|reason| fault(glue, &spec.name, reason))?;
        let outcome = match (change, found) {
            (CrawlerChange::None, Some(crawler)) => return Ok(crawler),
            (CrawlerChange::None, None) => {
                return Err(Error::internal("a crawler that is not there has to be made"));
            }
            (CrawlerChange::Create(targets), _) => {
                make_database(glue)?;
                glue.create_crawler(spec, targets)
            }
            (CrawlerChange::Update(targets), _) => glue.update_crawler(spec, targets),
        };
        if let Err(rejection) = outcome {
            match rejection.reason {
                Reason::Exists | Reason::Modified => {}
                Reason::Running if polling.pause() => {}
                Reason::Running
                | Reason::Missing
                | Reason::Denied
                | Reason::Unreachable
                | Reason::Other => return Err(rejection.into()),
            }
        }
        found = glue.crawler(&spec.name)?;
    }
    found.ok_or_else(|| fault(glue, &spec.name, "it is gone".into()))
}

/// Makes the database of the tables. Where the credentials may not, the crawler says whether it is
/// there.
fn make_database(glue: &dyn GlueApi) -> Result<()> {
    match glue.create_database() {
        Ok(()) => Ok(()),
        Err(rejection) if rejection.reason == Reason::Denied => Ok(()),
        Err(rejection) => Err(rejection.into()),
    }
}

/// Crawls once, after everything that is in the lake by now.
pub(super) fn crawl(
    crawlers: &dyn CrawlerApi,
    name: &str,
    wait: bool,
    polling: &mut Polling<'_>,
) -> Result<Crawl> {
    polling.restart();
    let after = start(crawlers, name, polling)?;
    if !wait {
        return Ok(Crawl { progress: Progress::Started, after });
    }
    polling.restart();
    loop {
        let has_time = polling.pause();
        let crawler = look(crawlers, name)?;
        let state = state_of(crawlers, name, &crawler)?;
        if state == CrawlerState::Ready
            && let Some(last) = crawl_since(&crawler, &after)
        {
            let progress = match outcome(last) {
                Ok(()) => Progress::Succeeded,
                Err(reason) => Progress::Failed(reason),
            };
            return Ok(Crawl { progress, after });
        }
        if !has_time {
            let reason = format!(
                "the crawl did not end in time (it is {state}); raise `catalog.crawler.timeout_seconds`"
            );
            return Ok(Crawl { progress: Progress::Failed(reason), after });
        }
    }
}

/// Starts a crawl, and says when the one before it began. A crawl that runs already may have listed
/// before our files landed: it does not count, and is waited for.
fn start(crawlers: &dyn CrawlerApi, name: &str, polling: &mut Polling<'_>) -> Result<String> {
    let mut is_first = true;
    loop {
        let crawler = look(crawlers, name)?;
        let state = state_of(crawlers, name, &crawler)?;
        if state == CrawlerState::Ready {
            match crawlers.start_crawler(name) {
                Ok(()) => return Ok(last_start(&crawler)),
                Err(rejection) if rejection.reason == Reason::Running => {}
                Err(rejection) => return Err(rejection.into()),
            }
        }
        if is_first {
            tracing::info!(crawler = name, "the crawler is running; waiting to start it again");
            is_first = false;
        }
        if !polling.pause() {
            let reason = format!(
                "it is still {state} and could not be started in time; raise `catalog.crawler.timeout_seconds`"
            );
            return Err(fault(crawlers, name, reason));
        }
    }
}

fn look(crawlers: &dyn CrawlerApi, name: &str) -> Result<Crawler> {
    crawlers.crawler(name)?.ok_or_else(|| fault(crawlers, name, "it is gone".into()))
}

fn state_of(crawlers: &dyn CrawlerApi, name: &str, crawler: &Crawler) -> Result<CrawlerState> {
    let state = crawler.state().cloned();
    state.ok_or_else(|| fault(crawlers, name, "Glue does not say its state".into()))
}

fn fault<Api: CrawlerApi + ?Sized>(crawlers: &Api, name: &str, reason: String) -> Error {
    Error::Catalog { object: crawlers.crawler_arn(name), reason, source: None }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_glue::types::LastCrawlStatus;

    use super::*;
    use crate::catalog::clock::Clock as _;
    use crate::catalog::clock::tests::FakeClock;
    use crate::catalog::fake::FakeGlue;

    fn spec() -> CrawlerSpec {
        CrawlerSpec {
            name: "c".into(),
            create: true,
            role: Some("role".into()),
            database: "d".into(),
            table_prefix: None,
        }
    }

    fn targets(tables: &[&str]) -> Vec<Target> {
        let target = |table: &&str| Target {
            table: (*table).to_owned(),
            location: format!("s3://b/lake/{table}/"),
        };
        tables.iter().map(target).collect()
    }

    /// What a test does with a crawler that covers the table `t`, within a time.
    fn within<T>(
        seconds: u64,
        glue: &FakeGlue,
        what: impl FnOnce(&FakeGlue, &mut Polling<'_>) -> T,
    ) -> T {
        let clock = FakeClock::new();
        let deadline = clock.now() + Duration::from_secs(seconds);
        what(glue, &mut Polling::new(&clock, deadline, &|| false))
    }

    fn crawler() -> FakeGlue {
        let glue = FakeGlue::default();
        glue.create_crawler(&spec(), first_targets(&["t"])).unwrap();
        glue
    }

    fn first_targets(tables: &[&str]) -> aws_sdk_glue::types::CrawlerTargets {
        match CrawlerChange::required(&spec(), None, &targets(tables)).unwrap() {
            CrawlerChange::Create(targets) => targets,
            change => panic!("{change:?}"),
        }
    }

    fn crawled(seconds: u64, glue: &FakeGlue) -> Result<Crawl> {
        within(seconds, glue, |glue, polling| crawl(glue, "c", true, polling))
    }

    fn covered(glue: &FakeGlue) -> usize {
        let state = glue.state();
        state.crawler.as_ref().unwrap().targets().unwrap().s3_targets().len()
    }

    use CrawlerState::{Running, Stopping};

    #[test]
    fn ready_alone_is_no_success() {
        // The crawl does not show yet, runs, stops, and has ended.
        let glue = crawler();
        let crawl = crawled(60, &glue).unwrap();
        assert_eq!(crawl, Crawl { progress: Progress::Succeeded, after: String::new() });
        assert_eq!(glue.count("GetCrawler"), 5);
    }

    #[test]
    fn a_crawl_that_ran_before_is_waited_for_and_does_not_count() {
        let glue = crawler();
        glue.state().looks.extend([Running, Running, Stopping]);
        let crawl = crawled(60, &glue).unwrap();
        assert_eq!(crawl.progress, Progress::Succeeded);
        assert_eq!(crawl.after, "1.000000000");
        assert_eq!(glue.count("StartCrawler"), 1);
    }

    #[test]
    fn a_crawler_that_another_starts_first_is_waited_for() {
        let glue = crawler();
        glue.interfere("StartCrawler", 1, |state| state.looks.extend([Running, Stopping]));
        let crawl = crawled(60, &glue).unwrap();
        assert_eq!((crawl.progress, crawl.after.as_str()), (Progress::Succeeded, "1.000000000"));
        assert_eq!(glue.count("StartCrawler"), 2);
    }

    #[test]
    fn a_crawl_that_ends_badly_says_how_and_where_its_log_is() {
        for (status, word) in
            [(LastCrawlStatus::Failed, "FAILED"), (LastCrawlStatus::Cancelled, "CANCELLED")]
        {
            let glue = crawler();
            glue.state().ends.push_back(status);
            let Progress::Failed(reason) = crawled(60, &glue).unwrap().progress else { panic!() };
            assert!(reason.contains(&format!("was {word}; its log is /aws-glue/")), "{reason}");
        }
    }

    #[test]
    fn time_ends_before_the_start_or_before_the_end() {
        let glue = crawler();
        glue.state().looks.extend(vec![Running; 9]);
        let error = crawled(3, &glue).unwrap_err().to_string();
        assert!(error.contains("still RUNNING and could not be started in time"), "{error}");
        let glue = crawler();
        glue.interfere("GetCrawler", 2, |state| state.looks = vec![Running; 9].into());
        let Progress::Failed(reason) = crawled(3, &glue).unwrap().progress else { panic!() };
        assert!(reason.contains("did not end in time (it is RUNNING)"), "{reason}");
    }

    #[test]
    fn a_crawl_that_is_not_waited_for_has_only_started() {
        let glue = crawler();
        let crawl = within(0, &glue, |glue, polling| crawl(glue, "c", false, polling)).unwrap();
        assert_eq!(crawl.progress, Progress::Started);
        assert_eq!(glue.count("GetCrawler"), 1);
    }

    #[test]
    fn a_crawler_that_goes_or_has_no_state_is_an_error() {
        let glue = crawler();
        glue.interfere("GetCrawler", 2, |state| state.crawler = None);
        let error = crawled(60, &glue).unwrap_err().to_string();
        assert_eq!(error, "arn:crawler/c: it is gone");
        let stateless = Crawler::builder().build();
        let error = state_of(&glue, "c", &stateless).unwrap_err().to_string();
        assert_eq!(error, "arn:crawler/c: Glue does not say its state");
    }

    fn prepared(glue: &FakeGlue, tables: &[&str]) -> Result<Crawler> {
        let found = glue.crawler("c").unwrap();
        within(60, glue, |glue, polling| prepare(glue, &spec(), found, &targets(tables), polling))
    }

    #[test]
    fn a_crawler_is_made_with_its_database_where_that_is_permitted() {
        let glue = FakeGlue::default();
        assert_eq!(prepared(&glue, &["t"]).unwrap().name(), Some("c"));
        assert!(glue.state().has_database);
        let glue = FakeGlue::default();
        glue.deny("CreateDatabase");
        assert_eq!(prepared(&glue, &["t"]).unwrap().name(), Some("c"));
        let glue = FakeGlue::default();
        glue.reject("CreateDatabase", 1, "InternalServiceException");
        assert!(prepared(&glue, &["t"]).is_err());
    }

    #[test]
    fn a_crawler_that_covers_the_tables_is_not_changed() {
        let glue = crawler();
        glue.take_writes();
        prepared(&glue, &["t"]).unwrap();
        assert_eq!(glue.take_writes(), [""; 0]);
    }

    #[test]
    fn new_targets_and_another_role_reach_a_crawler_when_it_has_stopped_running() {
        let glue = crawler();
        glue.state().crawler.as_mut().unwrap().role = Some("old".into());
        glue.state().looks.extend([Running, Running, Stopping]);
        let crawler = prepared(&glue, &["t", "u"]).unwrap();
        assert_eq!(crawler.role(), Some("role"));
        assert_eq!(covered(&glue), 2);
        assert!(glue.count("UpdateCrawler") > 1);
    }

    #[test]
    fn a_crawler_that_another_makes_or_changes_first_is_compared_again() {
        let glue = FakeGlue::default();
        glue.interfere("CreateCrawler", 1, |state| {
            let theirs = Crawler::builder().name("c").role("role").database_name("d");
            state.crawler = Some(theirs.build());
        });
        prepared(&glue, &["t"]).unwrap();
        assert_eq!(covered(&glue), 1);
        glue.reject("UpdateCrawler", 2, "VersionMismatchException");
        prepared(&glue, &["t", "u"]).unwrap();
        assert_eq!(glue.count("UpdateCrawler"), 3);
        assert_eq!(covered(&glue), 2);
    }

    #[test]
    fn a_crawler_that_is_not_for_this_lake_is_named() {
        let glue = crawler();
        glue.state().crawler.as_mut().unwrap().database_name = Some("x".into());
        let error = prepared(&glue, &["t"]).unwrap_err().to_string();
        assert!(error.starts_with("arn:crawler/c: it writes to the database `x`"), "{error}");
    }
}
