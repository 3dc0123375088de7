//! What a catalog hands out with a table so that its files can be read and written: where S3 is, and credentials for a
//! while
//! (<https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml>, `LoadTableResult`,
//! `StorageCredential`; the keys are those of
//! <https://iceberg.apache.org/docs/latest/aws/#s3-fileio>).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::aws::{Aws, Lender, Lent};
use crate::error::Result;
use crate::format::iceberg::places::{Places, Reach, plain};
use crate::options::{Credentials, Options, S3Options};

/// What a request says so that the answer has credentials.
pub(super) const HEADER: (&str, &str) = ("x-iceberg-access-delegation", "vended-credentials");

/// Where S3 is asked when the catalog names no region, as in the rest of this program.
const FALLBACK_REGION: &str = "us-east-1";

/// What was handed out for names that begin in one way.
struct Vended {
    prefix: String,
    endpoint: Option<String>,
    region: Option<String>,
    path_style: Option<bool>,
    credentials: Option<Credentials>,
    until: Option<SystemTime>,
}

impl Vended {
    /// That of a table's answer: one for each prefix, and one for the table where only its settings have it.
    fn all(location: &str, answer: &Value) -> Vec<Self> {
        let general = &answer["config"];
        let listed = answer["storage-credentials"].as_array().into_iter().flatten();
        let mut all: Vec<Self> = listed
            .filter_map(|given| Self::of(given["prefix"].as_str()?, &given["config"], general))
            .collect();
        let own = format!("{}/", location.trim_end_matches('/'));
        if !all.iter().any(|given| plain(&own).starts_with(&given.prefix)) {
            all.extend(Self::of(&own, general, general));
        }
        all
    }

    /// Nothing where it says nothing of S3.
    fn of(prefix: &str, config: &Value, general: &Value) -> Option<Self> {
        let prefix = plain(prefix);
        // A credential of another store has a prefix of its scheme.
        if !prefix.starts_with("s3") {
            return None;
        }
        let text = |key: &str| {
            let found = config[key].as_str().or_else(|| general[key].as_str())?;
            (!found.is_empty()).then(|| found.to_owned())
        };
        let secret = |key: &str| config[key].as_str().map(str::to_owned);
        let credentials = secret("s3.access-key-id").zip(secret("s3.secret-access-key"));
        let credentials = credentials.map(|(access_key_id, secret_access_key)| Credentials {
            access_key_id,
            secret_access_key,
            session_token: secret("s3.session-token").filter(|token| !token.is_empty()),
        });
        let number = |key: &str| {
            let value = &config[key];
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        };
        let until = number("s3.session-token-expires-at-ms").map(Duration::from_millis);
        let given = Self {
            prefix,
            endpoint: text("s3.endpoint"),
            region: text("client.region").or_else(|| text("s3.region")),
            path_style: text("s3.path-style-access").map(|text| text == "true"),
            credentials,
            until: until.and_then(|until| SystemTime::UNIX_EPOCH.checked_add(until)),
        };
        let says_something =
            given.credentials.is_some() || given.endpoint.is_some() || given.region.is_some();
        says_something.then_some(given)
    }

    /// How S3 is asked. What is set for objects of the lake is not for those of a catalog.
    fn settings(&self, own: &S3Options) -> S3Options {
        let general = S3Options {
            region: self.region.clone().or_else(|| own.region.clone()),
            endpoint_url: self.endpoint.clone(),
            force_path_style: self.path_style,
            request_timeout_seconds: own.request_timeout_seconds,
            checksum: own.checksum,
            conditional_writes: own.conditional_writes,
            ..S3Options::default()
        };
        match &self.credentials {
            Some(_) => general,
            // Those of the lake are good there as well.
            None => S3Options {
                endpoint_url: self.endpoint.clone().or_else(|| own.endpoint_url.clone()),
                force_path_style: self.path_style.or(own.force_path_style),
                ..general
            },
        }
    }

    /// Makes it known, in the place of what was handed out before.
    fn lend(self, places: &Places, lender: &Lender) -> Result<()> {
        let settings = self.settings(&places.aws().options().s3);
        let known = places.lent().get(&self.prefix).map(Arc::clone);
        if let Some(known) = known
            && known.is(&settings, self.credentials.is_some())
        {
            if let Some((lent, credentials)) = known.lent.as_ref().zip(self.credentials) {
                lent.take(credentials, self.until, Arc::clone(lender));
            }
            return Ok(());
        }
        let lent = self.credentials.clone().map(|credentials| {
            let lender = Arc::clone(lender);
            Arc::new(Lent::new(self.prefix.clone(), credentials, self.until, lender))
        });
        let base = match &self.credentials {
            Some(_) => places.bare(|| bare(places.aws(), &settings)),
            None => places.aws().clone(),
        };
        let reach = Reach::lent(base.elsewhere(settings, lent.as_ref())?, lent);
        places.lent().insert(self.prefix, Arc::new(reach));
        Ok(())
    }
}

/// An AWS whose region and credentials are looked for nowhere, because each client of it is told its own.
fn bare(own: &Aws, settings: &S3Options) -> Aws {
    let nobody = || "nobody".to_owned();
    let nobody =
        Credentials { access_key_id: nobody(), secret_access_key: nobody(), session_token: None };
    let s3 = S3Options {
        region: settings.region.clone().or_else(|| Some(FALLBACK_REGION.into())),
        credentials: Some(nobody),
        ..settings.clone()
    };
    Aws::new(&Options { s3, ..own.options().clone() })
}

/// Makes what an answer hands out known to those who read and write the table's files. The lender is asked for more.
pub(super) fn lend(places: &Places, location: &str, answer: &Value, lender: &Lender) -> Result<()> {
    Vended::all(location, answer).into_iter().try_for_each(|given| given.lend(places, lender))
}

/// Whether an answer hands out credentials.
pub(super) fn has_credentials(answer: &Value) -> bool {
    answer["storage-credentials"].as_array().is_some_and(|given| !given.is_empty())
        || answer["config"]["s3.access-key-id"].is_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(answer: &Value) -> Vec<(String, Option<String>, Option<String>)> {
        let all = Vended::all("s3a://b/ns/t/", answer).into_iter();
        let key = |given: &Vended| given.credentials.as_ref().map(|own| own.access_key_id.clone());
        all.map(|given| (given.prefix.clone(), key(&given), given.endpoint.clone())).collect()
    }

    #[test]
    fn credentials_are_of_their_prefix_and_else_of_the_table() {
        let one = |key: &str| json!({"s3.access-key-id": key, "s3.secret-access-key": "hidden"});
        let config = |key: &str| {
            let mut config = one(key);
            config["s3.endpoint"] = "http://h:1".into();
            config
        };
        let server = || Some("http://h:1".to_owned());
        let own = |prefix: &str, key: &str| (prefix.to_owned(), Some(key.to_owned()), server());
        assert_eq!(of(&json!({"config": config("A")})), [own("s3://b/ns/t/", "A")]);
        let listed = json!([
            {"prefix": "s3://b/ns", "config": one("B")},
            {"prefix": "s3://b/ns/t/", "config": one("C")},
            {"prefix": "gs://b", "config": {"gcs.oauth2.token": "hidden"}},
        ]);
        let answer = json!({"config": config("A"), "storage-credentials": listed});
        assert_eq!(of(&answer), [own("s3://b/ns", "B"), own("s3://b/ns/t/", "C")]);
        assert_eq!(of(&json!({"config": {"token": "hidden"}})), []);
        let elsewhere = json!({"config": {"s3.endpoint": "http://h:1"}});
        assert_eq!(of(&elsewhere), [("s3://b/ns/t/".to_owned(), None, server())]);
    }

    #[test]
    fn its_end_may_be_a_number_or_a_text_and_encryption_is_not_that_of_the_lake() {
        let until = |end: Value| {
            let config = json!({"s3.access-key-id": "A", "s3.secret-access-key": "s", "s3.session-token-expires-at-ms": end});
            Vended::of("s3://b/", &config, &json!({})).unwrap().until
        };
        let end = SystemTime::UNIX_EPOCH + Duration::from_millis(7);
        assert_eq!(
            (until(json!("7")), until(json!(7)), until(json!(null))),
            (Some(end), Some(end), None)
        );
        let given = Vended::of("s3", &json!({"client.region": "r"}), &json!({})).unwrap();
        let lake = S3Options {
            storage_class: Some("X".into()),
            expected_bucket_owner: Some("1".into()),
            ..S3Options::default()
        };
        let settings = given.settings(&lake);
        assert_eq!((settings.storage_class, settings.expected_bucket_owner), (None, None));
        assert_eq!(settings.region.as_deref(), Some("r"));
    }
}
