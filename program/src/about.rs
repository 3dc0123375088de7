//! `--about`: what a connector is and how it is configured, in the Meltano SDK's structure.
//!
//! The JSON form feeds the tools of Meltano Hub, which derive a plugin's settings from it.

use std::fmt::Write as _;
use std::io;

use clap::ValueEnum;
use serde_json::{Value, json};

/// A form of `--about`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AboutFormat {
    /// For reading.
    Text,
    /// For programs.
    Json,
    /// For documentation.
    Markdown,
}

/// The description of a connector.
#[derive(Debug, Clone)]
pub struct About {
    /// The name of the binary.
    pub name: &'static str,
    /// One sentence on what it does.
    pub description: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Capabilities in Meltano's terms, such as `catalog` or `state`.
    pub capabilities: &'static [&'static str],
    /// The settings schema, from [`crate::settings::schema`].
    pub settings: Value,
}

/// One setting as people read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name; one inside another is joined to it by a dot.
    pub name: String,
    /// Its type, or the values that it may have.
    pub kind: String,
    /// Whether it must be given.
    pub required: bool,
    /// Its default as text; empty where there is none.
    pub default: String,
    /// What it does.
    pub description: String,
}

impl About {
    /// The JSON form, indented.
    pub fn json(&self) -> String {
        let about = json!({
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "sdk_version": null,
            "supported_python_versions": null,
            "capabilities": self.capabilities,
            "settings": self.settings,
        });
        format!("{about:#}\n")
    }

    /// The plain text form.
    pub fn text(&self) -> String {
        let mut text = format!(
            "Name: {}\nDescription: {}\nVersion: {}\nCapabilities:\n",
            self.name, self.description, self.version
        );
        for capability in self.capabilities {
            _ = writeln!(text, "  - {capability}");
        }
        text.push_str("Settings:\n");
        for setting in self.settings() {
            let required = if setting.required { ", required" } else { "" };
            _ = writeln!(text, "  - Name: {}", setting.name);
            _ = writeln!(text, "    Type: {}{required}", setting.kind);
            if !setting.default.is_empty() {
                _ = writeln!(text, "    Default: {}", setting.default);
            }
            _ = writeln!(text, "    Environment variable: {}", self.variable(&setting.name));
            _ = writeln!(text, "    Description: {}", setting.description);
        }
        text
    }

    /// The Markdown form, with one table of the settings.
    pub fn markdown(&self) -> String {
        let mut text = format!("# `{}`\n\n{}\n\n## Capabilities\n\n", self.name, self.description);
        for capability in self.capabilities {
            _ = writeln!(text, "* `{capability}`");
        }
        text.push_str("\n## Settings\n\n");
        text.push_str(&self.settings_table());
        text
    }

    /// The settings as a Markdown table, for `--about` and the documentation.
    pub fn settings_table(&self) -> String {
        let mut text = String::from(
            "| Setting | Type | Required | Default | Description |\n|:--|:--|:--|:--|:--|\n",
        );
        for setting in self.settings() {
            let default = match setting.default.as_str() {
                "" => String::new(),
                value => format!("`{value}`"),
            };
            _ = writeln!(
                text,
                "| `{}` | {} | {} | {default} | {} |",
                setting.name,
                setting.kind.replace('|', "\\|"),
                if setting.required { "yes" } else { "" },
                setting.description.replace('|', "\\|"),
            );
        }
        text
    }

    fn variable(&self, setting: &str) -> String {
        format!("{}_{}", self.name, setting.replace('.', "__")).replace('-', "_").to_uppercase()
    }

    /// The settings, those inside others too.
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        collect(&self.settings, "", &mut settings);
        settings
    }
}

fn collect(schema: &Value, prefix: &str, settings: &mut Vec<Setting>) {
    let required = schema.get("required").and_then(Value::as_array);
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, schema) in properties.into_iter().flatten() {
        let name = format!("{prefix}{key}");
        if schema.get("properties").is_some() {
            collect(schema, &format!("{name}."), settings);
            continue;
        }
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        settings.push(Setting {
            name,
            kind: kind_of(schema),
            required: required.is_some_and(|names| names.iter().any(|other| other == key)),
            default: match schema.get("default") {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(Value::Object(members)) if members.is_empty() => String::new(),
                Some(Value::Array(items)) if items.is_empty() => String::new(),
                Some(other) => other.to_string(),
            },
            description: description.replace("\n\n", " "),
        });
    }
}

fn kind_of(schema: &Value) -> String {
    if schema.get("secret").is_some() {
        return "string (secret)".into();
    }
    let choices = schema
        .get("enum")
        .and_then(Value::as_array)
        .map(|values| values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"));
    if let Some(choices) = choices.filter(|text| !text.is_empty()) {
        return choices;
    }
    match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join("|"),
        _ => match schema.get("oneOf").or_else(|| schema.get("anyOf")) {
            Some(Value::Array(branches)) => {
                branches.iter().map(choice_of).collect::<Vec<_>>().join("|")
            }
            _ => "any".into(),
        },
    }
}

fn choice_of(branch: &Value) -> String {
    match branch.get("const").and_then(Value::as_str) {
        Some(value) => value.to_owned(),
        None => kind_of(branch),
    }
}

impl About {
    /// Prints itself to stdout. A reader that has gone is no error.
    pub fn print(&self, format: AboutFormat) -> io::Result<()> {
        crate::print(&match format {
            AboutFormat::Text => self.text(),
            AboutFormat::Json => self.json(),
            AboutFormat::Markdown => self.markdown(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            name: "tap-x",
            description: "A tap",
            version: "1.2.3",
            capabilities: &["catalog", "state"],
            settings: json!({
                "type": "object",
                "required": ["api_token"],
                "properties": {
                    "api_token": {"type": "string", "secret": true, "description": "The token."},
                    "limit": {"type": ["null", "integer"], "default": 600, "description": "Requests | minute."},
                    "s3": {"type": "object", "properties": {"region": {"type": "string", "description": "Where."}}}
                }
            }),
        }
    }

    #[test]
    fn the_three_forms_name_every_setting() {
        let about = about();
        let json: Value = serde_json::from_str(&about.json()).unwrap();
        assert_eq!(json["settings"]["properties"]["limit"]["default"], 600);
        assert_eq!(json["capabilities"], json!(["catalog", "state"]));
        assert!(about.text().contains(
            "  - Name: api_token\n    Type: string (secret), required\n    Environment variable: TAP_X_API_TOKEN\n    Description: The token.\n"
        ));
        assert!(about.text().contains(
            "  - Name: s3.region\n    Type: string\n    Environment variable: TAP_X_S3__REGION\n"
        ));
        assert!(
            about.markdown().contains("| `limit` | integer |  | `600` | Requests \\| minute. |")
        );
    }
}
