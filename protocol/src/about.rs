//! `--about`: what a connector is and how it is configured, in the Meltano SDK's structure.
//!
//! The JSON form feeds the tools of Meltano Hub, which derive a plugin's settings from it.

use std::fmt::Write as _;

use serde_json::{Value, json};

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

/// One setting as the text and Markdown forms show it.
struct Setting<'a> {
    name: &'a str,
    kind: String,
    required: bool,
    default: String,
    description: &'a str,
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
            _ = writeln!(text, "    Environment variable: {}", self.variable(setting.name));
            _ = writeln!(text, "    Description: {}", setting.description.replace("\n\n", " "));
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
                setting.description.replace("\n\n", " ").replace('|', "\\|"),
            );
        }
        text
    }

    fn variable(&self, setting: &str) -> String {
        format!("{}_{setting}", self.name).replace('-', "_").to_uppercase()
    }

    fn settings(&self) -> Vec<Setting<'_>> {
        let required = self.settings.get("required").and_then(Value::as_array);
        let properties = self.settings.get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| Setting {
                name,
                kind: kind_of(schema),
                required: required.is_some_and(|names| names.iter().any(|other| other == name)),
                default: match schema.get("default") {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                },
                description: schema.get("description").and_then(Value::as_str).unwrap_or_default(),
            })
            .collect()
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
                    "limit": {"type": ["null", "integer"], "default": 600, "description": "Requests | minute."}
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
        assert!(
            about.markdown().contains("| `limit` | integer |  | `600` | Requests \\| minute. |")
        );
    }
}
