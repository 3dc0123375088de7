//! The settings of a REST catalog of Iceberg.

use std::collections::BTreeMap;

use lake::{RestAuth, RestOptions};
use program::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Settings of a catalog that speaks Iceberg's REST protocol: Polaris, Lakekeeper, Nessie, Unity, Glue, S3 Tables.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct RestConfig {
    /// Its address, without `/v1`.
    #[schemars(extend("examples" = ["https://polaris.example.com/api/catalog", "https://glue.eu-central-1.amazonaws.com/iceberg"]))]
    pub(crate) uri: Option<String>,

    /// Which of its warehouses, as the server calls them: a name, a path, an account or an ARN.
    pub(crate) warehouse: Option<String>,

    /// Namespace of the tables, its levels with `.` between them. It is made if it is not there.
    pub(crate) namespace: Option<String>,

    /// Token for all requests, which somebody else renews.
    pub(crate) token: Option<Secret>,

    /// Client id and secret, `id:secret`, for which a token is fetched and renewed (OAuth 2).
    pub(crate) credential: Option<Secret>,

    /// Where the token is fetched. Default: `<uri>/v1/oauth/tokens`.
    pub(crate) oauth2_server_uri: Option<String>,

    /// Scope that the token is asked for.
    #[schemars(extend("examples" = ["PRINCIPAL_ROLE:ALL"]))]
    pub(crate) scope: Option<String>,

    /// Sign requests for this service of AWS (`SigV4`), `glue` or `s3tables`, with the credentials of `s3`.
    pub(crate) signing_name: Option<String>,

    /// AWS region of that service. Default: the one of `s3`.
    pub(crate) signing_region: Option<String>,

    /// Headers that go with every request, such as `{"Polaris-Realm": "…"}`.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Secret>,

    /// Where tables lie: `lake` below `destination`, or where the `catalog` has put them on S3. It is then asked for
    /// credentials for them, and those of `s3` are used where it hands out none.
    #[serde(default)]
    pub(crate) location: Place,
}

/// Who says where a new table lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// The lake.
    #[default]
    Lake,
    /// The catalog.
    Catalog,
}

/// What a token is asked for where nobody says, as Iceberg's own clients do.
const SCOPE: &str = "catalog";

impl RestConfig {
    /// Checks what the types cannot.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let fault = |key: &str, reason: &str| {
            Err(Error::Setting { key: format!("catalog.rest.{key}"), reason: reason.into() })
        };
        let uri = self.uri.as_deref().unwrap_or_default();
        if !uri.starts_with("https://") && !uri.starts_with("http://") {
            return fault("uri", "it must be the address of a catalog, https://host/path");
        }
        let what = "requests and what they are known by go";
        program::warn_of_plain_http("catalog.rest.uri", Some(uri), what);
        let server = self.oauth2_server_uri.as_deref();
        program::warn_of_plain_http("catalog.rest.oauth2_server_uri", server, what);
        let levels = self.levels();
        if levels.is_empty() || levels.iter().any(String::is_empty) {
            return fault("namespace", "it is missing, or has an empty level; write a or a.b");
        }
        let (token, credential) = (self.token.is_some(), self.credential.is_some());
        let signing = self.signing_name.is_some();
        if usize::from(token) + usize::from(credential) + usize::from(signing) > 1 {
            let key = if token { "token" } else { "credential" };
            return fault(key, "set one of `token`, `credential` and `signing_name`");
        }
        for (key, is_set, needed, is_there) in [
            ("oauth2_server_uri", server.is_some(), "credential", credential),
            ("scope", self.scope.is_some(), "credential", credential),
            ("signing_region", self.signing_region.is_some(), "signing_name", signing),
        ] {
            if is_set && !is_there {
                return fault(key, &format!("it does nothing without `{needed}`"));
            }
        }
        Ok(())
    }

    fn levels(&self) -> Vec<String> {
        self.namespace.iter().flat_map(|levels| levels.split('.')).map(str::to_owned).collect()
    }

    /// What the lake gets of it.
    pub(super) fn options(&self, table_prefix: Option<&String>) -> RestOptions {
        let secret = |secret: &Secret| lake::Secret::new(secret.expose());
        let auth = match (&self.token, &self.credential, &self.signing_name) {
            (Some(token), _, _) => RestAuth::Token(secret(token)),
            (None, Some(credential), _) => RestAuth::OAuth2 {
                credential: secret(credential),
                server: self.oauth2_server_uri.clone(),
                scope: self.scope.clone().unwrap_or_else(|| SCOPE.into()),
            },
            (None, None, Some(service)) => {
                RestAuth::SigV4 { service: service.clone(), region: self.signing_region.clone() }
            }
            (None, None, None) => RestAuth::None,
        };
        let headers = self.headers.iter();
        RestOptions {
            uri: self.uri.clone().unwrap_or_default(),
            warehouse: self.warehouse.clone(),
            namespace: self.levels(),
            table_prefix: table_prefix.cloned(),
            server_places: self.location == Place::Catalog,
            auth,
            headers: headers.map(|(name, value)| (name.clone(), secret(value))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> RestConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_their_key() {
        for (text, key) in [
            (r#"{"namespace":"n"}"#, "uri"),
            (r#"{"uri":"host","namespace":"n"}"#, "uri"),
            (r#"{"uri":"https://h"}"#, "namespace"),
            (r#"{"uri":"https://h","namespace":"a..b"}"#, "namespace"),
            (r#"{"uri":"https://h","namespace":"n","token":"t","credential":"c"}"#, "token"),
            (
                r#"{"uri":"https://h","namespace":"n","credential":"c","signing_name":"glue"}"#,
                "credential",
            ),
            (r#"{"uri":"https://h","namespace":"n","scope":"s"}"#, "scope"),
            (
                r#"{"uri":"https://h","namespace":"n","oauth2_server_uri":"https://o"}"#,
                "oauth2_server_uri",
            ),
            (r#"{"uri":"https://h","namespace":"n","signing_region":"r"}"#, "signing_region"),
        ] {
            let error = config(text).validate().unwrap_err().to_string();
            assert!(error.contains(&format!("`catalog.rest.{key}`")), "{error}");
        }
    }

    #[test]
    fn the_lake_gets_the_settings_under_its_own_names() {
        let text = r#"{"uri":"https://h","namespace":"a.b","warehouse":"w","location":"catalog","headers":{"X":"y"},
            "credential":"id:secret"}"#;
        config(text).validate().unwrap();
        let options = config(text).options(Some(&"p_".into()));
        assert_eq!(options.namespace, ["a", "b"]);
        assert_eq!(options.table_prefix.as_deref(), Some("p_"));
        assert_eq!((options.warehouse.as_deref(), options.server_places), (Some("w"), true));
        assert_eq!(options.headers[0].0, "X");
        assert!(matches!(&options.auth, RestAuth::OAuth2 { scope, .. } if scope == "catalog"));
        let shown = format!("{options:?}");
        assert!(!shown.contains("id:secret") && !shown.contains('y'), "{shown}");
        let text = r#"{"uri":"https://h","namespace":"a","signing_name":"s3tables"}"#;
        let auth = config(text).options(None).auth;
        assert!(matches!(auth, RestAuth::SigV4 { service, region: None } if service == "s3tables"));
    }
}
