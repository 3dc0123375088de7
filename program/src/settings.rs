//! Settings: JSON documents and environment variables become one typed configuration.
//!
//! The configuration struct is the only declaration. Its doc comments, types and defaults become
//! the settings schema ([`schema`]), from which come `--about`, the documentation tables and the
//! Airbyte specification; [`load`] reads values against the same schema.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::schema::{has_type, inline};

/// One configuration document, usually a `--config` file.
#[derive(Debug, Clone)]
pub struct Document {
    /// What to call it in an error: its path.
    pub name: String,
    /// Its text, a JSON object.
    pub text: String,
}

/// The environment as a source of settings.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The prefix of every variable, such as `TAP_WISTIA`.
    pub prefix: &'static str,
    /// The variables; those without the prefix are ignored.
    pub variables: Vec<(String, String)>,
}

/// A configuration and what is worth a warning about it.
#[derive(Debug)]
pub struct Loaded<C> {
    /// The typed configuration.
    pub config: C,
    /// Sentences for the log: unknown keys with the nearest known name.
    pub warnings: Vec<String>,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A document could not be read.
    #[error("could not read the settings in {name}")]
    Unreadable {
        /// The document.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A document is no JSON.
    #[error("{name} is not valid JSON: {reason}")]
    Syntax {
        /// The document.
        name: String,
        /// Where and why.
        reason: String,
    },
    /// A document is JSON, but no object.
    #[error("{name} must hold a JSON object with the settings, but holds {found}")]
    NotAnObject {
        /// The document.
        name: String,
        /// The kind of value it holds.
        found: &'static str,
    },
    /// A setting that must be given is not there.
    #[error("the setting `{key}` is missing{}{}", misnamed(.found.as_deref()), besides(.unknown))]
    Missing {
        /// Dotted path of the setting.
        key: String,
        /// A setting that is there and not known, and may be it by another name.
        found: Option<String>,
        /// Sentences about the others that are not known: nobody would see a warning.
        unknown: Vec<String>,
    },
    /// The command line names no file of settings, or more than the one that there is to be.
    #[error("the command line must name one file of settings: --config FILE")]
    NotOneFile,
    /// A setting has a value of another type, or one that is not allowed.
    #[error("the setting `{key}` in {origin} is not valid: {reason}{}", besides(.unknown))]
    Invalid {
        /// Dotted path of the setting.
        key: String,
        /// The document that holds it, or the environment.
        origin: String,
        /// What was found and what belongs there, without the value of a secret.
        reason: String,
        /// Sentences about settings that are not known: nobody would see a warning.
        unknown: Vec<String>,
    },
}

/// The settings schema of a configuration struct: an inlined JSON Schema object.
pub fn schema<C: JsonSchema>() -> Value {
    inline::<C>()
}

/// Reads a configuration: the documents from left to right, each replacing keys of the ones before,
/// then the environment, which always wins. A null is the same as leaving the key out.
pub fn load<C: DeserializeOwned + JsonSchema>(
    documents: &[Document],
    environment: Option<&Environment>,
) -> Result<Loaded<C>, SettingsError> {
    let schema = schema::<C>();
    let mut merged = Map::new();
    let mut origins = HashMap::new();
    for document in documents {
        let settings = document.object()?;
        origins.extend(settings.keys().map(|key| (key.clone(), document.name.clone())));
        merged.extend(settings);
    }
    if let Some(environment) = environment {
        overlay(&mut merged, &mut origins, environment, &schema)?;
    }
    let mut settings = Value::Object(merged);
    strip_nulls(&mut settings, &schema);
    let mut warnings = Vec::new();
    find_unknown(&settings, &schema, "", &mut warnings);
    let config = serde_path_to_error::deserialize(&settings).map_err(|error| {
        let path = error.path().to_string();
        let origin = path.split(['.', '[']).next().and_then(|key| origins.get(key));
        let origin = origin.map_or("the settings", String::as_str);
        explain(&path, origin, error.inner(), &settings, &schema).beside(&warnings)
    })?;
    Ok(Loaded { config, warnings })
}

impl Document {
    /// The settings that the document holds.
    pub fn object(&self) -> Result<Map<String, Value>, SettingsError> {
        let text = self.text.trim_start_matches('\u{feff}');
        let value: Value = serde_json::from_str(text).map_err(|error| SettingsError::Syntax {
            name: self.name.clone(),
            reason: error.to_string(),
        })?;
        match value {
            Value::Object(object) => Ok(object),
            other => {
                Err(SettingsError::NotAnObject { name: self.name.clone(), found: kind_of(&other) })
            }
        }
    }
}

/// Puts `PREFIX_KEY` and, for nested settings, `PREFIX_OUTER__INNER` over the documents.
fn overlay(
    settings: &mut Map<String, Value>,
    origins: &mut HashMap<String, String>,
    environment: &Environment,
    schema: &Value,
) -> Result<(), SettingsError> {
    let mut variables: Vec<_> = environment
        .variables
        .iter()
        .filter_map(|(name, text)| {
            let key = name.strip_prefix(environment.prefix)?.strip_prefix('_')?.to_lowercase();
            let path: Vec<String> = key.split("__").map(str::to_owned).collect();
            let leaf = property_at(schema, &path)?;
            // A secret that was never stored is an empty variable in many a runner.
            let is_absent = is_secret(leaf) && text.trim().is_empty();
            (!is_absent).then_some((name, path, leaf, text))
        })
        .collect();
    // A whole object first, then the single keys inside it.
    variables.sort_by_key(|(_, path, ..)| path.len());
    for (name, path, leaf, text) in variables {
        let value = parse_variable(leaf, text).map_err(|expected| SettingsError::Invalid {
            key: path.join("."),
            origin: format!("the environment variable {name}"),
            reason: format!("it must hold {expected}"),
            unknown: Vec::new(),
        })?;
        insert_at(settings, &path, value);
        if let Some(key) = path.into_iter().next() {
            origins.insert(key, format!("the environment variable {name}"));
        }
    }
    Ok(())
}

/// Whether the schema of a setting says that it is a secret.
pub(crate) fn is_secret(leaf: &Value) -> bool {
    leaf.get("secret") == Some(&Value::Bool(true))
}

fn property_at<'a>(schema: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(schema, |schema, key| schema.get("properties")?.get(key))
}

fn insert_at(settings: &mut Map<String, Value>, path: &[String], value: Value) {
    let [key, rest @ ..] = path else { return };
    if rest.is_empty() {
        settings.insert(key.clone(), value);
        return;
    }
    let entry = settings.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    if let Value::Object(inner) = entry {
        insert_at(inner, rest, value);
    }
}

fn parse_variable(schema: &Value, text: &str) -> Result<Value, &'static str> {
    let kind = schema.get("type").unwrap_or(&Value::Null);
    let json = |expected, accept: fn(&Value) -> bool| {
        serde_json::from_str(text.trim()).ok().filter(accept).ok_or(expected)
    };
    if has_type(kind, "boolean") {
        return match text.trim().to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Bool(true)),
            "false" | "0" | "no" | "off" | "" => Ok(Value::Bool(false)),
            _ => Err("true or false"),
        };
    }
    if has_type(kind, "integer") {
        return json("an integer", |value| value.is_i64() || value.is_u64());
    }
    if has_type(kind, "number") {
        return json("a number", Value::is_number);
    }
    if has_type(kind, "array") {
        if let Ok(list) = json("a JSON array", Value::is_array) {
            return Ok(list);
        }
        if text.trim_start().starts_with('[') {
            return Err("a JSON array");
        }
        return Ok(text.split(',').map(|item| Value::from(item.trim())).collect());
    }
    if has_type(kind, "string") {
        return Ok(Value::from(text));
    }
    if has_type(kind, "object") {
        return json("a JSON object", Value::is_object);
    }
    Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
}

/// Takes nulls away, except out of objects whose keys are the user's own, such as `stream_maps`.
fn strip_nulls(value: &mut Value, schema: &Value) {
    let Value::Object(object) = value else { return };
    let others = schema.get("additionalProperties");
    if others == Some(&Value::Bool(true)) {
        return;
    }
    object.retain(|_, child| !child.is_null());
    for (key, child) in object {
        let known = schema.get("properties").and_then(|known| known.get(key));
        strip_nulls(child, known.or(others).unwrap_or(&Value::Null));
    }
}

fn find_unknown(value: &Value, schema: &Value, prefix: &str, warnings: &mut Vec<String>) {
    let (Value::Object(object), Some(Value::Object(known))) = (value, schema.get("properties"))
    else {
        return;
    };
    for (key, child) in object {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match known.get(key) {
            Some(inner) => find_unknown(child, inner, &path, warnings),
            None => {
                let meant = question(nearest(key, known.keys().map(String::as_str)));
                warnings.push(format!("the setting `{path}` is not known and ignored{meant}"));
            }
        }
    }
}

/// Whether a key names streams by a pattern.
pub fn is_glob(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// The known name that is most like a mistyped one, if any is near.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

/// The end of a sentence about a mistyped name: what may be meant, if anything is near.
pub fn question(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |name| format!("; is `{name}` meant?"))
}

/// The end of a sentence about a setting that may be there by another name.
fn misnamed(found: Option<&str>) -> String {
    found.map_or_else(String::new, |found| {
        format!(" (is `{found}`, which is not known, meant to be it?)")
    })
}

/// The end of a sentence about a fault, beside which settings are not known.
fn besides(unknown: &[String]) -> String {
    unknown.iter().flat_map(|sentence| ["; ", sentence]).collect()
}

impl SettingsError {
    /// The error where there are these sentences about settings that are not known. What is named already is
    /// not named again.
    fn beside(mut self, warnings: &[String]) -> Self {
        if let Self::Missing { unknown, .. } | Self::Invalid { unknown, .. } = &mut self {
            unknown.extend_from_slice(warnings);
        }
        if let Self::Missing { found: Some(found), unknown, .. } = &mut self {
            unknown.retain(|sentence| {
                !sentence.contains(&format!("`{found}`"))
                    && !sentence.contains(&format!(".{found}`"))
            });
        }
        self
    }
}

/// A setting beside a missing one that is not known, and is named like it or ends in the same word.
fn unknown_like(
    missing: &str,
    parent: &[String],
    settings: &Value,
    schema: &Value,
) -> Option<String> {
    let given = parent.iter().try_fold(settings, |value, key| value.get(key))?.as_object()?;
    let known = property_at(schema, parent)?.get("properties")?.as_object()?;
    let unknown = || given.keys().map(String::as_str).filter(|key| !known.contains_key(*key));
    let last = |name: &str| name.rsplit(['_', '-']).next().map(str::to_lowercase);
    let alike = nearest(missing, unknown());
    alike.or_else(|| unknown().find(|key| last(key) == last(missing))).map(str::to_owned)
}

/// Words a deserialisation error, naming the key and hiding what a secret holds.
fn explain(
    path: &str,
    origin: &str,
    error: &serde_json::Error,
    settings: &Value,
    schema: &Value,
) -> SettingsError {
    let text = error.to_string();
    if let Some(field) =
        text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
    {
        let key = if path == "." { field.to_owned() } else { format!("{path}.{field}") };
        let parent = path.split('.').filter(|name| !name.is_empty()).map(str::to_owned);
        let parent: Vec<String> = parent.collect();
        let found = unknown_like(field, &parent, settings, schema);
        return SettingsError::Missing { key, found, unknown: Vec::new() };
    }
    let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
    let leaf = property_at(schema, &keys);
    let found = keys.iter().try_fold(settings, |value, key| value.get(key));
    let reason = match (leaf.is_some_and(is_secret), found) {
        (true, Some(value)) => format!("expected a string, found {}", kind_of(value)),
        // What a person knows it as; the value itself stays as it was written.
        _ => ["usize", "u32", "u64"].iter().fold(text, |text, kind| {
            text.replace(&format!("expected {kind}"), "expected a whole number")
        }),
    };
    let (key, origin) = (path.to_owned(), origin.to_owned());
    SettingsError::Invalid { key, origin, reason, unknown: Vec::new() }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Document {
    /// The one file of settings that the command line names.
    pub fn only(names: &[String]) -> Result<Self, SettingsError> {
        match names {
            [name] => Self::read(name),
            _ => Err(SettingsError::NotOneFile),
        }
    }

    /// Reads a file of settings.
    pub fn read(name: &str) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(name)
            .map_err(|source| SettingsError::Unreadable { name: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), text })
    }
}

impl<C> Loaded<C> {
    /// The configuration, after the log was told the warnings.
    pub fn warned(self) -> C {
        for warning in self.warnings {
            tracing::warn!("{warning}");
        }
        self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Inner {
        region: Option<String>,
        path_style: Option<bool>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Config {
        /// The token.
        api_token: Secret,
        #[serde(default)]
        concurrency: Option<u32>,
        #[serde(default)]
        media_ids: Vec<String>,
        #[serde(default)]
        s3: Option<Inner>,
    }

    fn document(text: &str) -> Document {
        Document { name: "c.json".into(), text: text.into() }
    }

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment {
            prefix: "TAP_X",
            variables: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn later_documents_and_then_the_environment_win() {
        let loaded: Loaded<Config> = load(
            &[document(r#"{"api_token":"a","concurrency":1}"#), document(r#"{"concurrency":2}"#)],
            Some(&environment(&[
                ("TAP_X_API_TOKEN", "b"),
                ("TAP_X_S3__REGION", "eu-west-1"),
                ("TAP_X_S3__PATH_STYLE", "yes"),
                ("TAP_X_MEDIA_IDS", "x, y"),
                ("TAP_X__SELECT", "[]"),
            ])),
        )
        .unwrap();
        assert_eq!(loaded.config.api_token.expose(), "b");
        assert_eq!(loaded.config.concurrency, Some(2));
        assert_eq!(loaded.config.media_ids, ["x", "y"]);
        let s3 = loaded.config.s3.unwrap();
        assert_eq!(s3.region.as_deref(), Some("eu-west-1"));
        assert_eq!(s3.path_style, Some(true));
        assert!(loaded.warnings.is_empty());
    }

    #[test]
    fn an_empty_variable_of_a_secret_is_none() {
        let documents = [document(r#"{"api_token":"a"}"#)];
        let empty = environment(&[("TAP_X_API_TOKEN", " ")]);
        let loaded: Loaded<Config> = load(&documents, Some(&empty)).unwrap();
        assert_eq!(loaded.config.api_token.expose(), "a");
        assert!(matches!(load::<Config>(&[], Some(&empty)), Err(SettingsError::Missing { .. })));
    }

    #[test]
    fn an_unknown_key_is_a_warning_with_the_nearest_name() {
        let loaded: Loaded<Config> =
            load(&[document(r#"{"api_token":"a","concurency":1,"s3":{"regio":"x"}}"#)], None)
                .unwrap();
        assert_eq!(
            loaded.warnings,
            [
                "the setting `concurency` is not known and ignored; is `concurrency` meant?",
                "the setting `s3.regio` is not known and ignored; is `region` meant?",
            ]
        );
    }

    #[test]
    fn a_wrong_type_names_the_key_and_never_shows_a_secret() {
        let error = load::<Config>(&[document(r#"{"api_token":12345}"#)], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the setting `api_token` in c.json is not valid: expected a string, found a number"
        );
        let error = load::<Config>(&[document(r#"{"api_token":"a","concurrency":"many"}"#)], None)
            .unwrap_err();
        assert!(
            error.to_string().starts_with("the setting `concurrency` in c.json is not valid: ")
        );
        let error = load::<Config>(
            &[document(r#"{"api_token":"a"}"#)],
            Some(&environment(&[("TAP_X_CONCURRENCY", "many")])),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the setting `concurrency` in the environment variable TAP_X_CONCURRENCY is not valid: it must hold an integer"
        );
    }

    #[test]
    fn a_missing_setting_and_broken_documents_are_named() {
        let error = load::<Config>(&[document("{}")], None).unwrap_err();
        assert_eq!(error.to_string(), "the setting `api_token` is missing");
        for (name, is_meant) in [("access_token", true), ("token", true), ("key", false)] {
            let settings = format!(r#"{{"concurrency":1,"{name}":"x"}}"#);
            let error = load::<Config>(&[document(&settings)], None).unwrap_err().to_string();
            let question = format!(" (is `{name}`, which is not known, meant to be it?)");
            assert_eq!(error.ends_with(&question), is_meant, "{error}");
        }
        let error = load::<Config>(&[document("[]")], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "c.json must hold a JSON object with the settings, but holds an array"
        );
        let error = load::<Config>(&[document("{")], None).unwrap_err();
        assert!(error.to_string().starts_with("c.json is not valid JSON: "));
    }
}
