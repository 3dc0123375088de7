use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::statistics::Group;
use super::suspect::Told;
use super::*;
use crate::file::reader::{PartReader, footer};
use crate::maintain;
use crate::maintain::testing::{append, load, upsert};
use crate::store::Condition;
use crate::table::spec::Spec;
use crate::testing::{LakeFolder, by_month, objects, rows};

/// What a check of the table `t` finds.
fn checked(folder: &LakeFolder) -> Checked {
    maintain::check(&folder.lake(), &[]).unwrap().remove(0)
}

/// The kinds of faults, and how often each is found.
fn faults(folder: &LakeFolder) -> Vec<(FaultKind, u64)> {
    checked(folder).faults.iter().map(|fault| (fault.kind, fault.count)).collect()
}

/// The rows of an object.
fn read(folder: &LakeFolder, key: &str) -> RecordBatch {
    let lake = folder.lake();
    let object = lake.store.head(key).unwrap().unwrap();
    let part = PartReader::open(lake.store.fetch(&object).unwrap(), key).unwrap();
    let schema = part.schema();
    let batches: Vec<_> = part.batches(&schema).unwrap().collect::<Result<_>>().unwrap();
    concat_batches(&schema, &batches).unwrap()
}

/// Puts an object with these rows there, as another writer would.
fn put(folder: &LakeFolder, key: &str, rows: &RecordBatch) {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    folder.lake().store.put(key, &bytes, Condition::Always).unwrap();
}

fn keys(folder: &LakeFolder) -> Vec<String> {
    objects(&folder.lake()).into_iter().map(|object| object.key).collect()
}

#[test]
fn a_table_as_it_was_written_has_no_fault() {
    for shards in [1, 3] {
        let folder = LakeFolder::new();
        let spec = || Spec { shards: Some(shards), ..by_month() };
        load(&folder.lake(), spec(), 0..3000, "a").unwrap();
        load(&folder.lake(), spec(), 1000..4000, "b").unwrap();
        let checked = checked(&folder);
        assert_eq!((checked.rows, checked.files), (4000, u64::from(3 * shards)));
        assert_eq!((checked.faults, checked.notes), (Vec::new(), Vec::new()));
        assert!(checked.bytes > 0);
    }
    let folder = LakeFolder::new();
    for _ in 0..2 {
        // The same rows again: whoever appends may.
        append(&folder.lake(), 0..50, "a");
    }
    assert_eq!((checked(&folder).rows, faults(&folder)), (100, Vec::new()));
}

#[test]
fn a_key_that_is_there_twice_is_found_with_both_of_its_rows() {
    let folder = LakeFolder::new();
    upsert(&folder.lake(), 0..30, "a");
    let key = keys(&folder).remove(0);
    let rows = read(&folder, &key);
    put(&folder, &key, &concat_batches(&rows.schema(), [&rows, &rows.slice(4, 2)]).unwrap());
    let checked = checked(&folder);
    let [fault] = &checked.faults[..] else { panic!("{checked:?}") };
    assert_eq!((fault.kind, fault.count, fault.examples.len()), (FaultKind::KeyTwice, 2, 2));
    let name = folder.lake().store.locate(&key);
    let told = |one, other| format!("row {one} of {name} has the key of row {other} of {name}");
    let mut examples = fault.examples.clone();
    examples.sort();
    assert_eq!(examples, [told(11, 5), told(12, 6)]);
}

#[test]
fn keys_beyond_the_memory_are_compared_as_well() {
    let folder = LakeFolder::new();
    load(&folder.lake(), by_month(), 0..90_000, "a").unwrap();
    let key = keys(&folder).remove(1);
    let rows = read(&folder, &key);
    put(&folder, &key, &concat_batches(&rows.schema(), [&rows, &rows.slice(100, 7)]).unwrap());
    let checked = maintain::check(&folder.lake_with(1 << 20), &[]).unwrap().remove(0);
    let [fault] = &checked.faults[..] else { panic!("{checked:?}") };
    assert_eq!((fault.kind, fault.count, checked.rows), (FaultKind::KeyTwice, 7, 90_007));
}

#[test]
fn a_key_in_another_partition_is_worth_knowing_and_no_fault() {
    let folder = LakeFolder::new();
    upsert(&folder.lake(), 0..9, "a");
    let moved = rows([0], "b");
    let later: ArrayRef = Arc::new(StringArray::from(vec!["2026-02-01"]));
    let columns = vec![Arc::clone(moved.column(0)), Arc::clone(moved.column(1)), later];
    let moved = RecordBatch::try_new(moved.schema(), columns).unwrap();
    let spec = Arc::new(by_month());
    let mut table = crate::write::Table::open(&folder.lake(), &spec).unwrap();
    table.push(&spec, &moved).unwrap();
    table.cover().unwrap();
    table.commit(true).unwrap();
    let checked = checked(&folder);
    assert_eq!((checked.rows, checked.faults), (10, Vec::new()));
    assert!(checked.notes[0].ends_with("when their key comes again"), "{:?}", checked.notes);
}

#[test]
fn rows_where_they_do_not_belong_are_counted() {
    let folder = LakeFolder::new();
    load(&folder.lake(), Spec { shards: Some(2), ..by_month() }, 0..30, "a").unwrap();
    let keys = keys(&folder);
    // The rows of one object in that of another shard, and of another month.
    let rows = read(&folder, &keys[0]);
    folder.lake().store.delete(&keys[0]).unwrap();
    put(
        &folder,
        &keys[1],
        &concat_batches(&rows.schema(), [&rows, &read(&folder, &keys[1])]).unwrap(),
    );
    let count = rows.num_rows() as u64;
    assert_eq!(faults(&folder), [(FaultKind::Shard, count)]);
    let last = keys.last().unwrap();
    let other = read(&folder, last);
    put(&folder, &keys[1], &other);
    folder.lake().store.delete(last).unwrap();
    assert_eq!(faults(&folder), [(FaultKind::Partition, other.num_rows() as u64)]);
}

#[test]
fn files_that_cannot_be_read_and_columns_that_nobody_knows_are_named() {
    let folder = LakeFolder::new();
    upsert(&folder.lake(), 0..9, "a");
    let keys = keys(&folder);
    folder.lake().store.put(&keys[0], b"PAR1 no file PAR1", Condition::Always).unwrap();
    let foreign = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("surprise", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
    ]);
    put(&folder, &keys[1], &foreign.unwrap());
    assert_eq!(faults(&folder), [(FaultKind::Columns, 1), (FaultKind::Unreadable, 1)]);
}

#[test]
fn a_row_without_its_key_is_counted() {
    let folder = LakeFolder::new();
    upsert(&folder.lake(), 0..9, "a");
    let key = keys(&folder).remove(0);
    let rows = read(&folder, &key);
    let mut columns = rows.columns().to_vec();
    columns[0] = Arc::new(Int64Array::from(vec![Some(3), None, Some(6)]));
    put(&folder, &key, &RecordBatch::try_new(rows.schema(), columns).unwrap());
    assert!(faults(&folder).contains(&(FaultKind::NoKey, 1)), "{:?}", faults(&folder));
}

/// A file with one column.
fn file_of(column: &ArrayRef) -> File {
    let rows = RecordBatch::try_from_iter([("c", Arc::clone(column))]).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    file.write_all(&bytes).unwrap();
    file
}

/// What is not so of the first row group, whose footer says this of its columns, when these values are there.
fn lies(file: &File, said: impl Fn(&Statistics) -> Statistics, values: &ArrayRef) -> Vec<String> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|column| {
            let statistics = said(column.statistics().unwrap());
            column.clone().into_builder().set_statistics(statistics).build().unwrap()
        });
        let columns = columns.collect();
        let builder = group.clone().into_builder().set_column_metadata(columns);
        builder.build().unwrap()
    });
    let groups: Vec<RowGroupMetaData> = groups.collect();
    let metadata = ParquetMetaData::new(metadata.file_metadata().clone(), groups);
    let footer = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new());
    let mut group = Group::new(&footer.unwrap(), 0).unwrap();
    let batch = RecordBatch::try_from_iter([("c", Arc::clone(values))]).unwrap();
    group.see(&batch).unwrap();
    let mut faults = Faults::default();
    group.end(batch.num_rows() as u64, &mut Told { file: "f", faults: &mut faults });
    Vec::<Fault>::from(faults).into_iter().flat_map(|fault| fault.examples).collect()
}

#[test]
fn what_a_footer_says_of_every_type_is_compared() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(-2)]));
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![1.5, f64::NAN, -0.0]));
    let long = "ü".repeat(200);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(long.as_str()), Some(""), None]));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]));
    let inner = (Arc::new(Field::new("x", DataType::Int64, true)), Arc::clone(&numbers));
    let structs: ArrayRef = Arc::new(StructArray::from(vec![inner]));
    let zeros: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 2.5]));
    let below: ArrayRef = Arc::new(Float64Array::from(vec![-2.5, -0.0]));
    for column in [&numbers, &doubles, &zeros, &below, &texts, &lists, &structs] {
        let file = file_of(column);
        assert!(footer(&file, "f").is_ok());
        assert_eq!(lies(&file, Statistics::clone, column), [""; 0], "{column:?}");
    }
    // A zero has the sign by which the bound leaves out neither of both.
    let signed = |low, high| {
        move |_: &Statistics| Statistics::double(Some(low), Some(high), None, Some(0), false)
    };
    assert_eq!(lies(&file_of(&zeros), signed(-0.0, 2.5), &zeros), [""; 0]);
    assert_eq!(lies(&file_of(&below), signed(-2.5, 0.0), &below), [""; 0]);
    assert_eq!(lies(&file_of(&zeros), signed(-1.0, 2.5), &zeros).len(), 1);
    let file = file_of(&numbers);
    let said = |low, high, nulls| {
        move |_: &Statistics| Statistics::int64(Some(low), Some(high), None, Some(nulls), false)
    };
    assert_eq!(lies(&file, said(-2, 5, 0), &numbers), ["f: nulls of `c`: 1, and 0 by the footer"]);
    let beyond = lies(&file, said(-1, 5, 1), &numbers);
    assert_eq!(beyond[0], "f: values of `c` beyond the bounds of the footer: 1");
    let loose = lies(&file, said(-3, 5, 1), &numbers);
    assert_eq!(loose, ["f: no value of `c` is the least one that the footer names"]);
    let fewer: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), Some(-2)]));
    let fewer = lies(&file, said(-2, 5, 0), &fewer);
    assert_eq!(fewer, ["f: rows of a row group: 2, and 3 by the footer"]);
}
