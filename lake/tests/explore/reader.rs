//! What a reader finds, and what it must: worked out apart from the lake.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array as _, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use bytes::Bytes;
use lake::TableFormat;
use lake::store::{MemoryStore, Store};
use lake::table::LoadMethod;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::iceberg::{self, Metadata};
use crate::pipeline::{Kept, Pipeline, Step, text};
use crate::scenarios::Scenario;

/// A row: its id, and the version that it is of.
pub(crate) type Row = (i64, u32);

/// The rows of a table, with how often each is there.
pub(crate) type Rows = BTreeMap<Row, usize>;

/// What a reader of a table finds: of a plain one by listing it, of one of Iceberg by its newest snapshot.
#[derive(Default)]
struct Found {
    /// What names its files, where it is one of Iceberg.
    metadata: Option<Metadata>,
    rows: Rows,
    /// The ids of rows that have a title.
    titled: BTreeSet<i64>,
    /// The types of each column.
    types: BTreeMap<String, BTreeSet<String>>,
}

fn read(store: &MemoryStore, table: &str, what: &str) -> Found {
    if !iceberg::is_one(store, table).unwrap() {
        return read_listed(store, &format!("{table}/"), what);
    }
    let mut found = Found::default();
    let Some(metadata) = Metadata::newest(store, table).unwrap() else { return found };
    found.metadata = Some(metadata);
    let files = found.metadata.as_ref().map(|metadata| metadata.files(store).unwrap());
    for file in files.into_iter().flatten() {
        let (_, bytes) = store.get(&file.key).unwrap().unwrap();
        found.add(&file.key, bytes, what);
    }
    found
}

/// What is in all objects below a prefix.
fn read_listed(store: &MemoryStore, prefix: &str, what: &str) -> Found {
    let mut found = Found::default();
    for object in store.list(prefix).unwrap() {
        let (_, bytes) = store.get(&object.key).unwrap().unwrap();
        found.add(&object.key, bytes, what);
    }
    found
}

impl Found {
    /// Adds what is in a file.
    fn add(&mut self, key: &str, bytes: Vec<u8>, what: &str) {
        let file = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
            .unwrap_or_else(|error| panic!("{what}: {key} is no file: {error}"));
        if file.metadata().file_metadata().num_rows() == 0 {
            return;
        }
        for field in file.schema().fields() {
            let kind = field.data_type().to_string();
            if let Some(metadata) = &self.metadata {
                let id = field.metadata()[PARQUET_FIELD_ID_META_KEY].parse().unwrap();
                metadata.check_column(field.name(), id, &kind, what);
                continue;
            }
            let types = self.types.entry(field.name().clone()).or_default();
            types.insert(kind);
        }
        for batch in file.build().unwrap() {
            let batch = batch.unwrap();
            let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let id = ids.value(row);
                let version = version_of(&batch, row, id, what);
                if batch.column_by_name("title").is_some_and(|title| title.is_valid(row)) {
                    self.titled.insert(id);
                }
                *self.rows.entry((id, version)).or_default() += 1;
            }
        }
    }
}

/// The rows of files that were read one by one.
pub(crate) fn rows_of_files(
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
    what: &str,
) -> Rows {
    let mut found = Found::default();
    files.into_iter().for_each(|(key, bytes)| found.add(&key, bytes, what));
    found.rows
}

/// The ids of the rows of a table that have a title.
pub(crate) fn titled(store: &MemoryStore, table: &str, what: &str) -> BTreeSet<i64> {
    read(store, table, what).titled
}

/// The rows of a table, with how often each is there.
pub(crate) fn rows(store: &MemoryStore, table: &str, what: &str) -> Rows {
    read(store, table, what).rows
}

/// The version of a row, which all of its texts must be of.
fn version_of(batch: &arrow::array::RecordBatch, row: usize, id: i64, what: &str) -> u32 {
    let name = batch.column_by_name("name").unwrap().as_string::<i32>().value(row);
    let version = name.rsplit(' ').next().unwrap().parse().unwrap();
    let schema = batch.schema();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if *field.data_type() == DataType::Utf8 && field.name() != "at" && !column.is_null(row) {
            let found = column.as_string::<i32>().value(row);
            assert_eq!(found, text(field.name(), id, version), "{what}: a row is not whole");
        }
    }
    version
}

/// The rows that are there, each as often as it is there.
fn rows_of(store: &MemoryStore, table: &str, what: &str) -> Vec<Row> {
    let found = read(store, table, what).rows;
    found.into_iter().flat_map(|(row, count)| std::iter::repeat_n(row, count)).collect()
}

/// The ids of the rows of each object.
pub(crate) type Ids = BTreeMap<String, BTreeSet<i64>>;

/// The ids that are in each object below a prefix.
pub(crate) fn ids(store: &MemoryStore, prefix: &str, what: &str) -> Ids {
    let objects = store.list(prefix).unwrap().into_iter();
    let ids = objects.map(|object| {
        let found = read_listed(store, &object.key, what);
        (object.key, found.rows.into_keys().map(|(id, _)| id).collect())
    });
    ids.collect()
}

/// The keys of the objects that a reader reads who begins now.
pub(crate) fn objects(store: &MemoryStore, table: &str) -> Vec<String> {
    if !iceberg::is_one(store, table).unwrap() {
        let listed = store.list(&format!("{table}/")).unwrap();
        return listed.into_iter().map(|object| object.key).collect();
    }
    let Some(metadata) = Metadata::newest(store, table).unwrap() else { return Vec::new() };
    metadata.files(store).unwrap().into_iter().map(|file| file.key).collect()
}

/// The ids that are in each table at every moment, in one version or another.
pub(crate) fn lasting(scenario: &Scenario) -> BTreeMap<String, BTreeSet<i64>> {
    let truth = truth(scenario).into_iter();
    truth.map(|(table, truth)| (table, truth.lasting().map(|(id, _)| id).collect())).collect()
}

/// How the pipeline loads its table.
pub(crate) fn load_method(scenario: &Scenario) -> LoadMethod {
    truth(scenario).into_values().next().unwrap().load
}

/// Whether a column of a table is there in two types.
pub(crate) fn has_two_types(store: &MemoryStore, scenario: &Scenario, what: &str) -> bool {
    truth(scenario).keys().any(|table| {
        let found = read(store, table, what);
        found.types.values().any(|types| types.len() > 1)
    })
}

/// Whether the rows of a table are these, each once.
pub(crate) fn compare_rows(store: &MemoryStore, table: &str, rows: &[Row], what: &str) {
    assert_eq!(rows_of(store, table, what), rows, "{what}: {table}");
}

/// What must hold at every moment.
pub(crate) fn check(store: &MemoryStore, scenario: &Scenario, what: &str) {
    for (table, truth) in truth(scenario) {
        let found = read(store, &table, what);
        if truth.is_iceberg {
            truth.check_snapshots(store, &table, &found, scenario, what);
            continue;
        }
        let mut keys = BTreeSet::new();
        for (row, count) in &found.rows {
            // While files are put together or cut anew, a row may be in two of them.
            let most = truth.most(*row) * if scenario.maintenance.is_some() { 2 } else { 1 };
            assert!(
                *count <= most,
                "{what}: row {row:?} of {table} is there {count} times of {most}"
            );
            if truth.load == LoadMethod::Upsert && scenario.maintenance.is_none() {
                assert!(keys.insert(row.0), "{what}: key {} of {table} is there twice", row.0);
            }
        }
        // What was there before is there until something takes its place.
        for (id, _) in truth.lasting() {
            assert!(
                found.rows.keys().any(|(found, _)| *found == id),
                "{what}: row {id} of {table} is missing"
            );
        }
        // [`types`](crate::types) says when there may be two.
        if !scenario.widens {
            for (column, types) in &found.types {
                assert_eq!(types.len(), 1, "{what}: column {column} of {table} has two types");
            }
        }
    }
}

/// What must hold when the pipeline has come to its end.
pub(crate) fn compare(store: &MemoryStore, scenario: &Scenario, what: &str) {
    for (table, truth) in truth(scenario) {
        let found = read(store, &table, what);
        assert_eq!(found.rows, truth.end, "{what}: {table}");
        for (column, types) in &found.types {
            assert_eq!(types.len(), 1, "{what}: column {column} of {table} has two types");
        }
        if truth.is_iceberg {
            iceberg::check_hint(store, &table, what);
            truth.check_erased(store, &table, what);
        }
    }
    let notes = store.list("_lake/commits/").unwrap();
    assert!(notes.is_empty(), "{what}: {notes:?} is left");
}

/// What a table holds before the pipeline runs, and when it has come to its end.
struct Truth {
    load: LoadMethod,
    is_iceberg: bool,
    /// Whether a row leaves its partition before its new version is in another.
    moves: bool,
    before: Rows,
    end: Rows,
    /// What it holds between two commits, with the state that covers it.
    moments: Vec<(Option<usize>, Rows)>,
    /// The ids of rows that are erased.
    erased: BTreeSet<i64>,
}

impl Truth {
    /// How often a row may be there at any moment.
    fn most(&self, row: Row) -> usize {
        let of = |rows: &Rows| rows.get(&row).copied().unwrap_or(0);
        of(&self.before).max(of(&self.end)).max(usize::from(self.load == LoadMethod::Upsert))
    }

    /// The rows that are there at every moment, in one version or another.
    fn lasting(&self) -> impl Iterator<Item = Row> + '_ {
        let ends = |id: i64| self.end.keys().any(|(end, _)| *end == id);
        let stays = |row: &Row| !self.moves || self.end.contains_key(row);
        self.before.keys().copied().filter(move |row| ends(row.0) && stays(row))
    }

    /// A commit is one step: a reader finds the table as it is between two of them, and with it the state that covers
    /// just that.
    fn check_snapshots(
        &self,
        store: &MemoryStore,
        table: &str,
        found: &Found,
        scenario: &Scenario,
        what: &str,
    ) {
        iceberg::check(store, table, what);
        assert!(
            self.moments.iter().any(|(_, rows)| *rows == found.rows),
            "{what}: {table} is between two commits: {:?}",
            found.rows
        );
        if scenario.pipeline.kept != Kept::InTheLake {
            return;
        }
        let state = found.metadata.as_ref().and_then(Metadata::state);
        let state = state.map(|state| state.parse::<usize>().unwrap());
        assert!(
            self.moments.iter().any(|(known, rows)| *known == state && *rows == found.rows),
            "{what}: {table} has the state {state:?}, which does not cover {:?}",
            found.rows
        );
    }

    /// Rows that were erased are in no file, whether a snapshot names it or not.
    fn check_erased(&self, store: &MemoryStore, table: &str, what: &str) {
        for (key, ids) in ids(store, &format!("{table}/data/"), what) {
            assert!(ids.is_disjoint(&self.erased), "{what}: rows that were erased are in {key}");
        }
    }
}

/// The truth by table.
fn truth(scenario: &Scenario) -> BTreeMap<String, Truth> {
    let mut tables = BTreeMap::new();
    scenario.before.iter().for_each(|pipeline| load(&mut tables, pipeline));
    let mut between = vec![(None, tables.clone())];
    let erased = scenario.erased();
    if !erased.is_empty() {
        for state in tables.values_mut() {
            state.rows.retain(|(id, _), _| !erased.contains(id));
        }
        between.push((None, tables.clone()));
    }
    let before = tables.clone();
    for position in scenario.pipeline.commits() {
        let mut tables = before.clone();
        let steps = scenario.pipeline.steps[..position].to_vec();
        load(&mut tables, &Pipeline { steps, ..scenario.pipeline.clone() });
        between.push((Some(position), tables));
    }
    load(&mut tables, &scenario.pipeline);
    let truth = tables.into_iter().map(|(table, state)| {
        let rows = |tables: &BTreeMap<String, State>| {
            tables.get(&table).map(|state| state.rows.clone()).unwrap_or_default()
        };
        let moments = between.iter().map(|(state, tables)| (*state, rows(tables))).collect();
        let State { load, is_iceberg, moves, rows: end, .. } = state;
        let erased = erased.clone();
        let before = rows(&before);
        (table, Truth { load, is_iceberg, moves, before, end, moments, erased })
    });
    truth.collect()
}

/// A table in the model.
#[derive(Debug, Clone)]
struct State {
    load: LoadMethod,
    is_iceberg: bool,
    moves: bool,
    rows: Rows,
    /// Rows of another version than the table's.
    held: Option<Rows>,
    version: Option<i64>,
}

/// Runs a pipeline in the model, without a death.
fn load(tables: &mut BTreeMap<String, State>, pipeline: &Pipeline) {
    let mut replaced = BTreeSet::new();
    for step in &pipeline.steps {
        match step {
            Step::Schema(spec) => {
                let (load, moves) = (spec.load, spec.moves_keys);
                let is_iceberg = spec.table_format == TableFormat::Iceberg;
                let (rows, held, version) = (Rows::new(), None, None);
                let new = State { load, is_iceberg, moves, rows, held, version };
                let state = tables.entry(spec.table.clone()).or_insert(new);
                state.load = spec.load;
                if spec.refresh.is_some() {
                    // All older rows go when the stream is complete.
                    state.rows.clear();
                }
            }
            Step::Rows(table, ids, version) => {
                let state = tables.get_mut(*table).unwrap();
                if state.load == LoadMethod::Overwrite && replaced.insert(*table) {
                    state.rows.clear();
                }
                let load = state.load;
                let rows = state.held.as_mut().unwrap_or(&mut state.rows);
                for id in ids.clone() {
                    if load != LoadMethod::Append {
                        rows.retain(|(known, _), _| *known != id);
                    }
                    *rows.entry((id, *version)).or_default() += 1;
                }
            }
            Step::Version(table, version) => {
                let state = tables.get_mut(*table).unwrap();
                match state.version {
                    None => state.version = Some(*version),
                    Some(known) if known != *version => state.held = Some(Rows::new()),
                    Some(_) => {}
                }
            }
            Step::Activate(table, version) => {
                let state = tables.get_mut(*table).unwrap();
                if state.version.is_some_and(|known| known != *version) {
                    state.rows = state.held.take().unwrap_or_default();
                }
                state.version = Some(*version);
            }
            Step::State => {}
        }
    }
    // ACTIVATE_VERSION did not come: the rows enter as those before them.
    for state in tables.values_mut() {
        for (row, count) in state.held.take().into_iter().flatten() {
            if state.load != LoadMethod::Append {
                state.rows.retain(|(known, _), _| *known != row.0);
            }
            *state.rows.entry(row).or_default() += count;
        }
    }
}
