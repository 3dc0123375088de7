//! What tables promise, whatever they are loaded by.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type};

use super::journal::{Acknowledged, Journal, Receipt, Replacement, Steps};
use super::table::Table;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::schema::{Column, Kind};
use crate::store::Condition;
use crate::table::definition::{Granularity, LoadMethod, PartitionBy};
use crate::table::spec::{Refresh, Spec};
use crate::testing::{
    LakeFolder, by_month, columns, found, keyed, objects, once, rows, table as batches,
};

fn appended() -> Arc<Spec> {
    Arc::new(Spec::append("t", columns()))
}

fn overwritten() -> Arc<Spec> {
    Arc::new(Spec { keys: vec!["id".into()], ..Spec::overwrite("t", columns()) })
}

/// Loads rows in a run of their own, to its end.
fn load(lake: &Arc<Lake>, spec: &Arc<Spec>, ids: Range<i64>, name: &str) {
    let mut table = Table::open(lake, spec).unwrap();
    table.push(spec, &rows(ids, name)).unwrap();
    table.cover().unwrap();
    table.commit(true).unwrap();
}

fn fails(outcome: Result<Table>) -> String {
    outcome.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_newest_row_of_a_key_counts_within_a_run_and_over_runs() {
    let folder = LakeFolder::new();
    for spec in [keyed(), Arc::new(Spec { shards: Some(3), ..by_month() })] {
        let lake = folder.lake();
        load(&lake, &spec, 0..10, "first");
        let mut table = Table::open(&lake, &spec).unwrap();
        table.push(&spec, &rows(5..15, "second")).unwrap();
        table.push(&spec, &rows(7..8, "third")).unwrap();
        let committed = table.commit(false).unwrap();
        assert_eq!((committed.rows, committed.replaced_rows), (10, 5));
        let expected = [(0..5, "first"), (5..7, "second"), (7..8, "third"), (8..15, "second")];
        assert_eq!(found(&folder.lake()), once(expected));
        for object in lake.store.list("").unwrap() {
            lake.store.delete(&object.key).unwrap();
        }
    }
}

#[test]
fn objects_that_no_row_touches_stay_as_they_are_and_rows_that_are_there_write_none() {
    let folder = LakeFolder::new();
    let (lake, spec) = (folder.lake(), Arc::new(by_month()));
    load(&lake, &spec, 0..9, "first");
    let before = objects(&lake);
    assert_eq!(before.len(), 3);
    let mut table = Table::open(&lake, &spec).unwrap();
    table.push(&spec, &rows([3], "second")).unwrap();
    let committed = table.commit(false).unwrap();
    assert_eq!((committed.files, committed.partitions), (1, ["month=2026-01/".into()].into()));
    let after = objects(&lake);
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1..], after[1..]);
    load(&folder.lake(), &spec, 4..9, "first");
    assert_eq!(objects(&lake), after);
}

#[test]
fn appended_rows_are_added_and_the_files_are_those_that_were_announced() {
    let folder = LakeFolder::new();
    let spec = appended();
    load(&folder.lake(), &spec, 0..5, "first");
    let lake = folder.lake();
    let mut table = Table::open(&lake, &spec).unwrap();
    table.push(&spec, &rows(3..8, "second")).unwrap();
    table.cover().unwrap();
    let announced = table.prepare(true).unwrap().added;
    assert_eq!(objects(&lake).len(), 1, "nothing is visible yet");
    table.commit(false).unwrap();
    let keys: Vec<String> = objects(&lake).into_iter().map(|object| object.key).collect();
    assert!(announced.iter().all(|key| keys.contains(key)), "{announced:?} {keys:?}");
    assert_eq!(keys.len(), 2);
    let mut expected = once([(0..5, "first"), (5..8, "second")]);
    for id in 3..5 {
        expected.get_mut(&id).unwrap().push("second".into());
    }
    assert_eq!(found(&lake), expected);
}

#[test]
fn appended_rows_that_nothing_covers_wait_and_can_be_dropped() {
    let folder = LakeFolder::new();
    let (lake, spec) = (folder.lake(), appended());
    let mut table = Table::open(&lake, &spec).unwrap();
    table.push(&spec, &rows(0..3, "covered")).unwrap();
    table.cover().unwrap();
    assert!(!table.must_wait());
    table.push(&spec, &rows(3..6, "uncovered")).unwrap();
    assert!(table.must_wait() && table.has_uncovered());
    table.discard_uncovered();
    assert!(!table.must_wait());
    table.commit(false).unwrap();
    assert_eq!(found(&lake), once([(0..3, "covered")]));
    // Rows that replace themselves need not wait.
    let spec = Arc::new(Spec { table: "u".into(), ..(*keyed()).clone() });
    let mut table = Table::open(&lake, &spec).unwrap();
    table.push(&spec, &rows(0..3, "x")).unwrap();
    table.discard_uncovered();
    assert!(!table.must_wait() && table.pending_rows() == 3);
}

#[test]
fn an_overwritten_table_changes_as_a_whole_at_the_end_of_its_stream() {
    let folder = LakeFolder::new();
    let lake = folder.lake();
    let spec = Arc::new(Spec { load: LoadMethod::Overwrite, ..by_month() });
    load(&lake, &spec, 0..9, "first");
    let mut table = Table::open(&lake, &spec).unwrap();
    table.push(&spec, &rows([1, 2, 2], "second")).unwrap();
    table.cover().unwrap();
    assert!(table.must_wait() && table.must_be_complete());
    assert_eq!(table.commit(false).unwrap().files, 0);
    assert_eq!(found(&lake), once([(0..9, "first")]));
    let committed = table.commit(true).unwrap();
    assert!(committed.replaced);
    assert_eq!(found(&lake), once([(1..3, "second")]));
    assert_eq!(objects(&lake).len(), 2, "the partition without rows is gone");
    // And goes on being one that is overwritten.
    table.push(&spec, &rows([7], "third")).unwrap();
    table.commit(true).unwrap();
    assert_eq!(found(&lake), once([(7..8, "third")]));
}

#[test]
fn rows_of_another_version_replace_the_table_once_it_is_activated() {
    for spec in [keyed(), appended()] {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let mut table = Table::open(&lake, &spec).unwrap();
        table.note_version(1);
        table.push(&spec, &rows(0..5, "one")).unwrap();
        table.activate(1).unwrap();
        table.cover().unwrap();
        table.commit(true).unwrap();
        let mut table = Table::open(&lake, &spec).unwrap();
        table.note_version(2);
        table.push(&spec, &rows(3..6, "two")).unwrap();
        table.cover().unwrap();
        assert!(table.must_wait());
        assert_eq!(table.commit(false).unwrap().files, 0, "it is not decided yet");
        table.activate(2).unwrap();
        table.cover().unwrap();
        table.commit(true).unwrap();
        assert_eq!(found(&lake), once([(3..6, "two")]));
        assert_eq!(table.definition().version, Some(2));
        assert_eq!(lake.definition("t").unwrap().unwrap().1.version, Some(2));
    }
}

#[test]
fn rows_of_another_version_enter_as_before_where_none_is_activated() {
    let folder = LakeFolder::new();
    let lake = folder.lake();
    for (version, name) in [(1, "one"), (2, "two")] {
        let spec = keyed();
        let mut table = Table::open(&lake, &spec).unwrap();
        table.note_version(version);
        table.push(&spec, &rows(version..version + 3, name)).unwrap();
        table.cover().unwrap();
        table.commit(true).unwrap();
    }
    assert_eq!(found(&lake), once([(1..2, "one"), (2..5, "two")]));
    assert_eq!(lake.definition("t").unwrap().unwrap().1.version, Some(1));
}

#[test]
fn a_version_without_rows_empties_the_table_once_something_comes_behind_it() {
    let folder = LakeFolder::new();
    let (lake, spec) = (folder.lake(), keyed());
    let mut table = Table::open(&lake, &spec).unwrap();
    table.note_version(1);
    table.push(&spec, &rows(0..5, "one")).unwrap();
    table.commit(true).unwrap();
    let mut table = Table::open(&lake, &spec).unwrap();
    table.activate(2).unwrap();
    assert!(table.has_uncovered(), "some taps send it when a stream begins");
    table.cover().unwrap();
    assert!(!table.has_uncovered());
    assert!(table.commit(true).unwrap().replaced);
    assert_eq!(found(&lake), once([]));
}

#[test]
fn a_version_that_comes_after_rows_of_the_run_keeps_the_old_ones() {
    let folder = LakeFolder::new();
    let (lake, spec) = (folder.lake(), keyed());
    load(&lake, &spec, 0..3, "old");
    let mut table = Table::open(&lake, &spec).unwrap();
    table.note_version(1);
    table.push(&spec, &rows(3..5, "new")).unwrap();
    table.commit(false).unwrap();
    table.activate(2).unwrap();
    assert!(!table.must_be_complete());
    table.commit(true).unwrap();
    assert_eq!(found(&lake), once([(0..3, "old"), (3..5, "new")]));
}

#[test]
fn new_columns_come_last_and_lost_ones_stay() {
    let folder = LakeFolder::new();
    let lake = folder.lake();
    load(&lake, &keyed(), 0..3, "old");
    let mut more = columns();
    more.remove(1);
    more.push(Column::same("note", Kind::String));
    let spec = Arc::new(Spec::upsert("t", more, ["id"]));
    let mut table = Table::open(&lake, &spec).unwrap();
    let batch = rows(2..4, "the note");
    let batch = batch.project(&[0, 2, 1]).unwrap();
    table.push(&spec, &batch).unwrap();
    table.commit(true).unwrap();
    let names: Vec<String> = table.definition().columns.iter().map(|c| c.name.clone()).collect();
    assert_eq!(names, ["id", "name", "at", "note"]);
    assert_eq!(found(&lake), once([(0..2, "old"), (2..4, "")]));
    let notes: usize = batches(&lake).iter().map(|batch| batch.column(3).null_count()).sum();
    assert_eq!(notes, 2);
}

#[test]
fn a_column_that_widens_does_so_in_every_object() {
    let folder = LakeFolder::new();
    let lake = folder.lake();
    let of = |kind| {
        let mut columns = columns();
        columns[0].kind = kind;
        Arc::new(Spec { columns, ..by_month() })
    };
    load(&lake, &of(Kind::Bigint), 0..9, "old");
    let spec = of(Kind::Double);
    let mut table = Table::open(&lake, &spec).unwrap();
    let narrow = rows([3], "new");
    let wide = arrow::compute::cast(narrow.column(0), &DataType::Float64).unwrap();
    let schema = Arc::new(arrow::datatypes::Schema::new(crate::schema::fields(&spec.columns)));
    let arrays = vec![wide, Arc::clone(narrow.column(1)), Arc::clone(narrow.column(2))];
    let batch = arrow::array::RecordBatch::try_new(schema, arrays).unwrap();
    table.push(&spec, &batch).unwrap();
    table.commit(true).unwrap();
    assert!(!table.definition().widening);
    for object in objects(&lake) {
        let file = lake.store.fetch(&object).unwrap();
        let part = crate::file::reader::PartReader::open(file, &object.key).unwrap();
        assert_eq!(part.schema().field(0).data_type(), &DataType::Float64, "{}", object.key);
    }
    let mut ids: Vec<f64> = batches(&lake)
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Float64Type>().values().to_vec())
        .collect();
    ids.sort_by(f64::total_cmp);
    assert_eq!(ids, (0..9).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn what_does_not_fit_the_table_is_refused_with_both_sides_named() {
    let folder = LakeFolder::new();
    let lake = folder.lake();
    load(&lake, &Arc::new(by_month()), 0..3, "old");
    let mut texts = columns();
    texts[0].kind = Kind::String;
    let by =
        |column: &str| Some(PartitionBy { column: column.into(), granularity: None, name: None });
    for (spec, words) in [
        (Spec { columns: texts, ..by_month() }, ["bigint", "string"]),
        (Spec { keys: vec!["name".into()], ..by_month() }, ["[\"id\"]", "[\"name\"]"]),
        (
            Spec { partition_by: by("name"), ..by_month() },
            ["`at` as `month`", "`name` as `p_name`"],
        ),
        (Spec { partition_by: by("none"), ..by_month() }, ["`none`", "has not"]),
        (Spec { keys: vec![], ..by_month() }, ["same key", "no keys"]),
        (Spec { keys: vec!["none".into()], ..by_month() }, ["`none`", "none of its columns"]),
    ] {
        let error = fails(Table::open(&lake, &Arc::new(spec)));
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    let folder = LakeFolder::new();
    let lake = folder.lake();
    let append = Spec { keys: vec!["id".into()], ..Spec::append("t", columns()) };
    load(&lake, &Arc::new(append), 0..3, "x");
    assert!(fails(Table::open(&lake, &keyed())).contains("made by appending"));
}

#[test]
fn a_partition_column_must_have_values_that_name_a_folder() {
    let folder = LakeFolder::new();
    let lake = folder.lake();
    let by = |column: &str, granularity, name: Option<&str>| Spec {
        partition_by: Some(PartitionBy {
            column: column.into(),
            granularity,
            name: name.map(str::to_owned),
        }),
        columns: vec![
            Column::same("id", Kind::Bigint),
            Column::same("list", Kind::List(Box::new(Kind::Bigint))),
        ],
        ..by_month()
    };
    for (spec, words) in [
        (by("id", Some(Granularity::Day), None), "part of its date"),
        (by("list", None, None), "no value for a partition"),
        (by("id", None, Some("ID")), "also one of its columns"),
    ] {
        let error = fails(Table::open(&lake, &Arc::new(spec)));
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_number_of_shards_is_fixed_when_a_table_is_made() {
    let folder = LakeFolder::new();
    let lake = folder.lake();
    load(&lake, &Arc::new(Spec { shards: Some(4), ..(*keyed()).clone() }), 0..50, "old");
    let table = Table::open(&lake, &keyed()).unwrap();
    assert_eq!(table.definition().shards, 4);
    assert_eq!(objects(&lake).len(), 4);
}

#[test]
fn two_runs_add_a_column_each_and_both_are_there() {
    let folder = LakeFolder::new();
    let (first, second) = (folder.lake(), folder.lake());
    load(&first, &keyed(), 0..3, "old");
    let with = |name: &str| {
        let mut columns = columns();
        columns.push(Column::same(name, Kind::String));
        Arc::new(Spec::upsert("t", columns, ["id"]))
    };
    let (left, right) = (with("left"), with("right"));
    let mut one = Table::open(&first, &left).unwrap();
    let mut other = Table::open(&second, &right).unwrap();
    let wide = |ids: Range<i64>, name: &str| rows(ids, name).project(&[0, 1, 2, 1]).unwrap();
    one.push(&left, &wide(3..5, "one")).unwrap();
    other.push(&right, &wide(4..6, "other")).unwrap();
    one.commit(true).unwrap();
    other.commit(true).unwrap();
    let names: Vec<String> = other.definition().columns.iter().map(|c| c.name.clone()).collect();
    assert_eq!(names, ["id", "name", "at", "left", "right"]);
    assert_eq!(found(&first), once([(0..3, "old"), (3..4, "one"), (4..6, "other")]));
}

#[test]
fn rows_beyond_the_budget_lie_in_temporary_files_and_are_the_same() {
    for spec in
        [keyed(), appended(), overwritten(), Arc::new(Spec { shards: Some(3), ..by_month() })]
    {
        let folder = LakeFolder::new();
        let lake = folder.lake_with(1 << 16);
        let mut table = Table::open(&lake, &spec).unwrap();
        for start in (0..4_000).step_by(500) {
            table.push(&spec, &rows(start..start + 500, "once")).unwrap();
            table.free_memory().unwrap();
        }
        table.cover().unwrap();
        table.commit(true).unwrap();
        assert_eq!(found(&lake), once([(0..4_000, "once")]), "{:?}", spec.load);
    }
}

/// Pushes rows in many batches, and frees memory as the engine does.
fn push_much(lake: &Lake, table: &mut Table, spec: &Arc<Spec>, ids: Range<i64>, name: &str) {
    for start in ids.clone().step_by(100) {
        table.push(spec, &rows(start..(start + 100).min(ids.end), name)).unwrap();
        for _ in 0..2 {
            if table.memory() > lake.budget() {
                table.free_memory().unwrap();
            }
        }
        assert!(table.memory() <= lake.budget(), "{} bytes are in memory", table.memory());
    }
}

#[test]
fn keys_beyond_the_budget_leave_the_newest_row_of_each() {
    let replaced = once([(0..1_000, "first"), (1_000..2_500, "second")]);
    let mut merged = replaced.clone();
    merged.extend(once([(2_500..3_000, "old")]));
    let by_month = Arc::new(Spec { shards: Some(3), ..by_month() });
    let refresh = Refresh { generation: Some(2), minimum: Some(2), overwrite: true };
    let refreshed = Arc::new(Spec { refresh: Some(refresh), ..(*keyed()).clone() });
    for (name, spec, expected) in [
        ("upsert", keyed(), &merged),
        ("by month in shards", by_month, &merged),
        ("overwrite", overwritten(), &replaced),
        ("activate", keyed(), &replaced),
        // Rows that were held back enter as those before them.
        ("of another version", keyed(), &merged),
        ("refresh", refreshed, &replaced),
    ] {
        let folder = LakeFolder::new();
        let first = Arc::new(Spec { refresh: None, ..(*spec).clone() });
        let lake = folder.lake();
        let mut table = Table::open(&lake, &first).unwrap();
        table.note_version(1);
        table.push(&first, &rows(0..3_000, "old")).unwrap();
        table.cover().unwrap();
        table.commit(true).unwrap();

        let lake = folder.lake_with(1 << 14);
        let mut table = Table::open(&lake, &spec).unwrap();
        table.begin_generation().unwrap();
        if ["activate", "of another version"].contains(&name) {
            table.note_version(2);
        }
        push_much(&lake, &mut table, &spec, 0..2_000, "first");
        push_much(&lake, &mut table, &spec, 1_000..2_500, "second");
        assert!(table.spills() > 0, "{name}");
        if name == "activate" {
            table.activate(2).unwrap();
        }
        table.cover().unwrap();
        table.commit(true).unwrap();
        table.end_generation().unwrap();
        assert_eq!(found(&folder.lake()), *expected, "{name}");
    }
}

/// Loads rows of a generation in a run of their own, which may break off before its end.
fn refresh(
    folder: &LakeFolder,
    load: LoadMethod,
    refresh: Refresh,
    ids: Range<i64>,
    name: &str,
    ends: bool,
) {
    let lake = folder.lake();
    let spec = Arc::new(Spec { load, refresh: Some(refresh), ..(*keyed()).clone() });
    let mut table = Table::open(&lake, &spec).unwrap();
    table.begin_generation().unwrap();
    table.push(&spec, &rows(ids, name)).unwrap();
    table.cover().unwrap();
    table.commit(true).unwrap();
    if ends {
        table.end_generation().unwrap();
    }
}

#[test]
fn rows_of_a_generation_are_visible_once_it_is_complete_and_alone_then() {
    for load in [LoadMethod::Append, LoadMethod::Upsert] {
        let folder = LakeFolder::new();
        let run = |generation: i64, ids: Range<i64>, name: &str, ends: bool| {
            let overwrite = load == LoadMethod::Append;
            let (generation, minimum) = (Some(generation), Some(generation));
            let of = Refresh { generation, minimum, overwrite };
            refresh(&folder, load, of, ids, name, ends);
        };
        run(1, 0..5, "first", true);
        assert_eq!(found(&folder.lake()), once([(0..5, "first")]));
        run(2, 3..5, "second", false);
        assert_eq!(found(&folder.lake()), once([(0..5, "first")]), "it has broken off");
        run(2, 5..7, "second", true);
        assert_eq!(found(&folder.lake()), once([(3..7, "second")]), "{load:?}");
        assert!(folder.lake().store.list("_lake/generations/").unwrap().is_empty());
    }
}

#[test]
fn rows_that_wait_enter_beside_the_others_where_a_generation_deletes_nothing() {
    let folder = LakeFolder::new();
    let run = |of: (i64, i64), ids: Range<i64>, name: &str, ends: bool| {
        let (generation, minimum) = (Some(of.0), Some(of.1));
        let of = Refresh { generation, minimum, overwrite: false };
        refresh(&folder, LoadMethod::Upsert, of, ids, name, ends);
    };
    run((1, 0), 0..3, "first", true);
    run((2, 2), 3..5, "second", false);
    run((3, 0), 5..6, "third", true);
    assert_eq!(found(&folder.lake()), once([(0..3, "first"), (3..5, "second"), (5..6, "third")]));
}

/// A place for states, as it is now.
#[derive(Debug, Clone, Default)]
struct Place {
    state: Rc<RefCell<Option<String>>>,
    /// It is a file of a machine, whose path is another file on another machine.
    is_of_a_machine: bool,
    cannot_be_held: bool,
}

impl Place {
    fn of_a_machine() -> Self {
        Self { is_of_a_machine: true, ..Self::default() }
    }

    fn keep(&self, state: &str) {
        *self.state.borrow_mut() = Some(state.to_owned());
    }

    fn kept(&self) -> Option<String> {
        self.state.borrow().clone()
    }
}

impl Receipt for Place {
    fn place(&self) -> String {
        "state.json".into()
    }

    fn known(&self) -> Option<String> {
        self.kept()
    }

    fn newest(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.state.borrow().as_ref().map(|state| format!("{state}\n").into_bytes()))
    }

    fn hold(&self) -> Result<bool> {
        Ok(!self.cannot_be_held)
    }

    fn is_the_same_everywhere(&self) -> bool {
        !self.is_of_a_machine
    }
}

/// A commit whose steps are told.
struct Told<'a, P, A> {
    receipt: Option<&'a dyn Receipt>,
    state: Option<&'a str>,
    publish: P,
    acknowledge: A,
}

impl<P, A> Steps<Error> for Told<'_, P, A>
where
    P: FnMut() -> Result<()>,
    A: FnMut() -> Acknowledged<Error>,
{
    fn receipt(&self) -> Option<&dyn Receipt> {
        self.receipt
    }

    fn state(&self) -> Option<String> {
        self.state.map(str::to_owned)
    }

    fn publish(&mut self) -> Result<()> {
        (self.publish)()
    }

    fn acknowledge(&mut self) -> Acknowledged<Error> {
        (self.acknowledge)()
    }
}

/// Where a run dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// Its files are noted, and none of them is visible.
    Noted,
    /// They are visible.
    Visible,
    /// It is about to acknowledge their state.
    Asked,
    /// It has acknowledged it.
    Acknowledged,
    /// It learns that nobody has taken the state.
    Refused,
}

/// A run of the pipeline that loads rows with a state, and dies.
fn die(folder: &LakeFolder, place: Option<&Place>, state: &str, ids: Range<i64>, death: Death) {
    let (lake, spec) = (folder.lake(), appended());
    let receipt = place.map(|place| -> &dyn Receipt { place });
    let mut journal = Journal::open(&lake, receipt).unwrap();
    let mut table = Table::open(&lake, &spec).unwrap();
    table.doubt(&journal.doubtful(&lake, "t").unwrap()).unwrap();
    table.push(&spec, &rows(ids, "in doubt")).unwrap();
    table.cover().unwrap();
    let files = table.prepare(true).unwrap();
    let dead = || Err(Error::internal("it is dead"));
    let mut steps = Told {
        receipt,
        state: Some(state),
        publish: || {
            if death == Death::Noted {
                return dead();
            }
            table.commit(true)?;
            if death == Death::Visible { dead() } else { Ok(()) }
        },
        acknowledge: || {
            if death == Death::Acknowledged
                && let Some(place) = place
            {
                place.keep(state);
            }
            let error = Error::internal("it is dead");
            match death {
                Death::Refused => Acknowledged::No(error),
                _ => Acknowledged::Unknown(error),
            }
        },
    };
    journal.commit(&lake, files, &mut steps).unwrap_err();
}

/// Another run of the pipeline, from the state that was acknowledged: it loads rows to its end.
fn resume(folder: &LakeFolder, place: Option<&Place>, ids: Range<i64>) -> u64 {
    resume_in(&folder.lake(), place, ids)
}

fn resume_in(lake: &Arc<Lake>, place: Option<&Place>, ids: Range<i64>) -> u64 {
    let spec = appended();
    let receipt = place.map(|place| -> &dyn Receipt { place });
    let mut journal = Journal::open(lake, receipt).unwrap();
    let mut table = Table::open(lake, &spec).unwrap();
    table.doubt(&journal.doubtful(lake, "t").unwrap()).unwrap();
    table.push(&spec, &rows(ids, "in doubt")).unwrap();
    table.cover().unwrap();
    let files = table.prepare(true).unwrap();
    let publish = || table.commit(true).map(drop);
    let acknowledge = || {
        if let Some(place) = place {
            place.keep("\"end\"");
        }
        Acknowledged::Yes
    };
    let mut steps = Told { receipt, state: Some("\"end\""), publish, acknowledge };
    journal.commit(lake, files, &mut steps).unwrap();
    journal.close(lake, |_| table.recognised() > 0).unwrap();
    let notes = lake.store.list("_lake/commits/").unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    table.recognised()
}

#[test]
fn rows_of_a_run_that_died_are_there_once_wherever_it_died() {
    let once = once([(0..9, "in doubt")]);
    for (death, is_acknowledged) in [
        (Death::Noted, false),
        (Death::Visible, false),
        (Death::Asked, false),
        (Death::Acknowledged, true),
        (Death::Refused, false),
    ] {
        let (folder, place) = (LakeFolder::new(), Place::default());
        die(&folder, Some(&place), "\"1\"", 0..6, death);
        // The source goes on from the state that was kept.
        let from = if is_acknowledged { 6 } else { 0 };
        let recognised = resume(&folder, Some(&place), from..9);
        assert_eq!((found(&folder.lake()), recognised), (once.clone(), 0), "{death:?}");
    }
}

#[test]
fn where_nobody_can_know_rows_that_come_again_are_known_by_what_they_hold() {
    let once = once([(0..9, "in doubt")]);
    for from in [0, 3, 6] {
        // To stdout alone: the source may go on from before or from behind the state.
        let folder = LakeFolder::new();
        die(&folder, None, "\"1\"", 0..6, Death::Asked);
        let recognised = resume(&folder, None, from..9);
        assert_eq!(
            (found(&folder.lake()), recognised),
            (once.clone(), u64::try_from(6 - from).unwrap())
        );
        // A state that says the same before and after.
        let (folder, place) = (LakeFolder::new(), Place::default());
        place.keep("\"same\"");
        die(&folder, Some(&place), "\"same\"", 0..6, Death::Asked);
        resume(&folder, Some(&place), from..9);
        assert_eq!(found(&folder.lake()), once);
    }
}

#[test]
fn rows_in_doubt_beyond_the_budget_are_known_as_well() {
    let folder = LakeFolder::new();
    die(&folder, None, "\"1\"", 0..6_000, Death::Asked);
    let lake = folder.lake_with(1 << 14);
    let mut journal = Journal::open(&lake, None).unwrap();
    let mut table = Table::open(&lake, &appended()).unwrap();
    table.doubt(&journal.doubtful(&lake, "t").unwrap()).unwrap();
    assert!(table.memory() < lake.budget() / 4, "{} bytes are in memory", table.memory());
    assert_eq!(resume_in(&lake, None, 2_000..8_000), 4_000);
    assert_eq!(found(&folder.lake()), once([(0..8_000, "in doubt")]));
}

#[test]
fn what_is_known_of_rows_in_doubt_makes_room_for_others() {
    let folder = LakeFolder::new();
    die(&folder, None, "\"1\"", 0..100, Death::Asked);
    let lake = folder.lake_with(1 << 16);
    let mut journal = Journal::open(&lake, None).unwrap();
    let mut table = Table::open(&lake, &appended()).unwrap();
    table.doubt(&journal.doubtful(&lake, "t").unwrap()).unwrap();
    let before = table.memory();
    table.free_memory().unwrap();
    assert!(before > 2_000 && table.memory() < 200, "{before}, {}", table.memory());
    table.push(&appended(), &rows(50..150, "in doubt")).unwrap();
    assert_eq!((table.recognised(), table.pending_rows()), (50, 50));
}

#[test]
fn rows_in_doubt_stay_so_until_a_run_has_come_to_its_end() {
    let folder = LakeFolder::new();
    die(&folder, None, "\"1\"", 0..6, Death::Asked);
    die(&folder, None, "\"2\"", 0..8, Death::Asked);
    die(&folder, None, "\"2\"", 0..8, Death::Visible);
    assert_eq!(resume(&folder, None, 0..9), 8);
    assert_eq!(found(&folder.lake()), once([(0..9, "in doubt")]));
    // Nothing is in doubt any more: the same rows are other rows.
    assert_eq!(resume(&folder, None, 0..1), 0);
    assert_eq!(found(&folder.lake())[&0].len(), 2);
}

#[test]
fn notes_of_another_pipeline_are_left_alone() {
    let (folder, place) = (LakeFolder::new(), Place::default());
    die(&folder, Some(&place), "\"1\"", 0..6, Death::Visible);
    assert_eq!(resume_elsewhere(&folder), 0);
    assert_eq!(found(&folder.lake()), once([(0..9, "in doubt")]));
    resume(&folder, Some(&place), 0..9);
    let found = found(&folder.lake());
    let expected: Vec<usize> = (0..9).map(|id| if id < 6 { 1 } else { 2 }).collect();
    assert_eq!(found.values().map(Vec::len).collect::<Vec<_>>(), expected);
}

/// A run of another pipeline, which keeps its state nowhere, that loads rows 6 to 9.
fn resume_elsewhere(folder: &LakeFolder) -> u64 {
    let (lake, spec) = (folder.lake(), appended());
    let mut journal = Journal::open(&lake, None).unwrap();
    let mut table = Table::open(&lake, &spec).unwrap();
    table.doubt(&journal.doubtful(&lake, "t").unwrap()).unwrap();
    table.push(&spec, &rows(6..9, "in doubt")).unwrap();
    table.cover().unwrap();
    let files = table.prepare(true).unwrap();
    let publish = || table.commit(true).map(drop);
    let acknowledge = || Acknowledged::Yes;
    let mut steps = Told { receipt: None, state: None, publish, acknowledge };
    journal.commit(&lake, files, &mut steps).unwrap();
    journal.close(&lake, |_| table.recognised() > 0).unwrap();
    table.recognised()
}

/// Runs to its end with a pipeline whose state is in a file of another machine, by the same path.
fn run_on_another_machine(folder: &LakeFolder, place: &Place, ids: Range<i64>) -> u64 {
    let (lake, spec) = (folder.lake(), appended());
    let mut journal = Journal::open(&lake, Some(place)).unwrap();
    let mut table = Table::open(&lake, &spec).unwrap();
    table.doubt(&journal.doubtful(&lake, "t").unwrap()).unwrap();
    table.push(&spec, &rows(ids, "in doubt")).unwrap();
    table.cover().unwrap();
    let files = table.prepare(true).unwrap();
    let publish = || table.commit(true).map(drop);
    let acknowledge = || {
        place.keep("\"theirs\"");
        Acknowledged::Yes
    };
    let mut steps = Told { receipt: Some(place), state: Some("\"theirs\""), publish, acknowledge };
    journal.commit(&lake, files, &mut steps).unwrap();
    journal.close(&lake, |_| table.recognised() > 0).unwrap();
    table.recognised()
}

#[test]
fn a_state_file_of_the_same_path_on_another_machine_decides_nothing() {
    for death in [Death::Visible, Death::Asked, Death::Acknowledged] {
        let folder = LakeFolder::new();
        let (here, there) = (Place::of_a_machine(), Place::of_a_machine());
        die(&folder, Some(&here), "\"1\"", 0..6, death);
        assert_eq!(run_on_another_machine(&folder, &there, 10..13), 0, "{death:?}");
        // The run on this machine has died before its first state, or behind it.
        let from = if death == Death::Acknowledged { 6 } else { 0 };
        resume(&folder, Some(&here), from..9);
        let expected = once([(0..9, "in doubt"), (10..13, "in doubt")]);
        assert_eq!(found(&folder.lake()), expected, "{death:?}");
    }
}

#[test]
fn where_the_state_cannot_be_held_rows_stay_in_doubt() {
    let (folder, place) = (LakeFolder::new(), Place { cannot_be_held: true, ..Place::default() });
    place.keep("\"0\"");
    die(&folder, Some(&place), "\"1\"", 0..6, Death::Asked);
    // The run is late, and not dead.
    let recognised = resume(&folder, Some(&place), 0..9);
    assert_eq!((found(&folder.lake()), recognised), (once([(0..9, "in doubt")]), 6));
}

#[test]
fn a_run_that_is_late_and_not_dead_shows_nothing_once_another_has_taken_over() {
    for is_visible in [false, true] {
        let (folder, place) = (LakeFolder::new(), Place::default());
        let (lake, spec) = (folder.lake(), appended());
        let mut journal = Journal::open(&lake, Some(&place)).unwrap();
        let mut table = Table::open(&lake, &spec).unwrap();
        table.push(&spec, &rows(0..6, "in doubt")).unwrap();
        table.cover().unwrap();
        let files = table.prepare(true).unwrap();
        let mut steps = Told {
            receipt: Some(&place),
            state: Some("\"1\""),
            publish: || {
                if is_visible {
                    table.commit(true)?;
                }
                resume(&folder, Some(&place), 0..9);
                if is_visible { Ok(()) } else { table.commit(true).map(drop) }
            },
            acknowledge: || panic!("it must not acknowledge"),
        };
        let outcome = journal.commit(&lake, files, &mut steps);
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, Error::Superseded { .. } | Error::Conflict { .. }),
            "{error}: {is_visible}"
        );
        assert_eq!(found(&folder.lake()), once([(0..9, "in doubt")]), "{is_visible}");
    }
}

#[test]
fn a_receipt_that_cannot_be_read_takes_no_row_away() {
    struct Broken;
    impl Receipt for Broken {
        fn place(&self) -> String {
            "state.json".into()
        }

        fn known(&self) -> Option<String> {
            None
        }

        fn newest(&self) -> Result<Option<Vec<u8>>> {
            Err(Error::store("read", "state.json", "permission denied"))
        }

        fn hold(&self) -> Result<bool> {
            Ok(true)
        }

        fn is_the_same_everywhere(&self) -> bool {
            true
        }
    }
    let (folder, place) = (LakeFolder::new(), Place::default());
    die(&folder, Some(&place), "\"1\"", 0..3, Death::Asked);
    let lake = folder.lake();
    assert!(Journal::open(&lake, Some(&Broken)).is_err());
    assert_eq!(found(&lake), once([(0..3, "in doubt")]));
}

#[test]
fn a_note_of_the_last_release_is_settled_by_whoever_comes_next() {
    for (phase, place, expected) in [
        ("publishing", Some("\"1\""), once([])),
        ("giving", Some("\"1\""), once([(0..3, "in doubt")])),
        // Its rows are in doubt, for it does not say what the state was before.
        ("giving", Some("\"0\""), once([(0..3, "in doubt")])),
        ("giving", None, once([(0..3, "in doubt")])),
    ] {
        let (folder, kept) = (LakeFolder::new(), Place::default());
        load(&folder.lake(), &appended(), 0..3, "in doubt");
        let lake = folder.lake();
        let files: Vec<_> = objects(&lake).into_iter().map(|object| object.key).collect();
        let note = serde_json::json!({
            "run": "old", "owner": "elsewhere.1-2.old", "at": "2026-01-01T00:00:00Z",
            "phase": phase, "files": files, "state": "\"1\"",
        });
        let text = note.to_string();
        lake.store.put("_lake/commits/old.json", text.as_bytes(), Condition::Absent).unwrap();
        if let Some(state) = place {
            kept.keep(state);
        }
        let receipt = place.map(|_| -> &dyn Receipt { &kept });
        let mut journal = Journal::open(&lake, receipt).unwrap();
        let doubtful = journal.doubtful(&lake, "t").unwrap();
        assert_eq!(found(&lake), expected, "{phase} {place:?}");
        let is_in_doubt = phase == "giving" && place != Some("\"1\"");
        assert_eq!(doubtful.len(), usize::from(is_in_doubt), "{phase} {place:?}");
    }
}

#[test]
fn a_compaction_that_died_is_brought_to_its_end_or_never_appears() {
    for is_done in [true, false] {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        load(&lake, &appended(), 0..3, "a");
        load(&folder.lake(), &appended(), 3..6, "b");
        let old: Vec<String> = objects(&lake).into_iter().map(|object| object.key).collect();
        let key = "t/together-00000.parquet";
        drop(Replacement::begin(&lake, key, old.clone()).unwrap());
        let (_, text) = lake.store.get(&old[0]).unwrap().unwrap();
        if is_done {
            lake.store.put(key, &text, Condition::Absent).unwrap();
        }
        let lake = folder.lake();
        Journal::open(&lake, None).unwrap();
        let expected = if is_done { once([(0..3, "a")]) } else { once([(0..3, "a"), (3..6, "b")]) };
        assert_eq!(found(&lake), expected, "{is_done}");
        assert!(lake.store.put(key, &text, Condition::Absent).is_err(), "it comes late");
    }
}
