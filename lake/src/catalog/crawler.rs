//! A crawler compared with the one that the options ask for, and its last crawl judged. No request
//! is made here.

use aws_sdk_glue::types::{Crawler, CrawlerTargets, LastCrawlInfo, LastCrawlStatus, S3Target};

use super::api::CrawlerSpec;

/// What lies under a table's prefix and is no data of it.
const EXCLUSIONS: [&str; 2] = ["**/_*", "**/.*"];

/// Where Glue logs crawls unless a crawler's log says otherwise
/// (<https://docs.aws.amazon.com/glue/latest/dg/console-crawlers.html>).
const LOG_GROUP: &str = "/aws-glue/crawlers";

/// What has to be done to a crawler before it is started.
#[derive(Debug, PartialEq)]
pub(super) enum CrawlerChange {
    /// Nothing.
    None,
    /// Make it with these targets.
    Create(CrawlerTargets),
    /// Replace its targets by these.
    Update(CrawlerTargets),
}

/// A table that a crawler must cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Its name in the catalog.
    pub(super) table: String,
    /// Where its files are, with a slash behind it.
    pub(super) location: String,
}

impl Target {
    fn on_s3(&self) -> S3Target {
        S3Target::builder()
            .path(&self.location)
            .set_exclusions(Some(EXCLUSIONS.map(str::to_owned).to_vec()))
            .build()
    }

    /// Whether a crawler of this database covers the table: by a prefix of its location, or by name.
    fn is_covered(&self, targets: &CrawlerTargets, database: &str) -> bool {
        let is_above = |path: &str| {
            let rest = self.location.strip_prefix(path.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let on_s3 = targets.s3_targets().iter().any(|target| target.path().is_some_and(is_above));
        on_s3
            || targets.catalog_targets().iter().any(|target| {
                target.database_name == database && target.tables.contains(&self.table)
            })
    }
}

impl CrawlerChange {
    /// Compares the crawler that is there with the spec; the targets are those that it must cover.
    /// A reason for people where it is not for this lake.
    pub(super) fn required(
        spec: &CrawlerSpec,
        found: Option<&Crawler>,
        targets: &[Target],
    ) -> Result<Self, String> {
        let Some(found) = found else {
            if !spec.create {
                return Err("it does not exist; make it, or set `catalog.crawler.create`".into());
            }
            let targets = targets.iter().map(Target::on_s3).collect();
            let targets = CrawlerTargets::builder().set_s3_targets(Some(targets)).build();
            return Ok(Self::Create(targets));
        };
        check_ownership(spec, found)?;
        let mut all = found.targets.clone().unwrap_or_else(|| CrawlerTargets::builder().build());
        let missing: Vec<&Target> =
            targets.iter().filter(|target| !target.is_covered(&all, &spec.database)).collect();
        if let (Some(target), false) = (missing.first(), spec.create) {
            return Err(format!(
                "it does not crawl {}; give it that target, or set `catalog.crawler.create`",
                target.location
            ));
        }
        let has_role = match (&spec.role, spec.create) {
            (Some(role), true) => found.role().map(role_name) == Some(role_name(role)),
            (Some(_), false) | (None, _) => true,
        };
        if missing.is_empty() && has_role {
            return Ok(Self::None);
        }
        let added = missing.into_iter().map(Target::on_s3);
        all.s3_targets.get_or_insert_default().extend(added);
        Ok(Self::Update(all))
    }
}

/// Whether the crawler writes to the spec's database, with the spec's prefix.
fn check_ownership(spec: &CrawlerSpec, found: &Crawler) -> Result<(), String> {
    let database = found.database_name().unwrap_or_default();
    if database != spec.database {
        return Err(format!(
            "it writes to the database `{database}`, the settings say `{}`; correct `catalog.database` or name another crawler",
            spec.database
        ));
    }
    let prefix = found.table_prefix().unwrap_or_default();
    match &spec.table_prefix {
        Some(own) if own != prefix => Err(format!(
            "it puts `{prefix}` before the names of tables, the settings say `{own}`; correct `catalog.table_prefix` or name another crawler",
        )),
        Some(_) | None => Ok(()),
    }
}

/// Glue names a role by its ARN or by its name alone.
fn role_name(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or(role)
}

/// When the last crawl began, as a word that another crawl has not; empty where there was none. It is
/// stored in the notes of the lake.
pub(super) fn last_start(crawler: &Crawler) -> String {
    crawler.last_crawl().map(start_of).unwrap_or_default()
}

fn start_of(crawl: &LastCrawlInfo) -> String {
    let start = crawl.start_time();
    start.map(|time| format!("{}.{:09}", time.secs(), time.subsec_nanos())).unwrap_or_default()
}

/// The last crawl, if it is another than the one that began at `after`.
pub(super) fn crawl_since<'a>(crawler: &'a Crawler, after: &str) -> Option<&'a LastCrawlInfo> {
    crawler.last_crawl().filter(|crawl| start_of(crawl) != after)
}

/// Whether a crawl has succeeded since the one that began at `after`.
pub(super) fn has_succeeded_since(crawler: &Crawler, after: &str) -> bool {
    crawl_since(crawler, after).is_some_and(|crawl| outcome(crawl).is_ok())
}

/// How a crawl ended, for people where it did not end well.
pub(super) fn outcome(crawl: &LastCrawlInfo) -> Result<(), String> {
    if crawl.status() == Some(&LastCrawlStatus::Succeeded) {
        return Ok(());
    }
    let status = crawl.status().map_or("unknown", LastCrawlStatus::as_str);
    let message = crawl.error_message().map(|text| format!(": {text}")).unwrap_or_default();
    let group = crawl.log_group().unwrap_or(LOG_GROUP);
    let stream = crawl.log_stream().unwrap_or_default();
    Err(format!("the crawl was {status}{message}; its log is {group}, stream {stream}"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_glue::primitives::DateTime;
    use aws_sdk_glue::types::CatalogTarget;

    use super::*;

    fn spec(create: bool) -> CrawlerSpec {
        CrawlerSpec {
            name: "c".into(),
            create,
            role: Some("arn:aws:iam::1:role/path/crawler".into()),
            database: "d".into(),
            table_prefix: None,
        }
    }

    fn crawler(targets: CrawlerTargets) -> Crawler {
        Crawler::builder().database_name("d").role("crawler").targets(targets).build()
    }

    fn target(table: &str) -> Target {
        Target { table: table.into(), location: format!("s3://b/lake/{table}/") }
    }

    fn paths(targets: &CrawlerTargets) -> Vec<&str> {
        targets.s3_targets().iter().filter_map(S3Target::path).collect()
    }

    fn on_s3(path: &str) -> CrawlerTargets {
        CrawlerTargets::builder().s3_targets(S3Target::builder().path(path).build()).build()
    }

    #[test]
    fn a_target_covers_what_is_below_it_and_nothing_beside_it() {
        let required = |found: CrawlerTargets| {
            CrawlerChange::required(&spec(false), Some(&crawler(found)), &[target("t")])
        };
        assert_eq!(required(on_s3("s3://b/lake/t")), Ok(CrawlerChange::None));
        assert_eq!(required(on_s3("s3://b/lake/")), Ok(CrawlerChange::None));
        assert!(required(on_s3("s3://b/lake/t2/")).is_err());
        assert!(required(on_s3("s3://b/la")).is_err());
        let by_name = |database: &str| {
            let tables = CatalogTarget::builder().database_name(database).tables("t");
            CrawlerTargets::builder().catalog_targets(tables.build().unwrap()).build()
        };
        assert_eq!(required(by_name("d")), Ok(CrawlerChange::None));
        assert!(required(by_name("other")).unwrap_err().contains("s3://b/lake/t/"));
    }

    #[test]
    fn targets_are_added_and_none_is_taken_away() {
        let theirs = crawler(on_s3("s3://b/other/"));
        let targets = [target("t"), target("u")];
        let change = CrawlerChange::required(&spec(true), Some(&theirs), &targets).unwrap();
        let CrawlerChange::Update(targets) = change else { panic!("{change:?}") };
        assert_eq!(paths(&targets), ["s3://b/other/", "s3://b/lake/t/", "s3://b/lake/u/"]);
    }

    #[test]
    fn a_new_crawler_has_a_target_for_every_table_and_leaves_out_what_is_hidden() {
        let targets = [target("t"), target("u")];
        let change = CrawlerChange::required(&spec(true), None, &targets).unwrap();
        let CrawlerChange::Create(targets) = change else { panic!("{change:?}") };
        assert_eq!(paths(&targets), ["s3://b/lake/t/", "s3://b/lake/u/"]);
        assert_eq!(targets.s3_targets()[0].exclusions(), ["**/_*", "**/.*"]);
        let refused = CrawlerChange::required(&spec(false), None, &[]).unwrap_err();
        assert!(refused.contains("does not exist"), "{refused}");
    }

    #[test]
    fn another_role_is_replaced_where_the_crawler_is_ours_to_change() {
        let mut found = crawler(on_s3("s3://b/lake/"));
        let required =
            |spec: &CrawlerSpec, found: &Crawler| CrawlerChange::required(spec, Some(found), &[]);
        assert_eq!(required(&spec(true), &found), Ok(CrawlerChange::None));
        found.role = Some("arn:aws:iam::1:role/other".into());
        let update = CrawlerChange::Update(on_s3("s3://b/lake/"));
        assert_eq!(required(&spec(true), &found), Ok(update));
        assert_eq!(required(&spec(false), &found), Ok(CrawlerChange::None));
    }

    #[test]
    fn a_crawler_of_another_database_or_prefix_is_not_taken_over() {
        let other = Crawler::builder().database_name("x").build();
        let refused = |spec: &CrawlerSpec, found: &Crawler| {
            CrawlerChange::required(spec, Some(found), &[]).unwrap_err()
        };
        assert!(refused(&spec(true), &other).contains("`x`"));
        let prefixed = CrawlerSpec { table_prefix: Some("raw_".into()), ..spec(true) };
        let found = Crawler::builder().database_name("d").table_prefix("old_").build();
        let reason = refused(&prefixed, &found);
        assert!(reason.contains("`old_`") && reason.contains("`raw_`"), "{reason}");
    }

    #[test]
    fn only_another_crawl_than_the_last_one_known_counts() {
        let crawled = |start: i64, status: LastCrawlStatus| {
            let last =
                LastCrawlInfo::builder().status(status).start_time(DateTime::from_secs(start));
            Crawler::builder().last_crawl(last.build()).build()
        };
        let never = Crawler::builder().build();
        assert_eq!(last_start(&never), "");
        assert!(!has_succeeded_since(&never, ""));
        let first = crawled(1, LastCrawlStatus::Succeeded);
        assert!(has_succeeded_since(&first, ""));
        assert!(!has_succeeded_since(&first, &last_start(&first)));
        let second = crawled(2, LastCrawlStatus::Failed);
        assert!(crawl_since(&second, &last_start(&first)).is_some());
        assert!(!has_succeeded_since(&second, &last_start(&first)));
    }
}
