//! A pipeline: a source that goes on from a state, and the loading of its rows as the engine does it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use lake::schema::{Kind, fields};
use lake::store::{Condition, MemoryStore, Object, Store};
use lake::table::{LoadMethod, Spec};
use lake::write::Table;
use lake::write::covered::{CommitNote, newest_state};
use lake::write::journal::{Acknowledged, Files, Journal, Receipt, Steps};
use lake::{Error, Lake, Options, Result};

/// What a source sends.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The schema of a stream.
    Schema(Arc<Spec>),
    /// Rows of a table, with the version that they are of.
    Rows(&'static str, Range<i64>, u32),
    /// The stream's rows from here on are of another version of the table.
    Version(&'static str, i64),
    /// ACTIVATE_VERSION.
    Activate(&'static str, i64),
    /// A state, from which the source goes on behind this step.
    State,
}

/// Where the state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In a place that runs can read again.
    There,
    /// With whoever reads what the run says.
    Elsewhere,
    /// In the snapshots that it covers, and nowhere else: of Iceberg tables.
    InTheLake,
}

/// What a pipeline can fail to take care of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Neglect {
    /// To write down which files it is about to show.
    Journal,
    /// To do so before it shows them.
    Order,
    /// To look for rows in doubt among those that come.
    Doubts,
    /// To say in its snapshots where its state is kept, and what was there before.
    Place,
}

/// A pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    /// What tells its state from those of others.
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) kept: Kept,
    /// Bytes for rows.
    pub(crate) memory: usize,
    /// Whether its state is kept at all.
    pub(crate) keeps_state: bool,
    /// What it does not take care of.
    pub(crate) neglects: Option<Neglect>,
}

struct Place<'a> {
    store: &'a dyn Store,
    /// In the store, beside the tables.
    key: &'a str,
    /// The object as this run found it, or left it: another run that moves the state meanwhile is noticed.
    known: RefCell<Option<(Object, String)>>,
}

impl Place<'_> {
    fn put(&self, text: String) -> Result<()> {
        let condition = Condition::still(self.known.borrow().as_ref().map(|(object, _)| object));
        let object = self.store.put(self.key, text.as_bytes(), condition)?;
        *self.known.borrow_mut() = Some((object, text));
        Ok(())
    }

    fn keep(&self, state: &str) -> Acknowledged<Error> {
        match self.put(state.to_owned()) {
            Ok(()) => Acknowledged::Yes,
            Err(error @ Error::Conflict { .. }) => Acknowledged::No(error),
            Err(error) => Acknowledged::Unknown(error),
        }
    }
}

impl Receipt for Place<'_> {
    fn place(&self) -> String {
        self.key.into()
    }

    fn known(&self) -> Option<String> {
        let known = self.known.borrow();
        let state = known.as_ref().map(|(_, text)| text.trim());
        state.filter(|state| !state.is_empty()).map(str::to_owned)
    }

    fn newest(&self) -> Result<Option<Vec<u8>>> {
        let text = self.store.get(self.key)?.map(|(_, text)| text);
        Ok(text.filter(|text| !text.trim_ascii().is_empty()))
    }

    /// What has a space more is another version: whoever has begun to replace the one before comes too
    /// late.
    fn hold(&self) -> Result<bool> {
        let text = self.known.borrow().as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
        self.put(format!("{text} "))?;
        Ok(true)
    }

    fn is_the_same_everywhere(&self) -> bool {
        true
    }
}

static RUNS: AtomicU64 = AtomicU64::new(0);

/// A folder for temporary files, in which runs know of each other whether they live.
pub(crate) fn temp_dir() -> PathBuf {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    FOLDER.path().to_owned()
}

/// The lake in a run of this name.
pub(crate) fn lake(
    store: Arc<dyn Store>,
    run: String,
    memory: usize,
    temp_dir: PathBuf,
) -> Result<Lake> {
    // One call after the other, so that the same run makes the same ones.
    let options = Options { memory, at_once: 1, threads: 1, temp_dir, ..Options::default() };
    Lake::with_store(store, run, &options)
}

/// A name for a run, unlike any other.
pub(crate) fn run_name() -> String {
    format!("20260101T000000000000-{:06x}", RUNS.fetch_add(1, Ordering::Relaxed))
}

impl Pipeline {
    pub(crate) fn new(steps: Vec<Step>, kept: Kept) -> Self {
        Self { name: "pipeline", steps, kept, memory: 8 << 20, keeps_state: true, neglects: None }
    }

    /// The key of its state, where that is kept.
    pub(crate) fn state_key(&self) -> String {
        format!("state/{}.json", self.name)
    }

    /// The rows that it sends to a table before a position, which is what its states say.
    pub(crate) fn rows_before(&self, table: &str, position: usize) -> Vec<(i64, u32)> {
        let steps = self.steps.iter().take(position);
        let rows = steps.filter_map(|step| match step {
            Step::Rows(name, ids, version) if *name == table => Some((ids.clone(), *version)),
            _ => None,
        });
        rows.flat_map(|(ids, version)| ids.map(move |id| (id, version))).collect()
    }

    /// The positions behind which its tables may be found: those of its states, or its end alone where rows wait for
    /// it.
    pub(crate) fn commits(&self) -> Vec<usize> {
        let waits = |step: &Step| match step {
            Step::Schema(spec) => spec.load == LoadMethod::Overwrite || spec.refresh.is_some(),
            Step::Version(..) | Step::Activate(..) => true,
            Step::Rows(..) | Step::State => false,
        };
        if self.steps.iter().any(waits) {
            return vec![self.steps.len()];
        }
        let ends = (1..=self.steps.len()).filter(|end| matches!(self.steps[end - 1], Step::State));
        ends.collect()
    }

    /// What it says of its streams.
    pub(crate) fn specs(&self) -> impl Iterator<Item = &Arc<Spec>> {
        self.steps.iter().filter_map(|step| match step {
            Step::Schema(spec) => Some(spec),
            _ => None,
        })
    }

    /// The tables that it sends rows to.
    pub(crate) fn tables(&self) -> BTreeSet<&'static str> {
        let steps = self.steps.iter();
        let tables = steps.filter_map(|step| match step {
            Step::Rows(table, ..) => Some(*table),
            _ => None,
        });
        tables.collect()
    }

    /// A run from the last state to the end.
    pub(crate) fn run(&self, store: &Arc<MemoryStore>) -> Result<()> {
        self.run_as(Arc::<MemoryStore>::clone(store), run_name(), temp_dir())
    }

    /// A run of this name.
    pub(crate) fn run_as(
        &self,
        store: Arc<dyn Store>,
        name: String,
        temp_dir: PathBuf,
    ) -> Result<()> {
        let lake = Arc::new(lake(store, name, self.memory, temp_dir)?);
        let store = Arc::clone(lake.store());
        let key = self.state_key();
        let position = |text: &str| text.trim().parse::<usize>().unwrap_or(0);
        let (known, from) = match self.kept {
            Kept::InTheLake => (None, newest_state(&lake)?.as_deref().map_or(0, position)),
            Kept::There | Kept::Elsewhere => match store.get(&key)? {
                Some((object, text)) => {
                    let text = String::from_utf8(text).unwrap();
                    let from = position(&text);
                    (Some((object, text)), from)
                }
                None => (None, 0),
            },
        };
        let place = Place { store: &*store, key: &key, known: RefCell::new(known) };
        let receipt = (self.kept == Kept::There).then_some(&place as &dyn Receipt);
        let mut run = Run {
            journal: Journal::open(&lake, receipt)?,
            lake,
            receipt,
            tables: BTreeMap::new(),
            specs: BTreeMap::new(),
            kept: self.kept,
            keeps_state: self.keeps_state,
            neglects: self.neglects,
            commits: 0,
        };
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                // A source sends its schemas again.
                Step::Schema(spec) => run.open(spec)?,
                _ if at < from => {}
                Step::Rows(table, ids, version) => run.push(table, ids.clone(), *version)?,
                Step::Version(table, version) => {
                    run.table(table).note_version(*version);
                }
                Step::Activate(table, version) => run.table(table).activate(*version)?,
                Step::State => {
                    run.tables.values_mut().try_for_each(Table::cover)?;
                    let is_last = at + 1 == self.steps.len();
                    let must_wait = run.tables.values().any(Table::must_wait);
                    if is_last || !must_wait {
                        run.commit(&place, is_last, at + 1)?;
                    }
                }
            }
        }
        for table in run.tables.values_mut() {
            table.end_generation()?;
        }
        let tables = &run.tables;
        run.journal
            .close(&run.lake, |name| tables.get(name).is_some_and(|table| table.recognised() > 0))
    }
}

struct Run<'a> {
    lake: Arc<Lake>,
    journal: Journal,
    receipt: Option<&'a dyn Receipt>,
    tables: BTreeMap<String, Table>,
    specs: BTreeMap<String, Arc<Spec>>,
    kept: Kept,
    keeps_state: bool,
    neglects: Option<Neglect>,
    /// Those whose snapshots say so.
    commits: u32,
}

impl Run<'_> {
    fn open(&mut self, spec: &Arc<Spec>) -> Result<()> {
        self.specs.insert(spec.table.clone(), Arc::clone(spec));
        if let Some(table) = self.tables.get_mut(&spec.table) {
            return table.evolve(spec);
        }
        let mut table = Table::open(&self.lake, spec)?;
        if table.adds() && self.neglects != Some(Neglect::Doubts) {
            table.doubt(&self.journal.doubtful(&self.lake, &spec.table)?)?;
            table.doubt_snapshot(self.receipt)?;
        }
        table.begin_generation()?;
        self.tables.insert(spec.table.clone(), table);
        Ok(())
    }

    fn table(&mut self, name: &str) -> &mut Table {
        self.tables.get_mut(name).unwrap()
    }

    fn push(&mut self, table: &str, ids: Range<i64>, version: u32) -> Result<()> {
        let spec = Arc::clone(&self.specs[table]);
        let batch = rows(&spec, ids, version);
        let budget = self.lake.budget();
        let table = self.table(table);
        table.push(&spec, &batch)?;
        if table.memory() > budget { table.free_memory() } else { Ok(()) }
    }

    /// As the engine commits: the journal decides the order.
    fn commit(&mut self, place: &Place<'_>, complete: bool, position: usize) -> Result<()> {
        let mut files = Files::default();
        for table in self.tables.values_mut() {
            files.extend(table.prepare(complete)?);
        }
        if self.neglects == Some(Neglect::Journal) {
            files = Files::default();
        }
        if self.neglects == Some(Neglect::Order) {
            for table in self.tables.values_mut() {
                table.commit(complete)?;
            }
        }
        let state = position.to_string();
        let mut tables: Vec<&mut Table> = self.tables.values_mut().collect();
        tables.sort_by_key(|table| table.adds());
        let receipt = self.receipt;
        let names_place = self.neglects != Some(Neglect::Place);
        let (kept, keeps_state, lake) = (self.kept, self.keeps_state, &self.lake);
        let number = &mut self.commits;
        let mut commit = Commit {
            lake,
            number,
            tables,
            receipt,
            place,
            state,
            complete,
            kept,
            keeps_state,
            names_place,
        };
        self.journal.commit(&self.lake, files, &mut commit)
    }
}

struct Commit<'a> {
    lake: &'a Lake,
    /// That of the last commit of which snapshots were made.
    number: &'a mut u32,
    tables: Vec<&'a mut Table>,
    receipt: Option<&'a dyn Receipt>,
    place: &'a Place<'a>,
    state: String,
    complete: bool,
    kept: Kept,
    keeps_state: bool,
    names_place: bool,
}

impl Commit<'_> {
    /// Has the snapshots say which state covers them.
    fn note(&mut self) -> Result<()> {
        let tables = self.tables.iter_mut().filter(|table| table.makes_snapshot());
        let mut tables: Vec<&mut Table> = tables.map(|table| &mut **table).collect();
        if tables.is_empty() {
            return Ok(());
        }
        *self.number += 1;
        let name = |table: &&mut Table| table.definition().table.clone();
        let names = tables.iter().map(name).collect();
        let new = tables.iter().filter(|table| !table.is_made()).map(name).collect();
        let receipt = self.receipt.filter(|_| self.names_place);
        let receipt = receipt.map(|receipt| (receipt.place(), receipt.known()));
        let note = CommitNote { number: *self.number, tables: names, new, receipt };
        let state = self.keeps_state.then_some(self.state.as_str());
        for table in &mut tables {
            let stream = table.definition().table.clone();
            table.set_notes(note.notes(self.lake, &stream, state)?);
        }
        Ok(())
    }
}

impl Steps<Error> for Commit<'_> {
    fn receipt(&self) -> Option<&dyn Receipt> {
        self.receipt
    }

    fn state(&self) -> Option<String> {
        Some(self.state.clone())
    }

    fn publish(&mut self) -> Result<()> {
        self.note()?;
        self.tables.iter_mut().try_for_each(|table| table.commit(self.complete).map(drop))
    }

    fn acknowledge(&mut self) -> Acknowledged<Error> {
        match self.kept {
            Kept::There | Kept::Elsewhere if self.keeps_state => self.place.keep(&self.state),
            Kept::There | Kept::Elsewhere | Kept::InTheLake => Acknowledged::Yes,
        }
    }
}

/// Rows of a spec, whose texts follow from their ids and their version.
fn rows(spec: &Spec, ids: Range<i64>, version: u32) -> RecordBatch {
    let arrays = spec.columns.iter().map(|column| -> ArrayRef {
        match (column.name.as_str(), &column.kind) {
            ("id", _) => Arc::new(ids.clone().collect::<Int64Array>()),
            ("at", _) => Arc::new(StringArray::from_iter_values(
                // Rows that may change their partition do.
                ids.clone()
                    .map(|id| if spec.moves_keys { id + i64::from(version) } else { id })
                    .map(month),
            )),
            (_, Kind::Int) => {
                Arc::new(ids.clone().map(|id| i32::try_from(id).unwrap()).collect::<Int32Array>())
            }
            (_, Kind::Bigint) => Arc::new(ids.clone().collect::<Int64Array>()),
            (_, Kind::Double) => Arc::new(
                ids.clone()
                    .map(|id| f64::from(i32::try_from(id).unwrap()))
                    .collect::<Float64Array>(),
            ),
            (name, _) => Arc::new(StringArray::from_iter_values(
                ids.clone().map(|id| text(name, id, version)),
            )),
        }
    });
    let arrays = arrays.collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields(&spec.columns))), arrays).unwrap()
}

/// The first day of a month, which follows from a number.
fn month(number: i64) -> String {
    format!("2026-{:02}-01", 1 + number.rem_euclid(3))
}

/// The text of a column in a row.
pub(crate) fn text(column: &str, id: i64, version: u32) -> String {
    format!("{column} of {id} in {version}")
}
