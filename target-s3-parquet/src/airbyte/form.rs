//! The settings as Airbyte hands them over: ours, and the names that Airbyte's own S3 destination has
//! for the same things.

use std::collections::BTreeSet;

use program::Secret;
use program::form;
use program::settings::{self, Document, SettingsError};
use protocol::mapping;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::settings::config::Config;

/// Settings of Airbyte's S3 destination that mean the same here, so that a configuration can be moved.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used; `rename` reads the values")]
struct DestinationS3 {
    /// Name of the bucket, in the place of `destination`.
    #[schemars(extend("examples" = ["my-lake"]))]
    s3_bucket_name: Option<String>,
    /// Prefix in the bucket.
    #[schemars(extend("examples" = ["wistia"]))]
    s3_bucket_path: Option<String>,
    /// Region of the bucket, as `s3.region`.
    #[schemars(extend("examples" = ["eu-central-1"]))]
    s3_bucket_region: Option<String>,
    /// Endpoint of another store that speaks S3, as `s3.endpoint_url`.
    #[schemars(extend("examples" = ["http://localhost:9000"]))]
    s3_endpoint: Option<String>,
    /// As `s3.access_key_id`.
    access_key_id: Option<Secret>,
    /// As `s3.secret_access_key`.
    secret_access_key: Option<Secret>,
    /// As `s3.role_arn`.
    role_arn: Option<String>,
    /// How files are written; only Parquet is.
    format: Option<Files>,
}

/// How the S3 destination writes files.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used; `rename` reads the values")]
struct Files {
    /// Always `Parquet`.
    #[schemars(extend("enum" = ["Parquet"]))]
    format_type: Option<String>,
    /// As `compression`.
    #[schemars(extend("enum" = ["UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"]))]
    compression_codec: Option<String>,
    /// As `row_group_mb`.
    block_size_mb: Option<u32>,
}

/// What applies where a setting is absent, other than for Singer.
fn defaults() -> Map<String, Value> {
    Map::from_iter([
        // Airbyte expects its columns, and a sync that no single value can stop.
        ("add_record_metadata".to_owned(), json!(true)),
        ("on_invalid".to_owned(), json!("null")),
    ])
}

/// The connection specification.
pub(super) fn specification() -> Value {
    let mut schema = settings::schema::<Config>();
    let same = settings::schema::<DestinationS3>();
    if let (Some(Value::Object(properties)), Some(Value::Object(same))) =
        (schema.get_mut("properties"), same.get("properties"))
    {
        properties.extend(same.clone());
    }
    // The sync mode of a stream says how its rows enter the table.
    for pointer in ["/properties", "/properties/streams/additionalProperties/properties"] {
        if let Some(Value::Object(properties)) = schema.pointer_mut(pointer) {
            properties.remove("load_method");
        }
    }
    // Airbyte has no messages that name files.
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.shift_remove("batch_from");
    }
    // Where the lake is may be said in two ways; what is missing is said when the settings are read.
    if let Value::Object(root) = &mut schema {
        root.remove("required");
    }
    form::connection(schema, "S3 Parquet", &defaults(), &mapping::SETTINGS)
}

/// Reads the settings.
pub(super) fn load(names: &[String]) -> Result<Config, SettingsError> {
    let schema = settings::schema::<Config>();
    let document =
        form::from_form(&Document::only(names)?, &schema, &defaults(), &mapping::SETTINGS, rename)?;
    Ok(settings::load(&[document], None)?.warned())
}

/// Renames settings of the S3 destination to ours. Ours win where both are there.
fn rename(settings: &mut Map<String, Value>) -> Result<(), String> {
    let mut take = |name: &str| settings.remove(name).filter(|value| !value.is_null());
    let (bucket, path) = (take("s3_bucket_name"), take("s3_bucket_path"));
    let s3 = [
        ("region", take("s3_bucket_region")),
        ("endpoint_url", take("s3_endpoint")),
        ("access_key_id", take("access_key_id")),
        ("secret_access_key", take("secret_access_key")),
        ("role_arn", take("role_arn")),
    ];
    let format = take("format");
    let ignored: BTreeSet<&str> = ["s3_path_format", "file_name_pattern"]
        .into_iter()
        .filter(|name| take(name).is_some())
        .collect();
    if !ignored.is_empty() {
        let names = ignored.into_iter().collect::<Vec<_>>().join(", ");
        tracing::warn!(names, "a lake has a layout of its own; these settings are ignored");
    }
    if let Some(bucket) = bucket.as_ref().and_then(Value::as_str) {
        let path = path.as_ref().and_then(Value::as_str).unwrap_or_default().trim_matches('/');
        let url = format!("s3://{bucket}/{path}");
        settings.entry("destination").or_insert_with(|| json!(url.trim_end_matches('/')));
    }
    for (name, value) in s3 {
        let Some(value) = value else { continue };
        let own = settings.entry("s3").or_insert_with(|| json!({}));
        if let Value::Object(own) = own {
            own.entry(name).or_insert(value);
        }
    }
    match format {
        Some(Value::Object(format)) => rename_format(settings, &format),
        _ => Ok(()),
    }
}

fn rename_format(
    settings: &mut Map<String, Value>,
    format: &Map<String, Value>,
) -> Result<(), String> {
    let text = |name: &str| format.get(name).and_then(Value::as_str);
    if let Some(kind) = text("format_type").filter(|kind| !kind.eq_ignore_ascii_case("parquet")) {
        return Err(format!("files of the format {kind} are not written; only Parquet is"));
    }
    if let Some(codec) = text("compression_codec") {
        let own = match codec.to_ascii_uppercase().as_str() {
            "UNCOMPRESSED" => "none",
            "SNAPPY" => "snappy",
            "GZIP" => "gzip",
            "ZSTD" => "zstd",
            _ => {
                return Err(format!(
                    "the codec {codec} is not known; UNCOMPRESSED, SNAPPY, GZIP and ZSTD are"
                ));
            }
        };
        settings.entry("compression").or_insert_with(|| json!(own));
    }
    if let Some(size) = format.get("block_size_mb").filter(|size| !size.is_null()) {
        settings.entry("row_group_mb").or_insert_with(|| size.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::stream::{Compression, OnInvalid};
    use std::io::Write;

    fn read(text: &str) -> Result<Config, SettingsError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load(&[file.path().display().to_string()])
    }

    #[test]
    fn a_configuration_of_the_s3_destination_can_be_moved() {
        let config = read(
            r#"{"s3_bucket_name":"b","s3_bucket_path":"/lake/x/","s3_bucket_region":"eu-central-1","s3_endpoint":"",
                "access_key_id":"AK","secret_access_key":"SK","role_arn":null,"s3_path_format":"${NAMESPACE}",
                "format":{"format_type":"Parquet","compression_codec":"GZIP","block_size_mb":64,"page_size_kb":1024}}"#,
        )
        .unwrap();
        assert_eq!(config.destination, "s3://b/lake/x");
        assert_eq!(config.s3.region.as_deref(), Some("eu-central-1"));
        assert_eq!(config.s3.endpoint_url, None);
        assert_eq!(config.s3.secret_access_key.unwrap().expose(), "SK");
        assert_eq!((config.compression, config.row_group_mb), (Compression::Gzip, 64));
        assert_eq!((config.on_invalid, config.add_record_metadata), (OnInvalid::Null, true));
    }

    #[test]
    fn ours_win_and_streams_may_be_a_list_or_a_map() {
        let config = read(
            r#"{"destination":"lake","s3_bucket_name":"b","on_invalid":"fail","streams":[{"name":"a*","table":"t"}]}"#,
        )
        .unwrap();
        assert_eq!((config.destination.as_str(), config.on_invalid), ("lake", OnInvalid::Fail));
        assert_eq!(config.stream("abc").table.as_deref(), Some("t"));
        let config = read(r#"{"destination":"lake","streams":{"a*":{"table":"t"}}}"#).unwrap();
        assert_eq!(config.stream("abc").table.as_deref(), Some("t"));
    }

    #[test]
    fn what_is_missing_or_cannot_be_is_named() {
        assert!(read("{}").unwrap_err().to_string().contains("`destination`"));
        for (format, word) in
            [(r#"{"format_type":"CSV"}"#, "CSV"), (r#"{"compression_codec":"LZO"}"#, "LZO")]
        {
            let text = format!(r#"{{"destination":"x","format":{format}}}"#);
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
