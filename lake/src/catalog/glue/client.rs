//! The client of one database of the Glue Data Catalog, and what its errors call things.

use std::sync::Arc;

use aws_sdk_glue::Client;
use aws_sdk_glue::config::Region;
use aws_sdk_glue::config::retry::RetryConfig;
use aws_sdk_glue::types::{ErrorDetail, PartitionValueList};

use crate::aws::{Aws, Session};
use crate::catalog::options::Options;
use crate::catalog::rejection::{Reason, Rejection};
use crate::error::{Error, Result};

/// Tries of one request, the first included. The next run tries again what does not succeed.
const ATTEMPTS: u32 = 5;

/// A database of the catalog.
#[derive(Debug)]
pub(crate) struct Glue {
    pub(super) session: Arc<Session>,
    pub(super) client: Client,
    region: String,
    pub(super) database: String,
    pub(super) catalog_id: Option<String>,
}

impl Glue {
    /// Opens the database that the settings name. Nothing is asked of it yet.
    pub(crate) fn open(options: &Options, aws: &Aws) -> Result<Self> {
        let session = aws.session()?;
        let shared = &session.config;
        let region = options.region.clone();
        let Some(region) = region.or_else(|| shared.region().map(ToString::to_string)) else {
            return Err(Error::Option {
                name: "catalog.region",
                reason: "no region is known; set it, `s3.region` or AWS_REGION".into(),
            });
        };
        let mut builder = aws_sdk_glue::config::Builder::from(shared)
            .region(Region::new(region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(endpoint) = &options.endpoint_url {
            builder = builder.endpoint_url(endpoint);
        }
        let client = Client::from_conf(builder.build());
        Ok(Self {
            session,
            client,
            region,
            database: options.database.clone(),
            catalog_id: options.catalog_id.clone(),
        })
    }

    /// The ARN of something in the catalog; the account is not known before Glue has named it. The
    /// regions of China and of the government have partitions of their own
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
    pub(super) fn arn(&self, account: Option<&str>, resource: &str) -> String {
        let partition = match self.region.get(..3) {
            Some("cn-") => "aws-cn",
            Some("us-") if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let account = account.or(self.catalog_id.as_deref()).unwrap_or("*");
        format!("arn:{partition}:glue:{}:{account}:{resource}", self.region)
    }

    /// Waits for the answer to a request.
    pub(super) fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        self.session.runtime.block_on(Box::pin(request))
    }

    /// The values of partitions as a request names them.
    pub(super) fn value_lists(
        &self,
        operation: &str,
        table: &str,
        values: &[String],
    ) -> Result<Vec<PartitionValueList>, Rejection> {
        let list = |value: &String| PartitionValueList::builder().values(value).build();
        values
            .iter()
            .map(list)
            .collect::<Result<_, _>>()
            .map_err(|error| Rejection::unbuilt(operation, self.arn_of_table(table, None), error))
    }

    /// Items of a batch that were rejected. How many for the reason that is harmless.
    pub(super) fn items<'a>(
        &self,
        operation: &str,
        table: &str,
        harmless: Reason,
        items: impl Iterator<Item = (Option<&'a [String]>, Option<&'a ErrorDetail>)>,
    ) -> Result<usize, Rejection> {
        let mut count = 0;
        for (values, detail) in items {
            let code = detail.and_then(ErrorDetail::error_code).unwrap_or_default();
            let message = detail.and_then(ErrorDetail::error_message).unwrap_or_default();
            let object = format!(
                "{}, partition {:?}",
                self.arn_of_table(table, None),
                values.unwrap_or_default()
            );
            let rejection = Rejection::new(operation, object, code, message);
            if rejection.reason != harmless {
                return Err(rejection);
            }
            count += 1;
        }
        Ok(count)
    }

    /// The ARN of a table, with its account where the table itself has named it.
    pub(super) fn arn_of_table(&self, name: &str, account: Option<&str>) -> String {
        self.arn(account, &format!("table/{}/{name}", self.database))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::options::Method;

    fn glue(region: &str, catalog_id: Option<&str>) -> Glue {
        let options = Options {
            method: Method::Registration,
            database: "d".into(),
            table_prefix: None,
            catalog_id: catalog_id.map(str::to_owned),
            region: Some(region.to_owned()),
            endpoint_url: None,
        };
        Glue::open(&options, &Aws::new(&crate::options::Options::default())).unwrap()
    }

    #[test]
    fn an_arn_has_the_partition_of_its_region_and_the_account_that_is_known() {
        for (region, catalog_id, account, expected) in [
            ("eu-west-1", None, None, "arn:aws:glue:eu-west-1:*:table/d/t"),
            ("eu-west-1", Some("1"), None, "arn:aws:glue:eu-west-1:1:table/d/t"),
            ("cn-north-1", Some("1"), Some("2"), "arn:aws-cn:glue:cn-north-1:2:table/d/t"),
            ("us-gov-west-1", None, None, "arn:aws-us-gov:glue:us-gov-west-1:*:table/d/t"),
        ] {
            assert_eq!(glue(region, catalog_id).arn_of_table("t", account), expected);
        }
    }

    #[test]
    fn an_item_of_a_batch_that_is_rejected_is_named_unless_that_is_harmless() {
        let glue = glue("eu-west-1", None);
        let detail = |code: &str| ErrorDetail::builder().error_code(code).build();
        let (there, denied) = (detail("AlreadyExistsException"), detail("AccessDeniedException"));
        let values = ["2026-01".to_owned()];
        let items = |detail| {
            let item = (Some(&values[..]), Some(detail));
            glue.items("BatchCreatePartition", "t", Reason::Exists, [item, item].into_iter())
        };
        assert_eq!(items(&there).unwrap(), 2);
        let rejection = items(&denied).unwrap_err();
        assert_eq!(rejection.reason, Reason::Denied);
        let text = rejection.to_string();
        assert!(text.contains(r#"table/d/t, partition ["2026-01"]"#), "{text}");
        let unknown = [(None, None)].into_iter();
        assert!(glue.items("BatchCreatePartition", "t", Reason::Exists, unknown).is_err());
    }
}
