//! Secrets that lie open: in a file that others on the machine can read, or on the way to a server that
//! is spoken to without encryption. Both work, so both are a warning.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use url::{Host, Url};

use crate::settings::{Document, is_secret};

/// Reading, writing and executing by the group and by all others.
const OTHERS: u32 = 0o077;

/// Warns of files of settings that hold a secret and that others than their owner can read.
pub(crate) fn warn_of_files(documents: &[Document], schema: &Value) {
    for document in documents {
        let Ok(file) = std::fs::metadata(&document.name) else { continue };
        // A pipe, such as <(command) makes one, has no name by which others could open it.
        let is_open = file.is_file() && file.permissions().mode() & OTHERS != 0;
        let settings = document.object().map(Value::Object);
        if let Some(key) = settings.ok().and_then(|settings| secret(&settings, schema, ""))
            && is_open
        {
            let name = &document.name;
            tracing::warn!(
                "{name} holds the secret `{key}` and can be read by other users: chmod 600 {name}"
            );
        }
    }
}

/// The first secret that settings have.
fn secret(settings: &Value, schema: &Value, prefix: &str) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    properties.iter().find_map(|(name, schema)| {
        let (value, key) = (settings.get(name)?, format!("{prefix}{name}"));
        match value.as_str() {
            Some(text) => (is_secret(schema) && !text.trim().is_empty()).then_some(key),
            None => secret(value, schema, &format!("{key}.")),
        }
    })
}

/// Warns where a URL of the settings begins with `http://` and leads to another machine. `what` goes
/// there unencrypted.
pub fn warn_of_plain_http(key: &str, url: Option<&str>, what: &str) {
    if let Some(host) = url.and_then(plain_host) {
        tracing::warn!(
            "`{key}` is http:// to {host}: {what} unencrypted, for everybody on the way to read; use https://"
        );
    }
}

/// The other machine that is spoken to without encryption.
fn plain_host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    let host = url.host()?;
    let is_here = match &host {
        // https://www.rfc-editor.org/rfc/rfc6761#section-6.3
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    };
    (!is_here).then(|| host.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_secret_is_named_by_its_path() {
        let schema = json!({"properties": {
            "token": {"type": "string", "secret": true},
            "salt": {"type": ["null", "string"], "secret": true},
            "url": {"type": "string"},
            "s3": {"properties": {"key": {"secret": true}, "region": {}}},
        }});
        for (settings, expected) in [
            (json!({"token": "t", "s3": {"key": "k"}}), Some("token")),
            (json!({"token": "", "url": "u", "s3": {"region": "r", "key": "k"}}), Some("s3.key")),
            (json!({"token": " ", "salt": null, "url": "u", "s3": {"region": "r"}}), None),
            (json!({"s3": "key", "other": "token"}), None),
            (json!([]), None),
        ] {
            assert_eq!(secret(&settings, &schema, "").as_deref(), expected, "{settings}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for url in [
            "https://api.wistia.com/v1",
            "http://localhost:8080/v1",
            "http://LOCALHOST./",
            "http://s3.localhost:9000",
            "http://127.0.0.1",
            "http://127.9.9.9:1/v1",
            "http://2130706433/",
            "http://[::1]:80/",
            "http://[::ffff:127.0.0.1]/",
            "no url",
        ] {
            assert_eq!(plain_host(url), None, "{url}");
        }
        for (url, host) in [
            ("http://api.wistia.com/v1", "api.wistia.com"),
            ("HTTP://user:secret@minio:9000", "minio"),
            ("http://localhost.example.com", "localhost.example.com"),
            ("http://127.0.0.1.example.com", "127.0.0.1.example.com"),
            ("http://10.0.0.1", "10.0.0.1"),
            ("http://0.0.0.0", "0.0.0.0"),
            ("http://[2001:db8::1]/", "[2001:db8::1]"),
        ] {
            assert_eq!(plain_host(url).as_deref(), Some(host), "{url}");
        }
    }
}
