//! The types that settings give to columns.

use lake::schema::{Column, Kind};
use program::settings;
use serde::Deserialize;

/// The type of a column, in the words of Hive, Athena and Spark.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ColumnType(Kind);

/// The type that the settings give to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypedColumn {
    /// The type.
    pub(crate) kind: ColumnType,
    /// Whether the entry names the stream itself. One for several streams may name columns that not all of
    /// them have.
    pub(crate) must_exist: bool,
}

/// What may stand there.
const TYPES: &str =
    "boolean, int, bigint, double, decimal(precision,scale), string, date and timestamp";

impl TryFrom<String> for ColumnType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let word: String =
            text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        Ok(Self(match word.as_str() {
            "boolean" => Kind::Boolean,
            "int" | "integer" => Kind::Int,
            "bigint" => Kind::Bigint,
            "double" => Kind::Double,
            "string" => Kind::String,
            "date" => Kind::Date,
            "timestamp" => Kind::Timestamp,
            other => decimal(other).ok_or_else(|| {
                format!("`{text}` is no type of a column; {TYPES} are, with 1 to 38 digits of which scale stand behind the point")
            })?,
        }))
    }
}

/// `decimal(10,2)`, or `decimal(10)` without a fraction.
fn decimal(word: &str) -> Option<Kind> {
    let digits = word.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = digits.split_once(',').unwrap_or((digits, "0"));
    let (precision, scale): (u8, u8) = (precision.parse().ok()?, scale.parse().ok()?);
    let is_valid = (1..=38).contains(&precision) && scale <= precision;
    is_valid.then_some(Kind::Decimal(precision, i8::try_from(scale).ok()?))
}

impl ColumnType {
    /// Gives the type to a column. What is no single value becomes JSON text where a string is asked for.
    pub(crate) fn give_to(&self, column: &mut Column) {
        column.personal |= column.is_personal();
        column.kind = match (&column.kind, &self.0) {
            (Kind::Struct(_) | Kind::List(_) | Kind::Json, Kind::String) => Kind::Json,
            (_, kind) => kind.clone(),
        };
    }

    /// Whether a column has it.
    pub(crate) fn is_of(&self, column: &Column) -> bool {
        column.kind == self.0 || (column.kind == Kind::Json && self.0 == Kind::String)
    }
}

/// Whether settings may call a column by this name: as its stream does, or as its table.
pub(crate) fn is_called(column: &Column, name: &str) -> bool {
    column.source == name || column.name == name
}

/// What is wrong with a name that none of these columns has, in words.
pub(crate) fn unknown(name: &str, columns: &[Column]) -> String {
    let names = columns.iter().map(|column| column.source.as_str());
    let meant = settings::question(settings::nearest(name, names));
    format!("`columns` in the settings names `{name}`, which is none of its columns{meant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Kind, String> {
        ColumnType::try_from(text.to_owned()).map(|kind| kind.0)
    }

    #[test]
    fn a_type_is_written_as_hive_writes_it() {
        for (text, kind) in [
            ("boolean", Kind::Boolean),
            ("int", Kind::Int),
            ("INTEGER", Kind::Int),
            ("bigint", Kind::Bigint),
            ("double", Kind::Double),
            ("Decimal(38, 10)", Kind::Decimal(38, 10)),
            ("decimal(5)", Kind::Decimal(5, 0)),
            ("decimal(38,38)", Kind::Decimal(38, 38)),
            ("string", Kind::String),
            ("date", Kind::Date),
            ("timestamp", Kind::Timestamp),
        ] {
            assert_eq!(parsed(text), Ok(kind), "{text}");
        }
        for text in [
            "",
            "varchar",
            "decimal",
            "decimal()",
            "decimal(0)",
            "decimal(39,2)",
            "decimal(5,6)",
            "decimal(5,-1)",
            "array<int>",
        ] {
            let error = parsed(text).unwrap_err();
            assert!(
                error.starts_with(&format!("`{text}` is no type of a column; boolean, int,")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_string_of_what_is_no_single_value_is_json_text_and_stays_personal() {
        let mut inner = Column::same("a", Kind::String);
        inner.personal = true;
        let mut column = Column::same("s", Kind::Struct(vec![inner]));
        let string = ColumnType(Kind::String);
        string.give_to(&mut column);
        assert_eq!(
            (&column.kind, column.personal, string.is_of(&column)),
            (&Kind::Json, true, true)
        );
        let mut column = Column::same("n", Kind::Double);
        string.give_to(&mut column);
        assert_eq!(column.kind, Kind::String);
    }
}
