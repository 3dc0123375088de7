//! What the lake remembers about a table: `_lake/tables/<table>.json`.
//!
//! Types and shards are fixed when a table is made, so a later run must find them again without
//! reading its data.
//!
//! `maintain --shards` gives a table other objects. These have numbers that none of its objects had
//! before: whatever a reader has listed is there as it was, or gone, and whatever has a lower number
//! than the first is nobody's any more, so that anyone may remove it at any time. A release that knows
//! nothing of such numbers must not load into the table, so its definition has a format of its own.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::format::TableFormat;
use crate::schema::names::Folding;
use crate::schema::{Column, names};

/// The definition of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Version of this format.
    pub format: u32,
    /// The table's name.
    pub table: String,
    /// The stream that made it.
    pub stream: String,
    /// The columns in order.
    pub columns: Vec<Column>,
    /// Names of the key columns.
    pub keys: Vec<String>,
    /// How rows enter it.
    pub load_method: LoadMethod,
    /// What it is to its readers.
    #[serde(default, skip_serializing_if = "TableFormat::is_parquet")]
    pub table_format: TableFormat,
    /// Its partition column, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_by: Option<PartitionBy>,
    /// How the folders of its partitions are written.
    #[serde(default, skip_serializing_if = "FolderForm::is_first")]
    pub folders: FolderForm,
    /// Objects per partition.
    pub shards: u32,
    /// The number of the first of them. Objects of lower numbers have had their time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first_shard: u32,
    /// Objects per partition that `maintain` is about to give it. Until then nothing is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resharding: Option<u32>,
    /// The number of the first of those. The first release knew none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resharding_first: Option<u32>,
    /// The version that ACTIVATE_VERSION has made the table's, if its stream has versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The generation of its rows, if its source has generations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// A column has widened and files of the narrower type may remain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub widening: bool,
}

/// How rows enter a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMethod {
    /// Replace rows of the same key, add the others.
    Upsert,
    /// Add rows.
    Append,
    /// Replace the whole table when its stream was seen to end.
    Overwrite,
}

/// Splits a table into folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionBy {
    /// Column whose value decides, by its name in the table or at its source.
    pub column: String,
    /// Part of a date or time that decides; without it, the value itself.
    pub granularity: Option<Granularity>,
    /// Name of the partition key. Default: `hour`, `dt`, `month` or `year` by granularity, else
    /// `p_<column>`.
    pub name: Option<String>,
}

/// How the folders of partitions are written. A table keeps the form in which it was made: in another one
/// its rows would be there twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderForm {
    /// As in the first release: a byte that is no plain letter of ASCII is `%XX`.
    #[default]
    First,
    /// As Hive and Spark write them: `p=Zürich`, `p=a b`, `p=a%2Fb`.
    Hive,
}

impl FolderForm {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference on")]
    fn is_first(&self) -> bool {
        *self == Self::First
    }

    /// How the names of partition keys are folded.
    fn folding(self) -> Folding {
        match self {
            Self::First => Folding::Former,
            Self::Hive => Folding::Transliterated,
        }
    }

    /// The form of a new table: the first one where both are the same, so that the first release still
    /// takes it.
    pub(crate) fn of_new(by: Option<&PartitionBy>) -> Self {
        let is_same = |by: &PartitionBy| {
            by.granularity.is_some() && by.key(Self::First) == by.key(Self::Hive)
        };
        if by.is_none_or(is_same) { Self::First } else { Self::Hive }
    }
}

/// Part of a date or time that names a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// `2026-11-23T17`, of a time
    Hour,
    /// `2026-11-23`
    Day,
    /// `2026-11`
    Month,
    /// `2026`
    Year,
}

impl Granularity {
    /// How many characters of a date in ISO 8601 it is.
    pub(crate) fn characters(self) -> u32 {
        match self {
            Self::Hour => 13,
            Self::Day => 10,
            Self::Month => 7,
            Self::Year => 4,
        }
    }
}

impl PartitionBy {
    /// The name of the partition key.
    pub fn key(&self, form: FolderForm) -> String {
        let fold = |name: &str| names::fold_by(form.folding(), name);
        match (&self.name, self.granularity) {
            (Some(name), _) => fold(name),
            (None, Some(Granularity::Hour)) => "hour".into(),
            (None, Some(Granularity::Day)) => "dt".into(),
            (None, Some(Granularity::Month)) => "month".into(),
            (None, Some(Granularity::Year)) => "year".into(),
            (None, None) => fold(&format!("p_{}", self.column)),
        }
    }
}

/// A generation of rows, of which each replaces the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub id: i64,
    /// A run that wrote it has come to its end.
    pub ended: bool,
}

/// The version of the format of a table whose objects are numbered from 0.
pub(crate) const FORMAT: u32 = 1;

/// The version of the format of a table that was cut anew.
const CUT: u32 = 2;

/// The version of the format of a table whose folders the first release would write otherwise.
const HIVE: u32 = 3;

/// The version of the format of a table that is one of Iceberg: older releases know of none.
const ICEBERG: u32 = 4;

/// The version of the format of a new table with folders of this form.
pub(crate) fn format_of(folders: FolderForm, table: TableFormat) -> u32 {
    match (table, folders) {
        (TableFormat::Parquet, FolderForm::First) => FORMAT,
        (TableFormat::Parquet, FolderForm::Hive) => HIVE,
        (TableFormat::Iceberg, _) => ICEBERG,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference on")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Definition {
    /// Reads a stored definition.
    pub fn parse(text: &[u8], object: &str) -> Result<Self> {
        let definition: Self = serde_json::from_slice(text)
            .map_err(|error| Error::store("read", object, format!("it is damaged: {error}")))?;
        if definition.format > ICEBERG {
            return Err(Error::Table {
                table: definition.table,
                reason: format!(
                    "it was written by a newer version of this program (format {}, this one knows {ICEBERG})",
                    definition.format
                ),
            });
        }
        Ok(definition)
    }

    /// The text to store.
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::broken("a definition is JSON", error))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Whether no two of its rows share a key.
    pub(crate) fn is_keyed(&self) -> bool {
        match self.load_method {
            LoadMethod::Append => false,
            LoadMethod::Upsert | LoadMethod::Overwrite => !self.keys.is_empty(),
        }
    }

    /// Whether it is one of Iceberg.
    pub fn is_iceberg(&self) -> bool {
        match self.table_format {
            TableFormat::Iceberg => true,
            TableFormat::Parquet => false,
        }
    }

    /// Positions of the key columns.
    pub fn key_positions(&self) -> Result<Vec<usize>> {
        let position = |key: &String| {
            let position = self.columns.iter().position(|column| column.name == *key);
            position.ok_or_else(|| Error::Table {
                table: self.table.clone(),
                reason: format!("its key `{key}` is none of its columns"),
            })
        };
        self.keys.iter().map(position).collect()
    }

    /// The numbers of its objects in each partition.
    pub fn parts(&self) -> Range<u32> {
        self.first_shard..self.first_shard.saturating_add(self.shards)
    }

    /// A cut into this many objects per partition begins. `there` are the numbers of objects that there
    /// are.
    pub(crate) fn begin_cut(
        &mut self,
        shards: u32,
        there: impl Iterator<Item = u32>,
    ) -> Result<()> {
        let found = there.max().map_or(Some(0), |highest| highest.checked_add(1));
        if let (Some(target), None) = (self.resharding, self.resharding_first) {
            // The first release gave rows to objects of both cuts, and died.
            self.shards = self.shards.max(target).max(found.unwrap_or(0));
        }
        let own = self.first_shard.checked_add(self.shards);
        let tried = self.resharding_first.unwrap_or(0).checked_add(self.resharding.unwrap_or(0));
        let first = [own, tried, found].into_iter().try_fold(0, |first, end| Some(end?.max(first)));
        let room = |first: &u32| first.checked_add(shards).is_some();
        let first = first.filter(room).ok_or_else(|| Error::Table {
            table: self.table.clone(),
            reason: "there are no numbers left for its objects; load into a new table".into(),
        })?;
        (self.resharding, self.resharding_first) = (Some(shards), Some(first));
        self.format = self.format.max(CUT);
        Ok(())
    }

    /// All rows are in the objects of the cut that was begun.
    pub(crate) fn end_cut(&mut self) {
        if let (Some(shards), Some(first)) = (self.resharding.take(), self.resharding_first.take())
        {
            (self.shards, self.first_shard) = (shards, first);
        }
    }

    /// Takes the place of another definition, all of whose objects it replaces: what has had its time
    /// stays so.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.first_shard = other.first_shard;
        if self.partition_by == other.partition_by {
            self.folders = other.folders;
        }
        self.format = self.format.max(other.format);
    }

    /// Whether the rows are in the same objects as by another definition.
    pub(crate) fn is_cut_as(&self, other: &Self) -> bool {
        (self.parts(), self.resharding) == (other.parts(), other.resharding)
    }

    /// Whether one of its columns holds personal data.
    pub fn is_personal(&self) -> bool {
        self.columns.iter().any(Column::is_personal)
    }

    /// The name of the partition key, if the table has one.
    pub fn partition_key(&self) -> Option<String> {
        self.partition_by.as_ref().map(|by| by.key(self.folders))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Kind;

    fn definition() -> Definition {
        Definition {
            format: FORMAT,
            table: "t".into(),
            stream: "T".into(),
            columns: vec![Column::same("id", Kind::Bigint), Column::same("at", Kind::Timestamp)],
            keys: vec!["id".into()],
            load_method: LoadMethod::Upsert,
            table_format: TableFormat::Parquet,
            partition_by: Some(PartitionBy {
                column: "at".into(),
                granularity: Some(Granularity::Month),
                name: None,
            }),
            folders: FolderForm::First,
            shards: 2,
            first_shard: 0,
            resharding: None,
            resharding_first: None,
            version: Some(7),
            generation: Some(Generation { id: 3, ended: true }),
            widening: false,
        }
    }

    /// Every name here is in lakes that exist.
    #[test]
    fn the_stored_form_is_that_of_the_first_release() {
        let stored: serde_json::Value =
            serde_json::from_slice(&definition().text().unwrap()).unwrap();
        let expected = serde_json::json!({
            "format": 1,
            "table": "t",
            "stream": "T",
            "columns": [
                {"source": "id", "name": "id", "kind": "bigint"},
                {"source": "at", "name": "at", "kind": "timestamp"},
            ],
            "keys": ["id"],
            "load_method": "upsert",
            "partition_by": {"column": "at", "granularity": "month", "name": null},
            "shards": 2,
            "version": 7,
            "generation": {"id": 3, "ended": true},
        });
        assert_eq!(stored, expected);
        let text = serde_json::to_vec(&expected).unwrap();
        assert_eq!(Definition::parse(&text, "o").unwrap(), definition());
    }

    #[test]
    fn a_table_that_was_cut_has_numbers_and_a_format_that_the_first_release_does_not_know() {
        let mut cut = definition();
        cut.begin_cut(3, [0, 1].into_iter()).unwrap();
        let stored: serde_json::Value = serde_json::from_slice(&cut.text().unwrap()).unwrap();
        assert_eq!(
            [
                &stored["format"],
                &stored["shards"],
                &stored["resharding"],
                &stored["resharding_first"]
            ],
            [2, 2, 3, 2]
        );
        assert_eq!(Definition::parse(&cut.text().unwrap(), "o").unwrap(), cut);
        assert!(!cut.is_cut_as(&definition()));
        cut.end_cut();
        let stored: serde_json::Value = serde_json::from_slice(&cut.text().unwrap()).unwrap();
        assert_eq!([&stored["format"], &stored["shards"], &stored["first_shard"]], [2, 3, 2]);
        assert_eq!((cut.parts(), &stored["resharding"]), (2..5, &serde_json::Value::Null));
        let mut anew = definition();
        anew.follow(&cut);
        assert_eq!((anew.format, anew.parts()), (2, 2..4));
    }

    #[test]
    fn a_cut_takes_numbers_that_no_object_ever_had() {
        let mut cut = definition();
        for (shards, there, first) in [(1, 2, 2), (4, 3, 3), (2, 0, 7), (1, 20, 20)] {
            // The one before has died each time.
            cut.begin_cut(shards, 0..there).unwrap();
            assert_eq!((cut.parts(), cut.resharding_first), (0..2, Some(first)));
        }
        let error = cut.begin_cut(1, [u32::MAX].into_iter()).unwrap_err().to_string();
        assert!(error.contains("no numbers left"), "{error}");
    }

    #[test]
    fn a_cut_of_the_first_release_that_died_has_rows_in_the_objects_of_both() {
        for (shards, target, there, end) in [(2, 3, 3, 3), (4, 1, 4, 4), (1, 5, 2, 5)] {
            let mut cut = Definition { shards, resharding: Some(target), ..definition() };
            cut.begin_cut(2, 0..there).unwrap();
            assert_eq!((cut.parts(), cut.resharding_first), (0..end, Some(end)));
        }
    }

    #[test]
    fn a_definition_of_a_newer_format_or_a_damaged_one_is_refused() {
        let text = String::from_utf8(definition().text().unwrap()).unwrap();
        let newer = text.replace("\"format\": 1", "\"format\": 5");
        let error = Definition::parse(newer.as_bytes(), "o").unwrap_err().to_string();
        assert!(error.contains("newer version") && error.contains("`t`"), "{error}");
        let error = Definition::parse(b"{", "_lake/tables/t.json").unwrap_err();
        assert!(error.to_string().contains("_lake/tables/t.json"), "{error}");
    }

    #[test]
    fn a_key_that_is_no_column_is_an_error_and_not_left_out() {
        let broken = Definition { keys: vec!["id".into(), "gone".into()], ..definition() };
        let error = broken.key_positions().unwrap_err().to_string();
        assert!(error.contains("`gone`"), "{error}");
        assert_eq!(definition().key_positions().unwrap(), [0]);
    }

    #[test]
    fn a_partition_key_is_called_by_its_granularity_unless_it_has_a_name() {
        let key = |granularity, name: Option<&str>| {
            let name = name.map(str::to_owned);
            PartitionBy { column: "receivedAt".into(), granularity, name }.key(FolderForm::Hive)
        };
        assert_eq!(key(Some(Granularity::Day), None), "dt");
        assert_eq!(key(Some(Granularity::Year), None), "year");
        assert_eq!(key(None, None), "p_received_at");
        assert_eq!(key(Some(Granularity::Month), Some("Month!")), "month_");
    }
    #[test]
    fn a_table_whose_folders_the_first_release_would_write_otherwise_is_none_of_its() {
        let by = |column: &str, granularity| PartitionBy {
            column: column.into(),
            granularity,
            name: None,
        };
        let month = Some(Granularity::Month);
        let named = PartitionBy { name: Some("größe".into()), ..by("at", month) };
        for (by, form, key, first_key) in [
            (by("at", month), FolderForm::First, "month", "month"),
            (by("city", None), FolderForm::Hive, "p_city", "p_city"),
            (by("größe", None), FolderForm::Hive, "p_groesse", "p_gr__e"),
            (named, FolderForm::Hive, "groesse", "gr__e"),
        ] {
            assert_eq!(FolderForm::of_new(Some(&by)), form, "{by:?}");
            assert_eq!(by.key(form), key);
            assert_eq!(by.key(FolderForm::First), first_key);
        }
        assert_eq!(FolderForm::of_new(None), FolderForm::First);
        let mut hive = Definition { folders: FolderForm::Hive, format: HIVE, ..definition() };
        let stored: serde_json::Value = serde_json::from_slice(&hive.text().unwrap()).unwrap();
        assert_eq!((&stored["format"], &stored["folders"]), (&3.into(), &"hive".into()));
        assert_eq!(Definition::parse(&hive.text().unwrap(), "o").unwrap(), hive);
        hive.begin_cut(3, [0, 1].into_iter()).unwrap();
        assert_eq!(hive.format, HIVE, "a cut takes no table back to an older format");
    }
}
