//! The crawler: is it the right one, and did its crawl see our files?

use aws_sdk_glue::types::{
    Crawler, CrawlerState, CrawlerTargets, LastCrawlInfo, LastCrawlStatus, S3Target,
};

use super::refusal::{Refusal, Why};
use crate::error::{Error, Result};

/// What lies under a table's prefix and is no data of it.
const EXCLUSIONS: [&str; 2] = ["**/_*", "**/.*"];

/// The crawlers of an account.
pub(super) trait Crawlers {
    /// A crawler, if it is there.
    fn crawler(&self, name: &str) -> Result<Option<Crawler>, Refusal>;
    /// Makes a crawler.
    fn create_crawler(&self, wish: &Wish, targets: CrawlerTargets) -> Result<(), Refusal>;
    /// Gives a crawler other targets, and the role of the wish.
    fn update_crawler(&self, wish: &Wish, targets: CrawlerTargets) -> Result<(), Refusal>;
    /// Starts a crawl.
    fn start_crawler(&self, name: &str) -> Result<(), Refusal>;
    /// How to call a crawler in an error.
    fn crawler_arn(&self, name: &str) -> String;
}

/// The crawler as the settings want it.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// Its name.
    pub(super) name: String,
    /// Whether it may be made and given targets.
    pub(super) create: bool,
    /// The role it runs as.
    pub(super) role: Option<String>,
    /// The database it writes to.
    pub(super) database: String,
    /// What it puts before the names of tables.
    pub(super) table_prefix: Option<String>,
}

/// What has to be done to a crawler before it is started.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Nothing.
    Ready,
    /// Make it.
    Create(CrawlerTargets),
    /// Give it these targets.
    Update(CrawlerTargets),
}

/// A table and where its files are.
pub(super) type Place = (String, String);

/// Compares a crawler with the wish; `places` are the tables that it must cover.
pub(super) fn plan(wish: &Wish, found: Option<&Crawler>, places: &[Place]) -> Result<Plan, String> {
    let Some(found) = found else {
        return if wish.create {
            let targets = places.iter().map(|(_, location)| target(location)).collect();
            Ok(Plan::Create(CrawlerTargets::builder().set_s3_targets(Some(targets)).build()))
        } else {
            Err("it does not exist; make it, or set `catalog.crawler.create`".into())
        };
    };
    let database = found.database_name().unwrap_or_default();
    if database != wish.database {
        return Err(format!(
            "it writes to the database `{database}`, the settings say `{}`; correct `catalog.database` or name another crawler",
            wish.database
        ));
    }
    let prefix = found.table_prefix().unwrap_or_default();
    if wish.table_prefix.as_deref().is_some_and(|wanted| wanted != prefix) {
        return Err(format!(
            "it puts `{prefix}` before the names of tables, the settings say `{}`; correct `catalog.table_prefix` or name another crawler",
            wish.table_prefix.as_deref().unwrap_or_default()
        ));
    }
    let missing: Vec<&Place> =
        places.iter().filter(|place| !covers(found, &wish.database, place)).collect();
    if let (Some((_, location)), false) = (missing.first(), wish.create) {
        return Err(format!(
            "it does not crawl {location}; give it that target, or set `catalog.crawler.create`"
        ));
    }
    let other_role = wish.create
        && wish
            .role
            .as_deref()
            .is_some_and(|role| role_name(role) != role_name(found.role().unwrap_or_default()));
    if missing.is_empty() && !other_role {
        return Ok(Plan::Ready);
    }
    let mut targets = found.targets.clone().unwrap_or_else(|| CrawlerTargets::builder().build());
    targets
        .s3_targets
        .get_or_insert_default()
        .extend(missing.iter().map(|(_, location)| target(location)));
    Ok(Plan::Update(targets))
}

fn target(location: &str) -> S3Target {
    S3Target::builder()
        .path(location)
        .set_exclusions(Some(EXCLUSIONS.map(str::to_owned).to_vec()))
        .build()
}

/// Glue names a role by its ARN or by its name alone.
fn role_name(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
}

fn covers(found: &Crawler, database: &str, (table, location): &Place) -> bool {
    let Some(targets) = &found.targets else { return false };
    let on_s3 = targets.s3_targets().iter().filter_map(S3Target::path).any(|path| {
        let path = path.trim_end_matches('/');
        location.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
    });
    on_s3
        || targets.catalog_targets().iter().any(|target| {
            target.database_name == database && target.tables.iter().any(|name| name == table)
        })
}

/// When the last crawl began, as a word that another crawl has not.
pub(super) fn last_start(crawler: &Crawler) -> String {
    let start = crawler.last_crawl().and_then(LastCrawlInfo::start_time);
    start.map(|time| format!("{}.{:09}", time.secs(), time.subsec_nanos())).unwrap_or_default()
}

/// Whether a crawl has succeeded since the last one began at `after`.
pub(super) fn has_succeeded_since(crawler: &Crawler, after: &str) -> bool {
    let status = crawler.last_crawl().and_then(LastCrawlInfo::status);
    status == Some(&LastCrawlStatus::Succeeded) && last_start(crawler) != after
}

/// How far a crawl came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Crawl {
    /// It has ended well.
    Succeeded,
    /// It was started.
    Started,
    /// It was started and did not end well, or not in time.
    Failed(String),
}

/// Crawls once, after everything that is in the lake by now. `pause` waits between two looks and
/// says whether there is time left. With the crawl comes what [`last_start`] was before it.
pub(super) fn crawl(
    crawlers: &dyn Crawlers,
    name: &str,
    wait: bool,
    pause: &mut dyn FnMut(u32) -> bool,
) -> Result<(Crawl, String)> {
    let late = |state: &str| Error::Catalog {
        object: crawlers.crawler_arn(name),
        reason: format!(
            "it is still {state} and could not be started in time; raise `catalog.crawler.timeout_seconds`"
        ),
    };
    let mut looks = 0;
    // A crawl that runs already may have listed before our files landed: it does not count.
    let before = loop {
        let crawler = look(crawlers, name)?;
        let state = crawler.state().cloned().unwrap_or(CrawlerState::Ready);
        if state == CrawlerState::Ready {
            match crawlers.start_crawler(name) {
                Ok(()) => break last_start(&crawler),
                Err(refusal) if refusal.why == Why::Running => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        if looks == 0 {
            tracing::info!(crawler = name, "the crawler is running; waiting to start it again");
        }
        if !pause(looks) {
            return Err(late(state.as_str()));
        }
        looks += 1;
    };
    if !wait {
        return Ok((Crawl::Started, before));
    }
    looks = 0;
    loop {
        let has_time = pause(looks);
        looks += 1;
        let crawler = look(crawlers, name)?;
        let state = crawler.state().cloned().unwrap_or(CrawlerState::Ready);
        if state == CrawlerState::Ready && last_start(&crawler) != before {
            return Ok((judge(&crawler), before));
        }
        if !has_time {
            let reason = format!(
                "the crawl did not end in time (it is {state}); raise `catalog.crawler.timeout_seconds`"
            );
            return Ok((Crawl::Failed(reason), before));
        }
    }
}

fn look(crawlers: &dyn Crawlers, name: &str) -> Result<Crawler> {
    crawlers.crawler(name)?.ok_or_else(|| Error::Catalog {
        object: crawlers.crawler_arn(name),
        reason: "it is gone".into(),
    })
}

fn judge(crawler: &Crawler) -> Crawl {
    let Some(last) = crawler.last_crawl() else { return Crawl::Started };
    if last.status() == Some(&LastCrawlStatus::Succeeded) {
        return Crawl::Succeeded;
    }
    let status = last.status().map_or("unknown", LastCrawlStatus::as_str);
    let message = last.error_message().map(|text| format!(": {text}")).unwrap_or_default();
    let group = last.log_group().unwrap_or("/aws-glue/crawlers");
    let stream = last.log_stream().unwrap_or_default();
    Crawl::Failed(format!("the crawl was {status}{message}; its log is {group}, stream {stream}"))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use aws_sdk_glue::primitives::DateTime;
    use aws_sdk_glue::types::CatalogTarget;

    use super::*;

    /// A crawler as it looks the first, second, … time; the last look stays.
    struct Script {
        looks: RefCell<Vec<Crawler>>,
        /// Answers to `StartCrawler`; `true` is "is running".
        running: RefCell<Vec<bool>>,
        starts: RefCell<u32>,
    }

    impl Script {
        fn new(looks: Vec<Crawler>, running: Vec<bool>) -> Self {
            Self {
                looks: RefCell::new(looks),
                running: RefCell::new(running),
                starts: RefCell::new(0),
            }
        }
    }

    impl Crawlers for Script {
        fn crawler(&self, _: &str) -> Result<Option<Crawler>, Refusal> {
            let mut looks = self.looks.borrow_mut();
            let look = looks[0].clone();
            if looks.len() > 1 {
                looks.remove(0);
            }
            Ok(Some(look))
        }

        fn create_crawler(&self, _: &Wish, _: CrawlerTargets) -> Result<(), Refusal> {
            Ok(())
        }

        fn update_crawler(&self, _: &Wish, _: CrawlerTargets) -> Result<(), Refusal> {
            Ok(())
        }

        fn start_crawler(&self, name: &str) -> Result<(), Refusal> {
            if self.running.borrow_mut().pop() == Some(true) {
                let arn = self.crawler_arn(name);
                return Err(Refusal::new("StartCrawler", arn, "CrawlerRunningException", ""));
            }
            *self.starts.borrow_mut() += 1;
            Ok(())
        }

        fn crawler_arn(&self, name: &str) -> String {
            name.to_owned()
        }
    }

    fn seen(state: CrawlerState, last: Option<(i64, LastCrawlStatus)>) -> Crawler {
        let last = last.map(|(start, status)| {
            LastCrawlInfo::builder().status(status).start_time(DateTime::from_secs(start)).build()
        });
        Crawler::builder().state(state).set_last_crawl(last).build()
    }

    fn crawled(script: &Script, looks: u32) -> Result<Crawl> {
        crawl(script, "c", true, &mut |look| look < looks).map(|(crawl, _)| crawl)
    }

    use CrawlerState::{Ready, Running, Stopping};
    use LastCrawlStatus::{Cancelled, Succeeded};

    #[test]
    fn ready_alone_is_no_success() {
        // The crawl does not show yet, runs, stops, and has ended.
        let old = Some((1, Succeeded));
        let script = Script::new(
            vec![
                seen(Ready, old.clone()),
                seen(Ready, old.clone()),
                seen(Running, old.clone()),
                seen(Stopping, old),
                seen(Ready, Some((2, Succeeded))),
            ],
            vec![],
        );
        assert_eq!(crawled(&script, 9).unwrap(), Crawl::Succeeded);
        assert_eq!(script.looks.borrow().len(), 1);
    }

    #[test]
    fn a_crawl_that_ran_before_is_waited_for_and_does_not_count() {
        let script = Script::new(
            vec![
                seen(Ready, None),
                seen(Running, None),
                seen(Ready, Some((1, Succeeded))),
                seen(Ready, Some((1, Succeeded))),
                seen(Ready, Some((2, Cancelled))),
            ],
            vec![false, true],
        );
        let Crawl::Failed(reason) = crawled(&script, 9).unwrap() else { panic!() };
        assert!(reason.contains("CANCELLED"), "{reason}");
        assert_eq!(*script.starts.borrow(), 1);
    }

    #[test]
    fn time_ends_before_the_start_or_before_the_end() {
        let script = Script::new(vec![seen(Running, None)], vec![]);
        assert!(crawled(&script, 3).unwrap_err().to_string().contains("still RUNNING"));
        let script = Script::new(vec![seen(Ready, None), seen(Running, None)], vec![]);
        let Crawl::Failed(reason) = crawled(&script, 3).unwrap() else { panic!() };
        assert!(reason.contains("did not end in time (it is RUNNING)"), "{reason}");
    }

    fn wish(create: bool) -> Wish {
        Wish {
            name: "c".into(),
            create,
            role: Some("arn:aws:iam::1:role/path/crawler".into()),
            database: "d".into(),
            table_prefix: None,
        }
    }

    fn of_targets(targets: CrawlerTargets) -> Crawler {
        Crawler::builder().database_name("d").role("crawler").targets(targets).build()
    }

    fn place(table: &str) -> Place {
        (table.into(), format!("s3://b/lake/{table}/"))
    }

    #[test]
    fn a_target_covers_what_is_below_it_and_nothing_beside_it() {
        let at =
            |path: &str| of_targets(CrawlerTargets::builder().s3_targets(target(path)).build());
        let ready = |found: &Crawler| plan(&wish(false), Some(found), &[place("t")]);
        assert_eq!(ready(&at("s3://b/lake/t")), Ok(Plan::Ready));
        assert_eq!(ready(&at("s3://b/lake/")), Ok(Plan::Ready));
        assert!(ready(&at("s3://b/lake/t2/")).is_err());
        assert!(ready(&at("s3://b/la")).is_err());
        let tables = CatalogTarget::builder().database_name("d").tables("t").build().unwrap();
        let by_name = of_targets(CrawlerTargets::builder().catalog_targets(tables).build());
        assert_eq!(ready(&by_name), Ok(Plan::Ready));
    }

    #[test]
    fn targets_are_added_and_none_is_taken_away() {
        let theirs = CrawlerTargets::builder().s3_targets(target("s3://b/other/")).build();
        let Ok(Plan::Update(targets)) =
            plan(&wish(true), Some(&of_targets(theirs)), &[place("t"), place("u")])
        else {
            panic!()
        };
        let paths: Vec<_> = targets.s3_targets().iter().filter_map(S3Target::path).collect();
        assert_eq!(paths, ["s3://b/other/", "s3://b/lake/t/", "s3://b/lake/u/"]);
    }

    #[test]
    fn a_crawler_of_another_database_is_not_taken_over() {
        let other = Crawler::builder().database_name("x").build();
        assert!(plan(&wish(true), Some(&other), &[]).unwrap_err().contains("`x`"));
    }
}
