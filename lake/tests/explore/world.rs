//! Worlds: a few runs that are at work at once, and what must hold in each moment of theirs.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use lake::TableFormat;
use lake::file::Encoding;
use lake::maintain;
use lake::store::{MemoryStore, Store};
use lake::table::{LoadMethod, Spec};

use crate::iceberg::{self, Metadata};
use crate::iceberg_worlds;
use crate::pipeline::Step::{Schema, State};
use crate::pipeline::{Kept, Pipeline, Step, lake};
use crate::reader::{self, Row, Rows};
use crate::scenarios::{by_month, grown, sharded, spec};
use crate::schedule::{Chooser, Schedule, Scheduled};
use crate::weakness::{Weakened, Weakness};

/// What a run does.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Load(Pipeline),
    Maintain(maintain::Options),
    /// Lists a table, and reads its files one after the other.
    Read(&'static str),
}

/// Runs that are at work at once.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    /// Pipelines that have come to their end before.
    pub(crate) before: Vec<Pipeline>,
    pub(crate) works: Vec<Work>,
    /// A guard that is switched off.
    pub(crate) weakness: Option<Weakness>,
    /// How many runs may die where all of its states are explored. Nothing where these are too many for every
    /// day.
    pub(crate) deaths: Option<usize>,
}

/// What has become of a world.
pub(crate) struct Past {
    pub(crate) store: MemoryStore,
    /// Where runs know of each other whether they live.
    temp_dir: tempfile::TempDir,
    pub(crate) schedule: Arc<Schedule>,
    /// What a reader has found that must not be.
    pub(crate) faults: Vec<String>,
}

impl World {
    /// The store before the runs begin.
    pub(crate) fn begin(&self) -> MemoryStore {
        let store = MemoryStore::new();
        for pipeline in &self.before {
            pipeline.run(&Arc::new(store.reopen())).unwrap();
        }
        store
    }

    /// Lets the runs go on as somebody chooses, until all have ended.
    pub(crate) fn run(&self, store: MemoryStore, chooser: Box<dyn Chooser>) -> Past {
        let schedule = Schedule::new(&store, self.works.len(), chooser);
        let faults = Mutex::new(Vec::new());
        let temp_dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for (run, work) in self.works.iter().enumerate() {
                let name = format!("20260102T000000000000-{:06x}", run + 1);
                let view: Arc<dyn Store> = Arc::new(store.reopen());
                let takes_its_time = matches!(work, Work::Read(_));
                let schedule_of = Arc::clone(&schedule);
                let scheduled =
                    Scheduled { store: view, schedule: schedule_of, run, takes_its_time };
                let scheduled = Arc::new(scheduled);
                let weakened: Arc<dyn Store> = match self.weakness {
                    Some(weakness) => Arc::new(Weakened::new(scheduled, weakness, &name)),
                    None => scheduled,
                };
                let (schedule, faults, store) = (Arc::clone(&schedule), &faults, &store);
                let folder = temp_dir.path().to_owned();
                scope.spawn(move || {
                    let whole = AssertUnwindSafe(|| match work {
                        Work::Read(table) if self.is_iceberg() => {
                            self.read_snapshot(store, &*weakened, table);
                        }
                        Work::Read(table) => self.read(store, &*weakened, table),
                        // That a run fails is no fault: it may have died, or another was faster.
                        Work::Load(_) | Work::Maintain(_) => _ = work.run(weakened, name, folder),
                    });
                    if let Err(fault) = catch_unwind(whole) {
                        faults.lock().unwrap().push(words(&*fault));
                    }
                    schedule.end(run);
                });
            }
        });
        Past { store, temp_dir, schedule, faults: faults.into_inner().unwrap() }
    }

    /// Reads as an engine does that has listed the table, and takes each file as it is by then.
    fn read(&self, whole: &MemoryStore, store: &dyn Store, table: &str) {
        let Ok(objects) = store.list(&format!("{table}/")) else { return };
        let acknowledged = self.acknowledged(whole, table);
        let mut files = Vec::new();
        for object in objects {
            // What is gone is an error that its user sees.
            let Ok(Some((_, bytes))) = store.get(&object.key) else { return };
            files.push((object.key, bytes));
        }
        let found = reader::rows_of_files(files, "a reader");
        for row in acknowledged {
            assert!(found.contains_key(&row), "a reader misses row {row:?}");
        }
        self.check_counts(table, &found, "a reader");
    }

    /// Reads as an engine does that begins with the hint. What it finds named is there for as long as it takes.
    fn read_snapshot(&self, whole: &MemoryStore, store: &dyn Store, table: &str) {
        let Ok(hint) = Metadata::hint(store, table) else { return };
        let acknowledged = self.acknowledged(whole, table);
        let mut files = Vec::new();
        if let Some(version) = hint {
            let Ok(metadata) = Metadata::read(store, table, version) else { return };
            let Ok(named) = metadata.files(store) else { return };
            for file in named {
                let Ok(found) = store.get(&file.key) else { return };
                let (_, bytes) = found.unwrap_or_else(|| panic!("{} is gone", file.key));
                files.push((file.key, bytes));
            }
        }
        let found = reader::rows_of_files(files, "a reader");
        for row in acknowledged {
            assert!(found.contains_key(&row), "a reader misses row {row:?}");
        }
        self.check_counts(table, &found, "a reader");
    }

    /// The rows of a table that must be there: those whose state was kept.
    fn acknowledged(&self, store: &MemoryStore, table: &str) -> Vec<Row> {
        let pipelines = self.pipelines().filter(|pipeline| pipeline.kept == Kept::There);
        let pipelines = pipelines.map(|pipeline| {
            let kept = store.get(&pipeline.state_key()).unwrap().map(|(_, text)| text);
            let kept = kept.and_then(|text| String::from_utf8(text).unwrap().trim().parse().ok());
            (pipeline, kept.unwrap_or(0))
        });
        let in_the_lake = self.pipelines().filter(|pipeline| pipeline.kept == Kept::InTheLake);
        let held = in_the_lake.map(|pipeline| (pipeline, held_state(store, table).unwrap_or(0)));
        let rows =
            pipelines.chain(held).flat_map(|(pipeline, kept)| pipeline.rows_before(table, kept));
        let before = self.before.iter();
        rows.chain(before.flat_map(|pipeline| pipeline.rows_before(table, usize::MAX))).collect()
    }

    /// Whether its tables are those of Iceberg.
    pub(crate) fn is_iceberg(&self) -> bool {
        let specs = self.before.iter().chain(self.pipelines()).flat_map(Pipeline::specs);
        specs.into_iter().any(|spec| spec.table_format == TableFormat::Iceberg)
    }

    pub(crate) fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        self.works.iter().filter_map(|work| match work {
            Work::Load(pipeline) => Some(pipeline),
            Work::Maintain(_) | Work::Read(_) => None,
        })
    }

    /// The rows that must be there at the end, by table: each once.
    fn truth(&self) -> BTreeMap<&'static str, Vec<Row>> {
        let mut truth: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for pipeline in self.before.iter().chain(self.pipelines()) {
            for table in pipeline.tables() {
                let rows = pipeline.rows_before(table, usize::MAX);
                truth.entry(table).or_default().extend(rows);
            }
        }
        for rows in truth.values_mut() {
            rows.sort_unstable();
            rows.dedup();
        }
        truth
    }

    /// How often a row may be there. Two runs of one pipeline may both show a row, until one of them has to
    /// take it back; while files are put together or cut anew, a row is in an old file and in a new one.
    fn most(&self) -> usize {
        if self.is_iceberg() {
            // A commit is one step, whatever it does.
            return 1;
        }
        let mut names: Vec<_> = self.pipelines().map(|pipeline| pipeline.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        let is_maintained = self.works.iter().any(|work| matches!(work, Work::Maintain(_)));
        (1 + all - names.len()) * if is_maintained { 2 } else { 1 }
    }

    fn check_counts(&self, table: &str, found: &Rows, what: &str) {
        let truth = self.truth();
        for (row, count) in found {
            assert!(truth[table].contains(row), "{what}: {row:?} in {table} was never sent");
            let most = if self.upserts(table) { 1.max(self.most() / 2) } else { self.most() };
            assert!(*count <= most, "{what}: {row:?} is in {table} {count} times");
        }
    }

    fn upserts(&self, table: &str) -> bool {
        self.pipelines().any(|pipeline| {
            pipeline.steps.iter().any(|step| {
                matches!(step, Schema(spec) if spec.table == table && spec.load == LoadMethod::Upsert)
            })
        })
    }

    /// What must hold at every moment.
    pub(crate) fn check(&self, store: &MemoryStore) {
        for table in self.truth().keys() {
            let found = reader::rows(store, table, "at a moment");
            for row in self.acknowledged(store, table) {
                assert!(
                    found.contains_key(&row),
                    "row {row:?} of {table} was acknowledged and is not there"
                );
            }
            self.check_counts(table, &found, "at a moment");
            if self.is_iceberg() {
                iceberg::check(store, table, "at a moment");
                self.check_state(store, table, &found);
            }
        }
        for pipeline in self.pipelines().filter(|pipeline| pipeline.kept == Kept::There) {
            if store
                .get(&pipeline.state_key())
                .unwrap()
                .is_some_and(|(_, text)| !text.trim_ascii().is_empty())
            {
                pipeline.specs().for_each(|spec| check_definition(store, spec));
            }
        }
    }

    /// The state that the lake holds covers all rows of its pipeline that are there. Of two runs at once of a pipeline the
    /// slower one has the last word: its state may be older, and the rows behind it come again.
    fn check_state(&self, store: &MemoryStore, table: &str, found: &Rows) {
        let is_alone =
            |name| self.pipelines().filter(|pipeline| pipeline.name == name).count() == 1;
        let held = self.pipelines().filter(|pipeline| pipeline.kept == Kept::InTheLake);
        for pipeline in held.filter(|pipeline| is_alone(pipeline.name)) {
            let state = held_state(store, table);
            let covered = pipeline.rows_before(table, state.unwrap_or(0));
            for row in pipeline.rows_before(table, usize::MAX) {
                assert!(
                    !found.contains_key(&row) || covered.contains(&row),
                    "row {row:?} of {table} is there, and the state {state:?} does not cover it"
                );
            }
        }
    }

    /// Each run is done again from its last state to its end, one after the other.
    fn recover(&self, past: &Past, round: usize) {
        for (run, work) in self.works.iter().enumerate() {
            let name = format!("2026010{}T000000000000-{:06x}", 3 + round, run + 1);
            work.run(Arc::new(past.store.reopen()), name, past.temp_dir.path().to_owned()).unwrap();
        }
        if self.is_iceberg() {
            // What arrives late is seen by who looks for it, and hinted at by the next run.
            self.truth()
                .keys()
                .for_each(|table| iceberg::check_hint(&past.store, table, "at the end"));
        }
    }

    /// What must hold when all have come to their end.
    fn compare(&self, store: &MemoryStore) {
        for (table, rows) in &self.truth() {
            reader::compare_rows(store, table, rows, "at the end");
            if self.is_iceberg() {
                iceberg::check(store, table, "at the end");
            }
        }
        for pipeline in self.pipelines() {
            let grown = pipeline
                .specs()
                .filter(|spec| spec.columns.iter().any(|column| column.name == "title"));
            for table in grown.map(|spec| &spec.table) {
                let titled = reader::titled(store, table, "at the end");
                for (id, _) in pipeline.rows_before(table, usize::MAX) {
                    assert!(titled.contains(&id), "row {id} of {table} has lost its title");
                }
            }
        }
    }

    /// Brings everything to its end, and compares. What is late may arrive before and after that.
    pub(crate) fn settle(&self, past: &Past) {
        let store = &past.store;
        self.check(store);
        self.recover(past, 0);
        self.compare(store);
        if past.schedule.arrive() > 0 {
            self.compare(store);
            self.recover(past, 1);
            self.compare(store);
        }
        let notes = store.list("_lake/commits/").unwrap();
        assert!(notes.is_empty(), "{notes:?} is left");
    }
}

/// The state that the newest snapshot of a table has.
fn held_state(store: &MemoryStore, table: &str) -> Option<usize> {
    Metadata::newest(store, table).unwrap()?.state()?.parse().ok()
}

/// Whether a table is known to have the columns of rows that were acknowledged.
fn check_definition(store: &MemoryStore, spec: &Spec) {
    let (_, text) = store.get(&format!("_lake/tables/{}.json", spec.table)).unwrap().unwrap();
    let text = String::from_utf8(text).unwrap();
    for column in &spec.columns {
        let named = format!("\"name\": \"{}\"", column.name);
        assert!(text.contains(&named), "the definition has no column {}", column.name);
    }
}

impl Work {
    fn run(&self, store: Arc<dyn Store>, name: String, temp_dir: PathBuf) -> lake::Result<()> {
        match self {
            Self::Load(pipeline) => pipeline.run_as(store, name, temp_dir),
            Self::Maintain(options) => {
                let lake = lake(store, name, 8 << 20, temp_dir)?;
                maintain::run(&Arc::new(lake), &|_| Encoding::default(), options).map(drop)
            }
            Self::Read(_) => Ok(()),
        }
    }
}

/// What a panic says.
pub(crate) fn words(fault: &(dyn std::any::Any + Send)) -> String {
    let text = fault.downcast_ref::<String>().cloned();
    text.or_else(|| fault.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// A pipeline that sends some rows with a state behind them, and as often again as there are `parts`.
pub(crate) fn load(name: &'static str, kept: Kept, spec: Spec, first: i64, parts: i64) -> Work {
    let table = if spec.table == "u" { "u" } else { "t" };
    let mut steps = vec![Schema(Arc::new(spec))];
    for part in 0..parts {
        steps.extend([Step::Rows(table, first + 2 * part..first + 2 * part + 2, 1), State]);
    }
    Work::Load(Pipeline { name, ..Pipeline::new(steps, kept) })
}

pub(crate) fn compact() -> Work {
    Work::Maintain(maintain::Options { compact: true, ..maintain::Options::default() })
}

/// The world of a name, in which each pipeline commits once.
pub(crate) fn named(name: &str) -> World {
    all(1).into_iter().find(|world| world.name == name).unwrap()
}

/// Worlds of three runs, which are too large to explore all of.
pub(crate) fn large(parts: i64) -> Vec<World> {
    let append = || spec("t", LoadMethod::Append);
    let upsert = || spec("t", LoadMethod::Upsert);
    let (there, elsewhere) = (Kept::There, Kept::Elsewhere);
    let world =
        |name, works| World { name, before: Vec::new(), works, weakness: None, deaths: None };
    vec![
        world(
            "three pipelines append to one table",
            vec![
                load("a", there, append(), 0, parts),
                load("b", there, by_month(spec("u", LoadMethod::Append)), 10, parts),
                load("c", elsewhere, append(), 20, parts),
            ],
        ),
        world(
            "two runs of one pipeline while files are put together",
            vec![
                load("a", there, append(), 0, parts),
                load("a", there, append(), 0, parts),
                compact(),
            ],
        ),
        world(
            "three pipelines upsert other keys of one table",
            vec![
                load("a", there, upsert(), 0, parts),
                load("b", there, grown(upsert()), 10, parts),
                load("c", there, upsert(), 20, parts),
            ],
        ),
    ]
}

/// Worlds in which each pipeline commits `parts` times.
pub(crate) fn all(parts: i64) -> Vec<World> {
    [plain(parts), iceberg_worlds::all(parts)].concat()
}

/// A world on nothing, of which all states with one death can be explored.
pub(crate) fn new(name: &'static str, works: Vec<Work>) -> World {
    World { name, before: Vec::new(), works, weakness: None, deaths: Some(1) }
}

/// One in which the table is there, with two files that can be put together.
pub(crate) fn on(spec: &Spec, name: &'static str, works: Vec<Work>) -> World {
    let before =
        [-4, -2].map(|first| match load("before", Kept::Elsewhere, spec.clone(), first, 1) {
            Work::Load(pipeline) => Pipeline { keeps_state: false, ..pipeline },
            Work::Maintain(_) | Work::Read(_) => unreachable!("it loads"),
        });
    World { before: before.into(), ..new(name, works) }
}

fn plain(parts: i64) -> Vec<World> {
    let append = || spec("t", LoadMethod::Append);
    let upsert = || spec("t", LoadMethod::Upsert);
    let (there, elsewhere) = (Kept::There, Kept::Elsewhere);
    let few = |deaths, world| World { deaths, ..world };
    vec![
        on(
            &append(),
            "two pipelines append to one table",
            vec![load("a", there, append(), 0, parts), load("b", there, append(), 10, parts)],
        ),
        few(
            Some(0),
            new(
                "two pipelines append to one new table",
                vec![load("a", there, append(), 0, parts), load("b", there, append(), 10, parts)],
            ),
        ),
        on(
            &append(),
            "a pipeline whose state is kept beside one whose state is not",
            vec![load("a", there, append(), 0, parts), load("b", elsewhere, append(), 10, parts)],
        ),
        on(
            &append(),
            "two runs of one pipeline",
            vec![load("a", there, append(), 0, parts), load("a", there, append(), 0, parts)],
        ),
        few(
            Some(0),
            on(
                &append(),
                "a pipeline appends while files are put together",
                vec![load("a", there, append(), 0, parts), compact()],
            ),
        ),
        few(
            None,
            on(&append(), "files are put together twice at once", vec![compact(), compact()]),
        ),
        on(&append(), "a reader while files are put together", vec![compact(), Work::Read("t")]),
        new(
            "a reader while a pipeline appends",
            vec![load("a", there, by_month(append()), 0, parts), Work::Read("t")],
        ),
        on(
            &upsert(),
            "two pipelines upsert other keys of one table",
            vec![load("a", there, upsert(), 0, parts), load("b", there, upsert(), 10, parts)],
        ),
        few(
            Some(0),
            new(
                "two pipelines upsert other keys of one new table, and one knows a column more",
                vec![
                    load("a", there, upsert(), 0, parts),
                    load("b", there, grown(upsert()), 10, parts),
                ],
            ),
        ),
        on(
            &sharded(upsert()),
            "a reader while a pipeline upserts",
            vec![load("a", there, sharded(upsert()), 0, parts), Work::Read("t")],
        ),
    ]
}
