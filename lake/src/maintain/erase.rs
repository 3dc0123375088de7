//! Erasing: the rows that hold a value leave a table, such as those of a person who asks for it.
//!
//! Each object is read, and where it holds such rows it is put back without them in one atomic write.
//! It is done when a listing shows no object that was not looked at since it was last written, so that
//! neither a sync nor a compaction beside it brings a row back unseen.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};

use super::report::{Action, Erase};
use super::survey::TableFiles;
use crate::error::{Error, Result};
use crate::file::encoding::Encoding;
use crate::file::reader::PartReader;
use crate::lake::Lake;
use crate::schema::Kind;
use crate::store::{Condition, Object};
use crate::table::definition::Definition;
use crate::table::file_name::GENERATIONS;
use crate::write::schema_of;

/// Listings that may show something new before it is given up: someone writes the rows again and again.
const LISTINGS: usize = 10;

/// Each column must be one of some table, and be of a type that can be compared: else nothing is done.
pub(super) fn check(lake: &Lake, tables: &[&String], asked: &[Erase]) -> Result<()> {
    if asked.is_empty() {
        return Ok(());
    }
    let mut unknown: Vec<&str> = asked.iter().map(|asked| asked.column.as_str()).collect();
    for table in tables {
        let Some((_, definition)) = lake.definition(table)? else { continue };
        for asked in asked {
            if Test::new(&definition, asked)?.is_some() {
                unknown.retain(|column| *column != asked.column);
            }
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let tables: Vec<&str> = tables.iter().map(|table| table.as_str()).collect();
    Err(Error::Table {
        table: tables.join("`, `"),
        reason: format!(
            "there is no column `{}` by which rows could be erased",
            unknown.join("`, `")
        ),
    })
}

/// Removes the rows from a table, and from what waits to enter it. Nothing where the table has none of
/// the columns.
pub(super) fn erase(
    lake: &Lake,
    definition: &Definition,
    encoding: &Encoding,
    asked: &[Erase],
    dry_run: bool,
) -> Result<Option<Action>> {
    let tests = tests(definition, asked)?;
    if tests.is_empty() {
        return Ok(None);
    }
    if definition.resharding.is_some() {
        return Err(Error::Table {
            table: definition.table.clone(),
            reason: "it is being cut anew; let `maintain --shards` end first".into(),
        });
    }
    let _guard = if dry_run { None } else { lake.store.lock(&definition.table)? };
    let table = Table { lake, definition, encoding, schema: schema_of(definition), tests, dry_run };
    let (rows, files) = table.erase()?;
    // A cut that has begun meanwhile may have read them before they went.
    let now = lake.definition(&definition.table)?;
    if !dry_run && now.is_some_and(|(_, now)| !now.is_cut_as(definition)) {
        return Err(Error::Table {
            table: definition.table.clone(),
            reason: "it was cut anew while rows were erased; do it again, once it is cut".into(),
        });
    }
    Ok(Some(Action::Erase { rows, files }))
}

/// What is looked for in a table that has the columns.
pub(super) fn tests(definition: &Definition, asked: &[Erase]) -> Result<Vec<Test>> {
    let tests = asked.iter().map(|asked| Test::new(definition, asked));
    tests.filter_map(Result::transpose).collect()
}

/// Which rows of a batch of a table's columns are to go.
pub(super) fn matches(tests: &[Test], batch: &RecordBatch) -> Result<BooleanArray> {
    let mut found = vec![false; batch.num_rows()];
    for test in tests {
        test.find(batch, &mut found)?;
    }
    Ok(found.into())
}

/// A table, and which of its rows go.
struct Table<'a> {
    lake: &'a Lake,
    definition: &'a Definition,
    encoding: &'a Encoding,
    schema: SchemaRef,
    tests: Vec<Test>,
    dry_run: bool,
}

impl Table<'_> {
    /// How many rows went, out of how many files.
    fn erase(&self) -> Result<(u64, usize)> {
        let mut clean: HashMap<String, String> = HashMap::new();
        let (mut rows, mut files) = (0, 0);
        for _ in 0..LISTINGS {
            let mut is_done = true;
            for object in self.objects()? {
                if clean.get(&object.key) == Some(&object.version) {
                    continue;
                }
                is_done = self.dry_run;
                let gone = match self.erase_in(&object) {
                    // It is listed again as what it has become, or not at all.
                    Err(Error::Conflict { .. }) => continue,
                    other => other?,
                };
                let version = match gone {
                    Gone { rows: 0, .. } => object.version,
                    Gone { rows: of_file, version } => {
                        rows += of_file;
                        files += 1;
                        version
                    }
                };
                clean.insert(object.key, version);
            }
            if is_done {
                return Ok((rows, files));
            }
        }
        Err(Error::Table {
            table: self.definition.table.clone(),
            reason: "others write to it all the time; erase the rows while nothing loads into it, \
                     and remove them at their source first"
                .into(),
        })
    }

    /// The objects that hold rows of the table, or rows that wait to enter it.
    fn objects(&self) -> Result<Vec<Object>> {
        let table = &self.definition.table;
        // The files of an Iceberg table are not written again in place.
        let listed = if self.definition.is_iceberg() {
            Vec::new()
        } else {
            self.lake.store.list(&format!("{table}/"))?
        };
        let files = TableFiles::new(self.definition, &listed)?;
        let mut objects: Vec<Object> = files.data.into_values().flatten().cloned().collect();
        let waiting = self.lake.store.list(&format!("{GENERATIONS}/{table}/"))?;
        objects.extend(waiting.into_iter().filter(|object| object.key.ends_with(".parquet")));
        Ok(objects)
    }

    fn erase_in(&self, object: &Object) -> Result<Gone> {
        let file = self.lake.store.fetch(object)?;
        let rows = self.count(&file, object)?;
        if rows == 0 || self.dry_run {
            return Ok(Gone { rows, version: object.version.clone() });
        }
        let format = self.lake.format(self.encoding, self.definition.shards);
        let condition = Condition::still(Some(object));
        // Where all of its rows go, it stays as a file without any: another writer may just have put
        // new ones there, which a removal would not notice.
        let mut part = self.lake.part(&object.key, condition, &self.schema, &format)?;
        let reader = PartReader::open(file, &self.lake.store.locate(&object.key))?;
        for batch in reader.batches(&self.schema)? {
            let batch = batch?;
            let kept = not(&matches(&self.tests, &batch)?).map_err(Error::arrow)?;
            part.write(&filter_record_batch(&batch, &kept).map_err(Error::arrow)?)?;
        }
        Ok(Gone { rows, version: part.finish()?.version })
    }

    /// How many rows of a file are to go. Only the columns that decide are read.
    fn count(&self, file: &File, object: &Object) -> Result<u64> {
        let name = self.lake.store.locate(&object.key);
        let file =
            file.try_clone().map_err(|error| Error::store("read", &name, error.to_string()))?;
        let columns: HashSet<&str> = self.tests.iter().map(|test| test.root.as_str()).collect();
        let reader = PartReader::open_columns(file, &name, |column| columns.contains(column))?;
        let mut rows = 0;
        for batch in reader.batches(&self.schema)? {
            rows += matches(&self.tests, &batch?)?.true_count() as u64;
        }
        Ok(rows)
    }
}

/// What became of an object.
struct Gone {
    rows: u64,
    /// The version that holds none of them any more.
    version: String,
}

/// What is looked for in one column.
pub(super) struct Test {
    root: String,
    path: Vec<usize>,
    values: Values,
}

enum Values {
    Texts(BTreeSet<String>),
    Integers(BTreeSet<i64>),
}

impl Test {
    /// Nothing where the table has no such column.
    fn new(definition: &Definition, asked: &Erase) -> Result<Option<Self>> {
        let fault = |reason: String| Error::Table {
            table: definition.table.clone(),
            reason: format!("rows cannot be erased by its column `{}`: {reason}", asked.column),
        };
        let mut columns = definition.columns.as_slice();
        let (mut path, mut root, mut kind) = (Vec::new(), None, None);
        for name in asked.column.split('.') {
            let found = columns.iter().position(|column| column.name == name);
            let Some((at, column)) = found.and_then(|at| Some((at, columns.get(at)?))) else {
                return Ok(None);
            };
            path.push(at);
            root.get_or_insert_with(|| column.name.clone());
            kind = Some(&column.kind);
            columns = column.kind.fields();
        }
        let (Some(root), Some(kind)) = (root, kind) else { return Ok(None) };
        let values = match kind {
            Kind::String | Kind::Json => Values::Texts(asked.values.clone()),
            Kind::Int | Kind::Bigint => {
                let parsed = asked.values.iter().map(|value| value.parse::<i64>());
                let parsed: Result<_, _> = parsed.collect();
                Values::Integers(parsed.map_err(|_| fault("not every value is an integer".into()))?)
            }
            Kind::Boolean
            | Kind::Double
            | Kind::Decimal(..)
            | Kind::Date
            | Kind::Timestamp
            | Kind::Struct(_)
            | Kind::List(_) => {
                return Err(fault(format!("it is {kind}, and must be text or an integer")));
            }
        };
        Ok(Some(Self { root, path, values }))
    }

    /// Marks the rows that have one of the values.
    fn find(&self, batch: &RecordBatch, found: &mut [bool]) -> Result<()> {
        let array = at(batch.columns(), &self.path)?;
        match &self.values {
            Values::Texts(values) => {
                let texts = array.as_string_opt::<i32>();
                let texts = texts.ok_or_else(|| Error::internal("a text column holds texts"))?;
                mark(
                    found,
                    texts.iter().map(|text| text.is_some_and(|text| values.contains(text))),
                );
            }
            Values::Integers(values) => {
                if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
                    mark(found, numbers.iter().map(|n| n.is_some_and(|n| values.contains(&n))));
                } else if let Some(numbers) = array.as_primitive_opt::<Int32Type>() {
                    let has = |n: i32| values.contains(&i64::from(n));
                    mark(found, numbers.iter().map(|n| n.is_some_and(has)));
                } else {
                    return Err(Error::internal("an integer column holds integers"));
                }
            }
        }
        Ok(())
    }
}

fn mark(found: &mut [bool], hits: impl Iterator<Item = bool>) {
    found.iter_mut().zip(hits).for_each(|(found, hit)| *found |= hit);
}

/// The array at a path. A value inside of a struct that is null may be anything: it is no value.
fn at(arrays: &[ArrayRef], path: &[usize]) -> Result<ArrayRef> {
    let missing = || Error::internal(format!("{path:?} is a path in the table's columns"));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let array = arrays.get(*first).ok_or_else(missing)?;
    if rest.is_empty() {
        return Ok(Arc::clone(array));
    }
    at(array.as_struct_opt().ok_or_else(missing)?.columns(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintain::testing::{append, dying, upsert};
    use crate::table::LoadMethod;
    use crate::testing::{LakeFolder, found, objects, once};

    fn asked(column: &str, values: &[&str]) -> Vec<Erase> {
        let values = values.iter().map(ToString::to_string).collect();
        vec![Erase { column: column.into(), values }]
    }

    fn erased(lake: &Lake, asked: &[Erase], dry_run: bool) -> Result<Option<Action>> {
        let (_, definition) = lake.definition("t")?.unwrap();
        erase(lake, &definition, &Encoding::default(), asked, dry_run)
    }

    /// A table of three partitions, in which rows 0 to 6 are of `a` and 6 to 12 of `b`.
    fn loaded(load: LoadMethod) -> LakeFolder {
        let folder = LakeFolder::new();
        let load = if load == LoadMethod::Append { append } else { upsert };
        load(&folder.lake(), 0..6, "a");
        load(&folder.lake(), 6..12, "b");
        folder
    }

    #[test]
    fn rows_with_the_value_go_and_no_other() {
        for load in [LoadMethod::Append, LoadMethod::Upsert] {
            let folder = loaded(load);
            let action = erased(&folder.lake(), &asked("name", &["a", "x"]), false).unwrap();
            assert_eq!(action, Some(Action::Erase { rows: 6, files: 3 }), "{load:?}");
            assert_eq!(found(&folder.lake()), once([(6..12, "b")]));
            let again = erased(&folder.lake(), &asked("name", &["a"]), false).unwrap();
            assert_eq!(again, Some(Action::Erase { rows: 0, files: 0 }));
            let action = erased(&folder.lake(), &asked("id", &["7", "8", "1"]), false).unwrap();
            assert_eq!(action, Some(Action::Erase { rows: 2, files: 2 }));
            assert_eq!(found(&folder.lake()), once([(6..7, "b"), (9..12, "b")]));
            // What is loaded next finds the table as it must be.
            let load = if load == LoadMethod::Append { append } else { upsert };
            load(&folder.lake(), 20..23, "c");
            assert_eq!(found(&folder.lake()), once([(6..7, "b"), (9..12, "b"), (20..23, "c")]));
        }
    }

    #[test]
    fn rows_that_wait_to_enter_the_table_go_as_well() {
        let folder = loaded(LoadMethod::Append);
        let lake = folder.lake();
        let file = &objects(&lake)[0];
        let (_, text) = lake.store.get(&file.key).unwrap().unwrap();
        let waits = "_lake/generations/t/3/run-00000.parquet";
        lake.store.put(waits, &text, Condition::Absent).unwrap();
        let action = erased(&folder.lake(), &asked("name", &["a"]), false).unwrap();
        assert_eq!(action, Some(Action::Erase { rows: 8, files: 4 }));
        let object = lake.store.head(waits).unwrap().unwrap();
        let reader = PartReader::open(lake.store.fetch(&object).unwrap(), waits).unwrap();
        assert_eq!(reader.schema().fields().len(), 3);
        let schema = reader.schema();
        assert_eq!(
            reader.batches(&schema).unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(),
            0
        );
    }

    #[test]
    fn files_without_such_rows_are_not_written() {
        let folder = loaded(LoadMethod::Append);
        let before = objects(&folder.lake());
        erased(&folder.lake(), &asked("id", &["1"]), false).unwrap();
        let changed = objects(&folder.lake()).iter().filter(|now| !before.contains(now)).count();
        assert_eq!(changed, 1);
    }

    #[test]
    fn a_dry_run_counts_and_changes_nothing() {
        let folder = loaded(LoadMethod::Upsert);
        let before = folder.lake().store.list("").unwrap();
        let action = erased(&folder.lake(), &asked("name", &["a"]), true).unwrap();
        assert_eq!(action, Some(Action::Erase { rows: 6, files: 3 }));
        assert_eq!(folder.lake().store.list("").unwrap(), before);
    }

    #[test]
    fn a_column_that_the_table_has_not_is_nothing_and_one_that_cannot_be_compared_is_named() {
        let folder = loaded(LoadMethod::Upsert);
        for column in ["ip", "name.of", "id.x", ""] {
            let none = erased(&folder.lake(), &asked(column, &["a"]), false).unwrap();
            assert_eq!(none, None, "{column}");
        }
        let error = erased(&folder.lake(), &asked("id", &["a"]), false).unwrap_err().to_string();
        assert!(error.contains("`id`") && error.contains("integer"), "{error}");
        let (_, mut definition) = folder.lake().definition("t").unwrap().unwrap();
        definition.columns[1].kind = Kind::List(Box::new(Kind::String));
        let error = Test::new(&definition, &asked("name", &["a"])[0]).err().unwrap().to_string();
        assert!(error.contains("array<string>") && !error.contains("`a`"), "{error}");
    }

    #[test]
    fn an_object_that_another_replaces_meanwhile_is_looked_at_again() {
        let folder = loaded(LoadMethod::Upsert);
        let lake = folder.lake();
        let (_, definition) = lake.definition("t").unwrap().unwrap();
        let table = Table {
            lake: &lake,
            definition: &definition,
            encoding: &Encoding::default(),
            schema: schema_of(&definition),
            tests: vec![Test::new(&definition, &asked("name", &["a"])[0]).unwrap().unwrap()],
            dry_run: false,
        };
        let listed = table.objects().unwrap();
        upsert(&folder.lake(), 30..33, "a");
        assert!(matches!(table.erase_in(&listed[0]), Err(Error::Conflict { .. })));
        assert_eq!(table.erase().unwrap(), (9, 3));
        assert_eq!(found(&lake), once([(6..12, "b")]));
    }

    #[test]
    fn a_run_that_dies_at_any_change_has_lost_no_other_row_and_is_done_again() {
        for load in [LoadMethod::Append, LoadMethod::Upsert] {
            let mut deaths = 0;
            for nth in 1.. {
                let folder = loaded(load);
                let outcome = erased(&dying(&folder, nth), &asked("name", &["a"]), false);
                let left = found(&folder.lake());
                assert!((6..12).all(|id| left.get(&id) == Some(&vec!["b".to_owned()])), "{nth}");
                if outcome.is_ok() {
                    break;
                }
                deaths += 1;
                erased(&folder.lake(), &asked("name", &["a"]), false).unwrap();
                assert_eq!(found(&folder.lake()), once([(6..12, "b")]));
            }
            assert_eq!(deaths, 3);
        }
    }
}
