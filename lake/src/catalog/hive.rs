//! Hive's types as the catalog writes them, and how one takes in another.

use std::fmt;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hive {
    /// `struct<name:type,…>`
    Struct(Vec<(String, Self)>),
    /// `array<type>`
    Array(Box<Self>),
    /// `map<type,type>`
    Map(Box<Self>, Box<Self>),
    /// Any other, in lower case.
    Plain(String),
}

impl Hive {
    /// Reads a type. What has no known form is one of its own.
    pub(super) fn parse(text: &str) -> Self {
        let text: String =
            text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
        let inner = |name: &str| text.strip_prefix(name)?.strip_prefix('<')?.strip_suffix('>');
        if let Some(fields) = inner("struct") {
            let fields = parts(fields).into_iter().map(|field| {
                let (name, kind) = field.split_once(':')?;
                Some((name.to_owned(), Self::parse(kind)))
            });
            if let Some(fields) = fields.collect() {
                return Self::Struct(fields);
            }
        } else if let Some(element) = inner("array") {
            return Self::Array(Box::new(Self::parse(element)));
        } else if let Some([key, value]) = inner("map").map(parts).as_deref() {
            return Self::Map(Box::new(Self::parse(key)), Box::new(Self::parse(value)));
        }
        Self::Plain(match text.as_str() {
            "integer" => "int".into(),
            "long" => "bigint".into(),
            _ => text,
        })
    }

    /// The type of a column that has this type in the catalog and `new` in the lake: its numbers
    /// widen as the lake's do, fields are added, and none is taken away. Nothing where the two
    /// cannot be one.
    pub(super) fn take_in(&self, new: &Self) -> Option<Self> {
        match (self, new) {
            _ if self == new => Some(self.clone()),
            (Self::Struct(old), Self::Struct(new)) => {
                let mut fields = old.clone();
                for (name, kind) in new {
                    match fields.iter_mut().find(|(known, _)| known == name) {
                        Some((_, known)) => *known = known.take_in(kind)?,
                        None => fields.push((name.clone(), kind.clone())),
                    }
                }
                Some(Self::Struct(fields))
            }
            (Self::Array(old), Self::Array(new)) => Some(Self::Array(Box::new(old.take_in(new)?))),
            (Self::Plain(old), Self::Plain(new)) => takes_in(old, new).map(Self::Plain),
            _ => None,
        }
    }
}

/// Numbers in the order in which they widen.
const NUMBERS: [&str; 5] = ["tinyint", "smallint", "int", "bigint", "double"];

fn takes_in(old: &str, new: &str) -> Option<String> {
    let rank = |name: &str| NUMBERS.iter().position(|number| *number == name);
    if let (Some(from), Some(to)) = (rank(old), rank(new)) {
        return (from <= to).then(|| new.to_owned());
    }
    // Whoever has narrowed a string for the sake of a reader shall keep it so.
    let is_text = old.starts_with("varchar(") || old.starts_with("char(");
    (new == "string" && is_text).then(|| old.to_owned())
}

/// Cuts at the commas that stand in no brackets.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (position, character) in text.char_indices() {
        match character {
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text.get(start..position).unwrap_or_default());
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

impl fmt::Display for Hive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Struct(fields) => {
                formatter.write_str("struct<")?;
                for (index, (name, kind)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(formatter, "{comma}{name}:{kind}")?;
                }
                formatter.write_str(">")
            }
            Self::Array(element) => write!(formatter, "array<{element}>"),
            Self::Map(key, value) => write!(formatter, "map<{key},{value}>"),
            Self::Plain(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(old: &str, new: &str) -> Option<String> {
        Hive::parse(old).take_in(&Hive::parse(new)).map(|kind| kind.to_string())
    }

    #[test]
    fn types_come_back_as_they_were() {
        for text in [
            "bigint",
            "decimal(38,9)",
            "array<struct<url:string,size:decimal(10,2)>>",
            "struct<a:map<string,array<int>>,b:struct<c:date>>",
        ] {
            assert_eq!(Hive::parse(text).to_string(), text);
        }
        assert_eq!(Hive::parse("STRUCT< a : INTEGER >").to_string(), "struct<a:int>");
    }

    #[test]
    fn numbers_widen_and_fields_are_added_at_any_depth() {
        assert_eq!(merged("int", "bigint").as_deref(), Some("bigint"));
        assert_eq!(
            merged("array<struct<b:int,z:string>>", "array<struct<a:date,b:double>>").as_deref(),
            Some("array<struct<b:double,z:string,a:date>>")
        );
        assert_eq!(merged("varchar(100)", "string").as_deref(), Some("varchar(100)"));
    }

    #[test]
    fn nothing_narrows_and_nothing_becomes_another_kind() {
        for (old, new) in [
            ("double", "bigint"),
            ("string", "bigint"),
            ("bigint", "string"),
            ("timestamp", "string"),
            ("struct<a:string>", "array<string>"),
            ("array<struct<a:string>>", "array<struct<a:date>>"),
            ("decimal(10,2)", "decimal(38,9)"),
        ] {
            assert_eq!(merged(old, new), None, "{old} {new}");
        }
    }
}
