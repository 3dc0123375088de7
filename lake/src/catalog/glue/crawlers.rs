//! Crawlers: requests, and nothing else.

use aws_sdk_glue::types::{
    Crawler, CrawlerTargets, DeleteBehavior, SchemaChangePolicy, UpdateBehavior,
};

use super::client::Glue;
use crate::catalog::api::{CrawlerApi, CrawlerSpec};
use crate::catalog::rejection::{Reason, Rejection};

/// How a crawler that we make treats what it finds: new columns are added and none is changed, and
/// partitions have the columns of their table
/// (<https://docs.aws.amazon.com/glue/latest/dg/crawler-schema-changes-prevent.html>).
const CRAWLER_CONFIGURATION: &str = r#"{"Version":1.0,"CrawlerOutput":{"Partitions":{"AddOrUpdateBehavior":"InheritFromTable"},"Tables":{"AddOrUpdateBehavior":"MergeNewColumns"}}}"#;

impl CrawlerApi for Glue {
    fn crawler(&self, name: &str) -> Result<Option<Crawler>, Rejection> {
        let found =
            self.session.runtime.block_on(Box::pin(self.client.get_crawler().name(name).send()));
        match found.map_err(|error| Rejection::of("GetCrawler", self.crawler_arn(name), error)) {
            Ok(found) => found.crawler.map(Some).ok_or_else(|| {
                Rejection::incomplete("GetCrawler", self.crawler_arn(name), "a crawler")
            }),
            Err(rejection) if rejection.reason == Reason::Missing => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }

    fn create_crawler(&self, spec: &CrawlerSpec, targets: CrawlerTargets) -> Result<(), Rejection> {
        let policy = SchemaChangePolicy::builder()
            .update_behavior(UpdateBehavior::UpdateInDatabase)
            .delete_behavior(DeleteBehavior::Log)
            .build();
        let request = self
            .client
            .create_crawler()
            .name(&spec.name)
            .set_role(spec.role.clone())
            .database_name(&self.database)
            .description("Tables of target-s3-parquet")
            .set_table_prefix(spec.table_prefix.clone())
            .targets(targets)
            .schema_change_policy(policy)
            .configuration(CRAWLER_CONFIGURATION);
        let made = self.wait(request.send());
        made.map(drop)
            .map_err(|error| Rejection::of("CreateCrawler", self.crawler_arn(&spec.name), error))
    }

    fn update_crawler(&self, spec: &CrawlerSpec, targets: CrawlerTargets) -> Result<(), Rejection> {
        let request = self
            .client
            .update_crawler()
            .name(&spec.name)
            .set_role(spec.role.clone())
            .targets(targets);
        let done = self.wait(request.send());
        done.map(drop)
            .map_err(|error| Rejection::of("UpdateCrawler", self.crawler_arn(&spec.name), error))
    }

    fn start_crawler(&self, name: &str) -> Result<(), Rejection> {
        let started =
            self.session.runtime.block_on(Box::pin(self.client.start_crawler().name(name).send()));
        started
            .map(drop)
            .map_err(|error| Rejection::of("StartCrawler", self.crawler_arn(name), error))
    }

    fn crawler_arn(&self, name: &str) -> String {
        self.arn(None, &format!("crawler/{name}"))
    }
}
