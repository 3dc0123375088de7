//! Iceberg tables: what a commit promises, and what is left wherever a run dies.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema};
use lake::schema::{Column, Kind, fields};
use lake::store::{CallKind, MemoryStore, Store};
use lake::table::{Granularity, LoadMethod, PartitionBy, Spec};
use lake::write::Table;
use lake::write::covered::{CommitNote, newest_state};
use lake::{Lake, Options, Result, TableFormat, maintain};

/// Rows of a table by their id: all names that a reader finds.
type Found = BTreeMap<i64, Vec<String>>;

fn columns() -> Vec<Column> {
    vec![
        Column::same("id", Kind::Bigint),
        Column::same("name", Kind::String),
        Column::same("at", Kind::String),
    ]
}

fn keyed() -> Spec {
    Spec { table_format: TableFormat::Iceberg, ..Spec::upsert("t", columns(), ["id"]) }
}

fn appended() -> Spec {
    Spec { table_format: TableFormat::Iceberg, ..Spec::append("t", columns()) }
}

fn by_month(spec: Spec) -> Spec {
    let granularity = Some(Granularity::Month);
    let by = PartitionBy { column: "at".into(), granularity, name: None };
    Spec { partition_by: Some(by), ..spec }
}

fn rows(ids: impl IntoIterator<Item = i64>, name: &str) -> RecordBatch {
    let ids: Vec<i64> = ids.into_iter().collect();
    let months = ids.iter().map(|id| format!("2026-{:02}-01", 1 + id.rem_euclid(3)));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.clone())),
        Arc::new(StringArray::from_iter_values(ids.iter().map(|_| name))),
        Arc::new(StringArray::from_iter_values(months)),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields(&columns()))), arrays).unwrap()
}

/// The next run of a store.
fn lake(store: &MemoryStore) -> Arc<Lake> {
    static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let options = Options { threads: 1, at_once: 1, memory: 8 << 20, ..Options::default() };
    let run = format!("20260101T000000000000-{number:06x}");
    Arc::new(Lake::with_store(Arc::new(store.reopen()), run, &options).unwrap())
}

/// The next run in a store that may stop.
fn lake_in(store: &Arc<MemoryStore>, run: &str) -> Result<Arc<Lake>> {
    let options = Options { threads: 1, at_once: 1, memory: 8 << 20, ..Options::default() };
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    Ok(Arc::new(Lake::with_store(store, run.into(), &options)?))
}

fn load(lake: &Arc<Lake>, spec: &Spec, batch: &RecordBatch) -> Result<lake::write::Committed> {
    let spec = Arc::new(spec.clone());
    let mut table = Table::open(lake, &spec)?;
    table.push(&spec, batch)?;
    table.cover()?;
    table.prepare(true)?;
    table.commit(true)
}

fn found(lake: &Lake) -> Found {
    let mut found = Found::new();
    for batch in lake.scan("t").unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let names = batch.column(1).as_string::<i32>();
        for row in 0..batch.num_rows() {
            found.entry(ids.value(row)).or_default().push(names.value(row).to_owned());
        }
    }
    found
}

fn once<'a>(parts: impl IntoIterator<Item = (Range<i64>, &'a str)>) -> Found {
    let parts = parts.into_iter();
    parts.flat_map(|(ids, name)| ids.map(move |id| (id, vec![name.to_owned()]))).collect()
}

fn keys(store: &MemoryStore, prefix: &str) -> Vec<String> {
    store.reopen().list(prefix).unwrap().into_iter().map(|object| object.key).collect()
}

#[test]
fn the_newest_row_of_a_key_counts_in_partitions_and_buckets() {
    for spec in [
        keyed(),
        by_month(keyed()),
        Spec { shards: Some(4), ..by_month(keyed()) },
        Spec { shards: Some(3), ..keyed() },
        Spec { keys: vec!["name".into(), "id".into()], shards: Some(3), ..keyed() },
    ] {
        let store = MemoryStore::new();
        load(&lake(&store), &spec, &rows(0..10, "a")).unwrap();
        let committed = load(&lake(&store), &spec, &rows(5..15, "a")).unwrap();
        // Groups whose rows all come again as they are stay.
        assert_eq!(committed.rows + committed.unchanged_rows, 10, "{spec:?}");
        assert_eq!(found(&lake(&store)), once([(0..15, "a")]));
        if spec.keys.len() == 1 {
            load(&lake(&store), &spec, &rows(3..5, "b")).unwrap();
            assert_eq!(found(&lake(&store)), once([(0..3, "a"), (3..5, "b"), (5..15, "a")]));
        }
    }
}

#[test]
fn files_that_no_row_touches_stay_and_rows_that_are_there_write_none() {
    let store = MemoryStore::new();
    let spec = by_month(keyed());
    load(&lake(&store), &spec, &rows(0..9, "a")).unwrap();
    let before = keys(&store, "t/data/");
    assert_eq!(before.len(), 3);
    let committed = load(&lake(&store), &spec, &rows([3], "b")).unwrap();
    assert_eq!((committed.files, committed.replaced_rows), (1, 1));
    let metadata = keys(&store, "t/metadata/v").len();
    let again = load(&lake(&store), &spec, &rows([3], "b")).unwrap();
    assert_eq!((again.files, again.unchanged_rows), (0, 1));
    assert_eq!(keys(&store, "t/metadata/v").len(), metadata, "nothing is to be said");
}

#[test]
fn rows_leave_the_partition_that_is_no_more_theirs_where_that_is_asked_for() {
    for moves_keys in [true, false] {
        let store = MemoryStore::new();
        let spec = Spec { moves_keys, ..by_month(keyed()) };
        load(&lake(&store), &spec, &rows(0..9, "a")).unwrap();
        let moved = rows(0..3, "b");
        let months: ArrayRef = Arc::new(StringArray::from(vec!["2026-09-01"; 3]));
        let columns = vec![Arc::clone(moved.column(0)), Arc::clone(moved.column(1)), months];
        let moved = RecordBatch::try_new(moved.schema(), columns).unwrap();
        load(&lake(&store), &spec, &moved).unwrap();
        let found = found(&lake(&store));
        assert_eq!(found[&1].len(), if moves_keys { 1 } else { 2 });
        assert_eq!(found.len(), 9);
        assert!(found[&1].contains(&"b".to_owned()));
    }
}

#[test]
fn appended_rows_are_added_and_a_replacement_is_one_step() {
    let store = MemoryStore::new();
    for _ in 0..2 {
        load(&lake(&store), &by_month(appended()), &rows(0..4, "a")).unwrap();
    }
    assert!(found(&lake(&store)).values().all(|names| names == &["a", "a"]));
    let replaced = Spec { load: LoadMethod::Overwrite, ..by_month(appended()) };
    let committed = load(&lake(&store), &replaced, &rows(1..2, "b")).unwrap();
    assert!(committed.replaced);
    assert_eq!(found(&lake(&store)), once([(1..2, "b")]));
}

#[test]
fn many_commits_leave_few_manifests_and_no_row_is_lost() {
    let store = MemoryStore::new();
    for id in 0..130 {
        load(&lake(&store), &appended(), &rows([id], "a")).unwrap();
    }
    assert_eq!(found(&lake(&store)), once([(0..130, "a")]));
    // Old metadata files have gone, and with it the names of their versions.
    assert!(keys(&store, "t/metadata/v").len() <= 22, "{:?}", keys(&store, "t/metadata/v"));
}

#[test]
fn a_column_that_becomes_another_type_is_written_anew_and_new_ones_come_last() {
    let store = MemoryStore::new();
    load(&lake(&store), &by_month(keyed()), &rows(0..6, "a")).unwrap();
    let mut wide = columns();
    wide[0].kind = Kind::Double;
    wide.push(Column::same("more", Kind::Bigint));
    let spec = Spec { columns: wide.clone(), ..by_month(keyed()) };
    let narrow = rows(4..8, "b");
    let ids = cast(narrow.column(0), &DataType::Float64).unwrap();
    let more: ArrayRef = Arc::new(Int64Array::from(vec![7; 4]));
    let [names, at] = [1, 2].map(|column| Arc::clone(narrow.column(column)));
    let arrays = vec![ids, names, at, more];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields(&wide))), arrays).unwrap();
    load(&lake(&store), &spec, &batch).unwrap();
    let mut seen = BTreeMap::new();
    for batch in lake(&store).scan("t").unwrap() {
        let batch = batch.unwrap();
        assert_eq!(batch.column(0).data_type(), &DataType::Float64);
        let ids = cast(batch.column(0), &DataType::Int64).unwrap();
        let ids = ids.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let name = batch.column(1).as_string::<i32>().value(row).to_owned();
            seen.insert(ids.value(row), (name, batch.column(3).is_null(row)));
        }
    }
    assert_eq!(seen.len(), 8);
    assert_eq!(seen[&1], ("a".to_owned(), true));
    assert_eq!(seen[&5], ("b".to_owned(), false));
}

#[test]
fn a_folder_with_files_of_others_or_of_a_plain_table_is_refused() {
    let store = MemoryStore::new();
    load(&lake(&store), &Spec::append("t", columns()), &rows(0..2, "a")).unwrap();
    let error = load(&lake(&store), &appended(), &rows(0..2, "a")).unwrap_err().to_string();
    assert!(error.contains("plain table") && error.contains("`table_format`"), "{error}");
    let store = MemoryStore::new();
    store.put("t/theirs.csv", b"x", lake::store::Condition::Absent).unwrap();
    let error = load(&lake(&store), &appended(), &rows(0..2, "a")).unwrap_err().to_string();
    assert!(error.contains("`t/theirs.csv`"), "{error}");
}

/// What a pipeline does in one run: two commits, each with the state that covers it.
fn pipeline(store: &Arc<MemoryStore>, run: &str, spec: &Spec) -> Result<()> {
    let lake = lake_in(store, run)?;
    let spec = Arc::new(spec.clone());
    let mut table = Table::open(&lake, &spec)?;
    for (number, ids) in [(1, 3..8), (2, 6..12)] {
        table.push(&spec, &rows(ids, "b"))?;
        table.cover()?;
        table.prepare(true)?;
        let note = CommitNote { number, tables: vec!["t".into()], new: vec![], receipt: None };
        table.set_notes(note.notes(&lake, "t", Some(&format!("{{\"n\":{number}}}")))?);
        table.commit(true)?;
    }
    Ok(())
}

#[test]
fn a_commit_whose_answer_is_lost_is_not_made_twice() {
    for spec in [keyed(), by_month(appended())] {
        let before = MemoryStore::new();
        load(&lake(&before), &spec, &rows(0..3, "a")).unwrap();
        let run = |store: &Arc<MemoryStore>| -> Result<()> {
            let lake = lake_in(store, "20260101T000000000000-00cccc")?;
            load(&lake, &spec, &rows(3..9, "b")).map(drop)
        };
        let whole = Arc::new(before.snapshot());
        run(&whole).unwrap();
        let writes = whole.calls().len();
        for write in 1..=writes {
            let store = Arc::new(before.snapshot());
            store.lose_answer(write);
            let outcome = run(&store);
            let rows = found(&lake(&store));
            match outcome {
                Ok(()) => assert_eq!(rows, once([(0..3, "a"), (3..9, "b")]), "{write}"),
                // It did not come as far as the swap.
                Err(_) => assert_eq!(rows, once([(0..3, "a")]), "{write}"),
            }
        }
    }
}

#[test]
fn of_writers_that_overtake_each_other_none_loses_a_row() {
    let store = MemoryStore::new();
    let spec = Arc::new(Spec { shards: Some(2), ..by_month(keyed()) });
    load(&lake(&store), &spec, &rows(0..6, "a")).unwrap();
    let (first, second) = (lake(&store), lake(&store));
    let mut slow = Table::open(&first, &spec).unwrap();
    slow.push(&spec, &rows(2..9, "slow")).unwrap();
    load(&second, &spec, &rows(4..12, "fast")).unwrap();
    slow.commit(true).unwrap();
    let expected = once([(0..2, "a"), (2..9, "slow"), (9..12, "fast")]);
    assert_eq!(found(&lake(&store)), expected);
    let threads: Vec<_> = (0..4)
        .map(|writer| {
            let (lake, spec) = (lake(&store), Arc::clone(&spec));
            std::thread::spawn(move || {
                for turn in 0..3 {
                    let from = 100 * (writer + 1) + 10 * turn;
                    load(&lake, &spec, &rows(from..from + 10, "x")).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let found = found(&lake(&store));
    assert_eq!(found.len(), 12 + 4 * 30);
    assert!(found.values().all(|names| names.len() == 1));
}

#[test]
fn a_state_counts_once_all_tables_of_its_commit_have_it() {
    let store = MemoryStore::new();
    let lake = lake(&store);
    let commit = |number: u32, names: &[&str], only: &[&str]| {
        for name in names.iter().filter(|name| only.contains(name)) {
            let spec = Arc::new(Spec { table: (*name).into(), ..appended() });
            let mut table = Table::open(&lake, &spec).unwrap();
            table.push(&spec, &rows(0..1, "a")).unwrap();
            table.cover().unwrap();
            table.prepare(true).unwrap();
            let tables = names.iter().map(|name| (*name).to_owned()).collect();
            let note = CommitNote { number, tables, new: vec![], receipt: None };
            table.set_notes(note.notes(&lake, name, Some(&number.to_string())).unwrap());
            table.commit(true).unwrap();
        }
    };
    assert_eq!(newest_state(&lake).unwrap(), None);
    commit(1, &["t", "u"], &["t", "u"]);
    assert_eq!(newest_state(&lake).unwrap().as_deref(), Some("1"));
    commit(2, &["t", "u"], &["t"]);
    assert_eq!(newest_state(&lake).unwrap().as_deref(), Some("1"));
    commit(3, &["u"], &["u"]);
    assert_eq!(newest_state(&lake).unwrap().as_deref(), Some("3"));
    // A long one is in a file of its own, outside of the table.
    let long = "9".repeat(100_000);
    let spec = Arc::new(appended());
    let mut table = Table::open(&lake, &spec).unwrap();
    table.push(&spec, &rows(0..1, "a")).unwrap();
    table.cover().unwrap();
    let note = CommitNote { number: 4, tables: vec!["t".into()], new: vec![], receipt: None };
    table.set_notes(note.notes(&lake, "t", Some(&long)).unwrap());
    table.prepare(true).unwrap();
    table.commit(true).unwrap();
    assert_eq!(newest_state(&lake).unwrap(), Some(long));
    assert_eq!(keys(&store, "_lake/state/").len(), 1);
}

fn maintained(store: &MemoryStore, options: &maintain::Options) -> Vec<maintain::Action> {
    let encoding = |_: &str| lake::file::Encoding::default();
    let mut report = maintain::run(&lake(store), &encoding, options).unwrap();
    assert_eq!(report.tables.len(), 1);
    report.tables.remove(0).actions
}

/// Another tool sets a property of the table.
fn set_property(store: &MemoryStore, key: &str, value: &str) {
    let store = store.reopen();
    let (_, hint) = store.get("t/metadata/version-hint.text").unwrap().unwrap();
    let newest: u64 = String::from_utf8(hint).unwrap().parse().unwrap();
    let file = |version| format!("t/metadata/v{version}.metadata.json");
    let (_, text) = store.get(&file(newest)).unwrap().unwrap();
    let mut metadata: serde_json::Value = serde_json::from_slice(&text).unwrap();
    metadata["properties"][key] = value.into();
    let text = serde_json::to_vec(&metadata).unwrap();
    store.put(&file(newest + 1), &text, lake::store::Condition::Absent).unwrap();
}

#[test]
fn what_no_snapshot_needs_any_more_goes_with_the_commits() {
    let store = MemoryStore::new();
    let spec = by_month(keyed());
    load(&lake(&store), &spec, &rows(0..9, "a")).unwrap();
    set_property(&store, "history.expire.max-snapshot-age-ms", "0");
    for turn in 0..20 {
        load(&lake(&store), &spec, &rows([3], &format!("b{turn}"))).unwrap();
    }
    // Three that are live, and those that the four snapshots before still name.
    assert_eq!(keys(&store, "t/data/").len(), 3 + 4);
    let lists = keys(&store, "t/metadata/").into_iter().filter(|key| key.contains("-snap-"));
    assert_eq!(lists.count(), 5);
    assert_eq!(found(&lake(&store))[&3], ["b19"]);
    let orphans = maintained(&store, &maintain::Options { expire: true, ..Default::default() });
    assert_eq!(orphans, [maintain::Action::Expire { snapshots: 0, orphans: 0 }]);
}

#[test]
fn small_files_are_put_together_and_shards_are_cut_anew_with_every_row() {
    let store = MemoryStore::new();
    for from in [0, 4, 8] {
        load(&lake(&store), &by_month(appended()), &rows(from..from + 4, "a")).unwrap();
    }
    let compact = maintain::Options { compact: true, ..Default::default() };
    let planned = maintained(&store, &maintain::Options { dry_run: true, ..compact.clone() });
    assert_eq!(maintained(&store, &compact), planned);
    assert_eq!(planned.len(), 3);
    assert_eq!(found(&lake(&store)), once([(0..12, "a")]));
    assert_eq!(maintained(&store, &compact), []);
    let store = MemoryStore::new();
    load(&lake(&store), &by_month(keyed()), &rows(0..12, "a")).unwrap();
    let cut = maintain::Options { shards: Some(4), ..Default::default() };
    let expected = maintain::Action::Reshard { from: 1, to: 4, partitions: 3 };
    assert_eq!(maintained(&store, &cut), [expected]);
    assert_eq!(maintained(&store, &cut), []);
    load(&lake(&store), &by_month(keyed()), &rows(10..14, "b")).unwrap();
    assert_eq!(found(&lake(&store)), once([(0..10, "a"), (10..14, "b")]));
}

#[test]
fn rows_that_are_erased_are_in_no_snapshot_and_the_state_stays() {
    let store = MemoryStore::new();
    let spec = by_month(keyed());
    load(&lake(&store), &spec, &rows(0..6, "a")).unwrap();
    pipeline(&Arc::new(store.reopen()), "20260101T000000000000-00dddd", &spec).unwrap();
    let erase =
        maintain::Erase { column: "id".into(), values: ["4".to_owned(), "5".into()].into() };
    let erase = maintain::Options { erase: vec![erase], ..Default::default() };
    assert_eq!(maintained(&store, &erase), [maintain::Action::Erase { rows: 2, files: 2 }]);
    let mut expected = once([(0..3, "a"), (3..12, "b")]);
    expected.retain(|id, _| ![4, 5].contains(id));
    assert_eq!(found(&lake(&store)), expected);
    assert_eq!(newest_state(&lake(&store)).unwrap().as_deref(), Some("{\"n\":2}"));
    assert_eq!(keys(&store, "t/data/").len(), 3, "nothing has the rows any more");
    assert_eq!(maintained(&store, &erase), [maintain::Action::Erase { rows: 0, files: 0 }]);
}

#[test]
fn a_plain_table_becomes_one_of_iceberg_with_its_files_and_back_until_it_is_written_to() {
    for spec in [
        Spec { table_format: TableFormat::Parquet, shards: Some(2), ..by_month(keyed()) },
        Spec { table_format: TableFormat::Parquet, ..by_month(appended()) },
        Spec { table_format: TableFormat::Parquet, ..keyed() },
    ] {
        let store = MemoryStore::new();
        load(&lake(&store), &spec, &rows(0..9, "a")).unwrap();
        let files = keys(&store, "t/");
        let to = |to| maintain::Options { to: Some(to), ..Default::default() };
        let convert = |to| maintain::Action::Convert { to, files: files.len() };
        for _ in 0..2 {
            let (parquet, iceberg) = (TableFormat::Parquet, TableFormat::Iceberg);
            assert_eq!(maintained(&store, &to(iceberg)), [convert(iceberg)]);
            assert_eq!(found(&lake(&store)), once([(0..9, "a")]));
            let error = load(&lake(&store), &spec, &rows(0..1, "b")).unwrap_err().to_string();
            assert!(error.contains("an Iceberg table"), "{error}");
            assert_eq!(maintained(&store, &to(parquet)), [convert(parquet)]);
            assert_eq!(keys(&store, "t/"), files);
        }
        maintained(&store, &to(TableFormat::Iceberg));
        let iceberg = Spec { table_format: TableFormat::Iceberg, shards: None, ..spec.clone() };
        load(&lake(&store), &iceberg, &rows(7..12, "b")).unwrap();
        let mut expected = once([(0..7, "a"), (7..12, "b")]);
        if spec.load == LoadMethod::Append {
            (7..9).for_each(|id| expected.get_mut(&id).unwrap().insert(0, "a".into()));
        }
        let mut found = found(&lake(&store));
        for names in found.values_mut() {
            names.sort();
        }
        assert_eq!(found, expected);
        let encoding = |_: &str| lake::file::Encoding::default();
        let refused = maintain::run(&lake(&store), &encoding, &to(TableFormat::Parquet));
        assert!(refused.unwrap_err().to_string().contains("was written to since"));
    }
}

#[test]
fn a_commit_reads_the_manifests_that_it_touches_and_no_other() {
    let by_day = Some(PartitionBy { column: "at".into(), granularity: None, name: None });
    let spec = Spec { partition_by: by_day, ..keyed() };
    let store = MemoryStore::new();
    let of_day = |day: i64, name: &str| {
        let batch = rows([day], name);
        let at = StringArray::from(vec![format!("day-{day:02}")]);
        let columns = vec![
            Arc::clone(batch.column(0)),
            Arc::clone(batch.column(1)),
            Arc::new(at) as ArrayRef,
        ];
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    };
    for day in 0..40 {
        load(&lake(&store), &spec, &of_day(day, "a")).unwrap();
    }
    for day in [0, 39] {
        let view = Arc::new(store.reopen());
        let lake = lake_in(&view, &format!("20260102T000000000000-{day:06x}")).unwrap();
        load(&lake, &spec, &of_day(day, "b")).unwrap();
        let is_manifest = |key: &str| key.contains("/metadata/") && key.contains("-m");
        let calls = view.calls().into_iter();
        let read: HashSet<String> = calls
            .filter(|call| call.kind == CallKind::Get && is_manifest(&call.key))
            .map(|call| call.key)
            .collect();
        assert_eq!(read.len(), 1, "{read:?}");
    }
    assert_eq!(found(&lake(&store)).len(), 40);
}
