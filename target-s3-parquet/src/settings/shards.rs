//! The setting `shards`: `auto` or a number.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};

/// The most objects per partition.
const MOST: u32 = 10_000;

/// Objects per partition of a new table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Shards {
    /// By what its first rows are worth.
    #[default]
    Auto,
    /// So many.
    Exactly(u32),
}

impl Shards {
    /// What is wrong with it, if anything.
    pub(super) fn fault(self) -> Option<String> {
        let number = self.number().filter(|number| !(1..=MOST).contains(number))?;
        Some(format!("{number} is not between 1 and {MOST}"))
    }

    /// The number, where the setting says one.
    pub(crate) fn number(self) -> Option<u32> {
        match self {
            Self::Auto => None,
            Self::Exactly(number) => Some(number),
        }
    }
}

impl<'de> Deserialize<'de> for Shards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A number may be text: forms and variables of the environment know nothing else.
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = match &value {
            serde_json::Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        match text.parse() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(number) => Ok(Self::Exactly(number)),
            Err(_) => Err(D::Error::custom(format!("{text} is neither `auto` nor a number"))),
        }
    }
}

impl JsonSchema for Shards {
    fn schema_name() -> Cow<'static, str> {
        "Shards".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^(auto|[1-9][0-9]{0,4})$",
            "default": "auto"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_auto_or_a_number() {
        for (text, expected) in [
            (r#""auto""#, Ok(Shards::Auto)),
            ("4", Ok(Shards::Exactly(4))),
            (r#""10000""#, Ok(Shards::Exactly(10_000))),
            (r#""Auto""#, Err("Auto is neither `auto` nor a number")),
            ("1.5", Err("1.5 is neither `auto` nor a number")),
            ("null", Err("null is neither `auto` nor a number")),
        ] {
            let found = serde_json::from_str::<Shards>(text).map_err(|error| error.to_string());
            assert_eq!(
                found.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|e| *e),
                "{text}"
            );
        }
        for (number, is_wrong) in [(0, true), (1, false), (10_000, false), (10_001, true)] {
            assert_eq!(Shards::Exactly(number).fault().is_some(), is_wrong, "{number}");
        }
        assert_eq!(Shards::default().number(), None);
        assert_eq!(Shards::Exactly(3).number(), Some(3));
    }
}
