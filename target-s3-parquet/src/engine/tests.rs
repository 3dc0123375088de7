//! The engine on a lake in a temporary folder, with a sink that writes down what it is asked for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lake::store::{Call, CallKind, MemoryStore};
use lake::table::Refresh;
use lake::write::journal::{Acknowledged, Receipt};
use lake::{Lake, Location};
use program::report::Exit;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Engine;
use crate::decode::plan::Plan;
use crate::decode::rows::Decoded;
use crate::described::Described;
use crate::error::{Error, Result};
use crate::input::item::Item;
use crate::input::items::Next;
use crate::state::{Sink, State};
use crate::testing::{config, conventions, decoded, plan, rows_of};

/// What a sink was asked for, and what readers saw of a table at each acknowledgement.
#[derive(Debug, Default)]
struct Log {
    acknowledged: Vec<String>,
    /// The ids in the table when the state was acknowledged.
    seen: Vec<Vec<i64>>,
    counts: Vec<(String, u64, u64)>,
}

/// A sink that acknowledges every state, those of held streams later, and looks at the lake then.
#[derive(Debug)]
struct Recorder {
    lake: Arc<Lake>,
    table: &'static str,
    waiting: Vec<(String, Option<String>)>,
    log: Arc<Mutex<Log>>,
    full: bool,
    /// Nobody knows whether a state arrives.
    fails: bool,
    /// No state arrives.
    refuses: bool,
}

impl Recorder {
    fn ready(&self, held: &[String]) -> usize {
        let is_held = |stream: &Option<String>| match stream {
            Some(stream) => held.contains(stream),
            None => !held.is_empty(),
        };
        self.waiting.iter().take_while(|(_, stream)| !is_held(stream)).count()
    }
}

impl Sink for Recorder {
    fn count(&mut self, stream: &str, rows: u64, rejected: u64) {
        self.log.lock().unwrap().counts.push((stream.to_owned(), rows, rejected));
    }

    fn note(&mut self, state: State) {
        self.waiting.push((state.text.get().to_owned(), state.stream));
    }

    fn is_ready(&self, held: &[String]) -> bool {
        self.ready(held) > 0
    }

    fn is_full(&self) -> bool {
        self.full
    }

    fn covering(&self, _: &str) -> Option<&str> {
        self.next()
    }

    fn next(&self) -> Option<&str> {
        self.waiting.first().map(|(text, _)| text.as_str())
    }

    fn receipt(&self) -> Option<&dyn Receipt> {
        None
    }

    fn acknowledge(&mut self, held: &[String]) -> Acknowledged<Error> {
        if self.fails {
            let source = std::io::Error::other("nobody listens");
            return Acknowledged::Unknown(Error::State { name: "a sink".into(), source });
        }
        if self.refuses {
            let source = std::io::Error::other("it is full");
            return Acknowledged::No(Error::State { name: "a sink".into(), source });
        }
        let ready = self.ready(held);
        let mut log = self.log.lock().unwrap();
        for (text, _) in self.waiting.drain(..ready) {
            log.acknowledged.push(text);
            log.seen.push(ids(&self.lake, self.table));
        }
        Acknowledged::Yes
    }
}

/// The ids in a table as its readers see it.
fn ids(lake: &Lake, table: &str) -> Vec<i64> {
    let rows: Vec<_> = lake.scan(table).unwrap().collect::<Result<_, _>>().unwrap();
    let rows = rows.iter().flat_map(rows_of);
    let mut ids: Vec<i64> = rows.map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// A lake that goes with the test.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn lake(&self) -> Arc<Lake> {
        let options =
            lake::Options { temp_dir: self.folder.path().to_owned(), ..lake::Options::default() };
        let location = Location::Folder(self.folder.path().join("lake"));
        Arc::new(Lake::open(&location, &options).unwrap())
    }

    fn ids(&self, table: &str) -> Vec<i64> {
        ids(&self.lake(), table)
    }
}

/// A run on a lake.
struct Run {
    engine: Engine,
    log: Arc<Mutex<Log>>,
}

impl Run {
    /// `interval` is the number of seconds between commits.
    fn new(home: &Home, interval: u64) -> Self {
        Self::with(home, interval, |_| {})
    }

    fn with(home: &Home, interval: u64, change: impl FnOnce(&mut Recorder)) -> Self {
        Self::on(home.lake(), interval, change)
    }

    fn on(lake: Arc<Lake>, interval: u64, change: impl FnOnce(&mut Recorder)) -> Self {
        let log = Arc::default();
        let mut recorder = Recorder {
            lake: Arc::clone(&lake),
            table: "a",
            waiting: Vec::new(),
            log: Arc::clone(&log),
            full: false,
            fails: false,
            refuses: false,
        };
        change(&mut recorder);
        let config = config(json!({"commit_interval_seconds": interval}));
        Self { engine: Engine::new(&config, lake, Box::new(recorder), None), log }
    }

    fn run(&mut self, items: Vec<Item>) -> Result<()> {
        self.run_until(items.into_iter().map(Ok).collect(), None)
    }

    fn run_until(&mut self, items: Vec<Result<Item>>, signal: Option<&'static str>) -> Result<()> {
        let items: RefCell<VecDeque<Result<Item>>> = RefCell::new(items.into());
        let next = |_: Duration| match items.borrow_mut().pop_front() {
            Some(item) => Next::Item(item),
            None => Next::End,
        };
        let stopped = || signal.map(|signal| Error::Stopped { signal, exit: Exit::Terminated });
        self.engine.run(next, stopped)
    }

    fn acknowledged(&self) -> Vec<String> {
        self.log.lock().unwrap().acknowledged.clone()
    }

    fn seen(&self) -> Vec<Vec<i64>> {
        self.log.lock().unwrap().seen.clone()
    }
}

fn schema_of(stream: &str, settings: Value) -> Arc<Plan> {
    plan(stream, &json!({"id": {"type": "integer"}, "t": {}}), &["id"], settings)
}

fn upserted(stream: &str) -> Arc<Plan> {
    schema_of(stream, json!({}))
}

fn appended(stream: &str) -> Arc<Plan> {
    schema_of(stream, json!({"load_method": "append"}))
}

fn overwritten(stream: &str) -> Arc<Plan> {
    schema_of(stream, json!({"load_method": "overwrite"}))
}

fn schema(plan: &Arc<Plan>) -> Item {
    Item::Schema(Arc::clone(plan))
}

fn rows(plan: &Arc<Plan>, ids: &[i64]) -> Item {
    Item::Rows(decode(plan, ids))
}

fn decode(plan: &Arc<Plan>, ids: &[i64]) -> Decoded {
    let lines: Vec<String> =
        ids.iter().map(|id| json!({plan.stream.as_str(): {"id": id}}).to_string()).collect();
    decoded(&lines, std::slice::from_ref(plan))
}

fn state(text: &str) -> Item {
    state_of(text, None)
}

fn empty_state() -> Item {
    Item::State(State { text: RawValue::from_string("{}".into()).unwrap(), stream: None })
}

fn state_of(text: &str, stream: Option<&str>) -> Item {
    let text = RawValue::from_string(json!(text).to_string()).unwrap();
    Item::State(State { text, stream: stream.map(str::to_owned) })
}

#[test]
fn at_the_end_all_rows_are_there_and_the_states_are_acknowledged() {
    let (home, plan) = (Home::new(), upserted("a"));
    let mut run = Run::new(&home, 3600);
    let items = vec![schema(&plan), rows(&plan, &[1, 2]), state("one"), rows(&plan, &[2, 3])];
    run.run(items).unwrap();
    assert_eq!(home.ids("a"), [1, 2, 3]);
    assert_eq!(run.acknowledged(), [r#""one""#]);
    let summary = serde_json::to_value(run.engine.summary()).unwrap();
    assert_eq!(summary["commits"], 1);
    assert_eq!(summary["streams"]["a"]["records"], 4);
    assert_eq!(summary["streams"]["a"]["table"], "a");
}

#[test]
fn a_state_is_acknowledged_only_when_the_rows_before_it_can_be_read() {
    for plan in [upserted("a"), appended("a")] {
        let home = Home::new();
        let mut run = Run::new(&home, 0);
        run.run(vec![
            schema(&plan),
            rows(&plan, &[1]),
            state("one"),
            rows(&plan, &[2]),
            rows(&plan, &[3]),
            state("two"),
        ])
        .unwrap();
        assert_eq!(run.acknowledged(), [r#""one""#, r#""two""#]);
        assert_eq!(run.seen(), [vec![1], vec![1, 2, 3]]);
    }
}

#[test]
fn before_the_interval_has_passed_nothing_is_committed_unless_the_sink_is_full() {
    for (full, states) in [(false, 0), (true, 1)] {
        let (home, plan) = (Home::new(), upserted("a"));
        let mut run = Run::with(&home, 3600, |recorder| recorder.full = full);
        let broken = Err(Error::Line { line: 9, reason: "x".into() });
        let items = vec![Ok(schema(&plan)), Ok(rows(&plan, &[1])), Ok(state("one"))];
        // While the input is read, not by the commit at its end.
        for item in items {
            run.engine.item(item.unwrap_or_else(|error: Error| panic!("{error}"))).unwrap();
        }
        assert_eq!(run.acknowledged().len(), states, "{full}");
        assert!(run.run_until(vec![broken], None).is_err());
    }
}

#[test]
fn after_an_error_what_a_state_covers_is_committed_and_no_more() {
    let (home, plan) = (Home::new(), appended("a"));
    let mut run = Run::new(&home, 3600);
    let error = run
        .run_until(
            vec![
                Ok(schema(&plan)),
                Ok(rows(&plan, &[1])),
                Ok(state("one")),
                Ok(rows(&plan, &[2])),
                Err(Error::Line { line: 5, reason: "it is broken".into() }),
            ],
            None,
        )
        .unwrap_err();
    assert_eq!(error.to_string(), "line 5 is not a message: it is broken");
    assert_eq!(run.acknowledged(), [r#""one""#]);
    assert_eq!(home.ids("a"), [1]);
}

#[test]
fn after_an_error_without_a_state_nothing_is_committed() {
    let (home, plan) = (Home::new(), appended("a"));
    let mut run = Run::new(&home, 0);
    let error = Err(Error::Line { line: 3, reason: "x".into() });
    let outcome = run.run_until(vec![Ok(schema(&plan)), Ok(rows(&plan, &[1])), error], None);
    assert!(outcome.is_err());
    assert_eq!((home.ids("a"), run.acknowledged().len()), (vec![], 0));
}

#[test]
fn an_error_in_a_chunk_ends_the_run_behind_the_rows_before_it() {
    let (home, plan) = (Home::new(), upserted("a"));
    let mut run = Run::new(&home, 3600);
    let lines = [r#"{"a":{"id":2}}"#, r#"{"a":{"id":"x"}}"#].map(str::to_owned);
    let broken = decoded(&lines, std::slice::from_ref(&plan));
    assert!(broken.error.is_some());
    let items =
        vec![schema(&plan), rows(&plan, &[1]), state("one"), Item::Rows(broken), state("never")];
    let error = run.run(items).unwrap_err();
    assert!(error.to_string().contains("column `id`"), "{error}");
    assert_eq!(run.acknowledged(), [r#""one""#]);
    // The row behind the state may be there: it comes again and replaces itself.
    assert_eq!(home.ids("a")[0], 1);
}

#[test]
fn where_the_destination_does_not_answer_nothing_more_is_tried() {
    let (home, plan) = (Home::new(), upserted("a"));
    let mut run = Run::new(&home, 3600);
    let error = lake::Error::store("write", "x", "no answer").into();
    let items = vec![Ok(schema(&plan)), Ok(rows(&plan, &[1])), Ok(state("one")), Err(error)];
    assert!(run.run_until(items, None).is_err());
    assert_eq!((run.acknowledged().len(), home.ids("a")), (0, vec![]));
}

#[test]
fn a_signal_ends_the_run_with_its_error_and_keeps_what_a_state_covers() {
    let (home, plan) = (Home::new(), appended("a"));
    let mut run = Run::new(&home, 3600);
    let items = vec![schema(&plan), rows(&plan, &[1]), state("one"), rows(&plan, &[2])];
    let error = run.run_until(items.into_iter().map(Ok).collect(), Some("SIGTERM")).unwrap_err();
    assert_eq!(error.exit(), Exit::Terminated);
    assert_eq!((run.acknowledged(), home.ids("a")), (vec![r#""one""#.to_owned()], vec![1]));
}

#[test]
fn appended_rows_behind_the_last_state_are_left_out_and_said_and_the_others_are_committed() {
    let (home, added, replaced) = (Home::new(), appended("a"), upserted("b"));
    for interval in [0, 3600] {
        let mut run = Run::new(&home, interval);
        let items = vec![
            schema(&added),
            schema(&replaced),
            rows(&added, &[1, 2]),
            state("one"),
            rows(&added, &[3]),
            rows(&replaced, &[4]),
        ];
        let error = run.run(items).unwrap_err();
        assert!(error.to_string().contains("rows of `a`"), "{error}");
        assert_eq!(error.exit(), Exit::Failure);
        assert_eq!(run.acknowledged(), [r#""one""#]);
        assert_eq!(home.ids("b"), [4]);
    }
    assert_eq!(home.ids("a"), [1, 1, 2, 2], "each of two runs has brought what its state covers");
    // Without a state that says something there is none to go on from.
    let (home, mut items) = (Home::new(), vec![schema(&added), rows(&added, &[1])]);
    Run::new(&home, 0).run(items).unwrap();
    items = vec![schema(&added), empty_state(), rows(&added, &[2])];
    Run::new(&home, 0).run(items).unwrap();
    assert_eq!(home.ids("a"), [1, 2]);
}

#[test]
fn a_state_that_nobody_takes_takes_its_appended_rows_back() {
    let (home, plan) = (Home::new(), appended("a"));
    let mut run = Run::with(&home, 3600, |recorder| recorder.refuses = true);
    let error = run.run(vec![schema(&plan), rows(&plan, &[1]), state("one")]).unwrap_err();
    assert!(error.to_string().contains("could not write the state to a sink"), "{error}");
    assert_eq!(home.ids("a"), [] as [i64; 0]);
    Run::new(&home, 3600).run(vec![schema(&plan), rows(&plan, &[1]), state("one")]).unwrap();
    assert_eq!(home.ids("a"), [1]);
}

#[test]
fn appended_rows_of_which_nobody_knows_come_again_and_are_counted() {
    let (home, plan) = (Home::new(), appended("a"));
    let mut run = Run::with(&home, 3600, |recorder| recorder.fails = true);
    run.run(vec![schema(&plan), rows(&plan, &[1, 2]), state("one")]).unwrap_err();
    assert_eq!(home.ids("a"), [1, 2]);
    drop(run);
    let mut run = Run::new(&home, 3600);
    run.run(vec![schema(&plan), rows(&plan, &[1, 2, 3, 3]), state("one")]).unwrap();
    assert_eq!(home.ids("a"), [1, 2, 3, 3]);
    assert_eq!(run.engine.summary().streams["a"].recognised, 2);
}

#[test]
fn a_state_that_cannot_be_acknowledged_is_the_error_of_the_run_and_the_rows_stay() {
    let (home, plan) = (Home::new(), upserted("a"));
    let mut run = Run::with(&home, 3600, |recorder| recorder.fails = true);
    let error = run.run(vec![schema(&plan), rows(&plan, &[1]), state("one")]).unwrap_err();
    assert!(error.to_string().contains("could not write the state to a sink"), "{error}");
    assert_eq!(home.ids("a"), [1]);
}

#[test]
fn a_table_is_replaced_when_a_state_follows_its_records_and_only_then() {
    let (home, plan) = (Home::new(), overwritten("a"));
    Run::new(&home, 0).run(vec![schema(&plan), rows(&plan, &[1, 2]), state("one")]).unwrap();
    assert_eq!(home.ids("a"), [1, 2]);
    let mut cut = Run::new(&home, 0);
    let error = cut.run(vec![schema(&plan), rows(&plan, &[3])]).unwrap_err();
    assert_eq!(error.to_string(), "the input ended before `a` was complete; the old rows stay");
    assert_eq!(home.ids("a"), [1, 2]);
    Run::new(&home, 0).run(vec![schema(&plan), rows(&plan, &[4]), state("two")]).unwrap();
    assert_eq!(home.ids("a"), [4]);
}

#[test]
fn a_stream_that_waits_for_its_end_holds_its_states_and_not_those_of_others() {
    let home = Home::new();
    let (held, free) = (overwritten("b"), upserted("a"));
    let mut run = Run::new(&home, 0);
    run.run(vec![
        schema(&held),
        schema(&free),
        rows(&free, &[1]),
        state_of("free", Some("a")),
        rows(&held, &[7]),
        rows(&free, &[2]),
        state_of("free again", Some("a")),
        state("all"),
    ])
    .unwrap();
    assert_eq!(run.acknowledged(), [r#""free""#, r#""free again""#, r#""all""#]);
    assert_eq!(run.seen()[..2], [vec![1], vec![1, 2]]);
    assert_eq!(home.ids("b"), [7]);
}

#[test]
fn added_rows_that_no_state_covers_are_not_shown_by_the_commit_of_another_stream() {
    let home = Home::new();
    let (left, right) = (appended("a"), appended("b"));
    let mut run = Run::new(&home, 0);
    let outcome = run.run_until(
        vec![
            Ok(schema(&left)),
            Ok(schema(&right)),
            Ok(rows(&left, &[1])),
            Ok(rows(&right, &[5])),
            Ok(state_of("left", Some("a"))),
            Err(Error::Line { line: 6, reason: "x".into() }),
        ],
        None,
    );
    assert!(outcome.is_err());
    assert_eq!(run.acknowledged(), [r#""left""#]);
    assert_eq!((home.ids("a"), home.ids("b")), (vec![1], vec![]));
}

#[test]
fn rows_of_older_versions_go_when_a_version_is_activated() {
    let (home, plan) = (Home::new(), upserted("a"));
    let version = |version| Item::ActivateVersion { stream: "a".into(), version };
    let versioned = |ids: &[i64], version| {
        let mut decoded = decode(&plan, ids);
        decoded.rows[0].version = Some(version);
        Item::Rows(decoded)
    };
    let first = vec![schema(&plan), versioned(&[1, 2], 1), version(1), state("one")];
    Run::new(&home, 0).run(first).unwrap();
    let second = vec![schema(&plan), versioned(&[3], 2), version(2), state("two")];
    Run::new(&home, 0).run(second).unwrap();
    assert_eq!(home.ids("a"), [3]);
}

#[test]
fn a_version_of_a_stream_that_is_not_known_is_no_error() {
    let home = Home::new();
    let version = Item::ActivateVersion { stream: "x".into(), version: 1 };
    Run::new(&home, 0).run(vec![version]).unwrap();
}

#[test]
fn two_streams_cannot_have_one_table() {
    let home = Home::new();
    let other = schema_of("b", json!({"streams": {"b": {"table": "a"}}}));
    let error = Run::new(&home, 0).run(vec![schema(&upserted("a")), schema(&other)]).unwrap_err();
    let expected =
        "table `a`: the streams `a` and `b` both want it; give one another `table` in `streams`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_new_schema_adds_its_columns_and_the_old_rows_have_none() {
    let home = Home::new();
    let narrow = plan("a", &json!({"id": {"type": "integer"}}), &["id"], json!({}));
    let wide = upserted("a");
    Run::new(&home, 0)
        .run(vec![schema(&narrow), rows(&narrow, &[1]), schema(&wide), rows(&wide, &[2])])
        .unwrap();
    assert_eq!(home.ids("a"), [1, 2]);
    let (_, definition) = home.lake().definition("a").unwrap().unwrap();
    let names: Vec<_> = definition.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "t"]);
}

#[test]
fn rows_before_their_schema_break_an_invariant_and_are_not_lost_in_silence() {
    let home = Home::new();
    let error = Run::new(&home, 0).run(vec![rows(&upserted("a"), &[1])]).unwrap_err();
    assert!(error.to_string().contains("the rows of stream `a` have a table"), "{error}");
}

#[test]
fn more_rows_than_fit_into_memory_go_to_temporary_files_and_none_is_lost() {
    let (home, plan) = (Home::new(), schema_of("a", json!({})));
    let options = lake::Options {
        memory: 256 * 1024,
        temp_dir: home.folder.path().to_owned(),
        ..lake::Options::default()
    };
    let location = Location::Folder(home.folder.path().join("lake"));
    let lake = Arc::new(Lake::open(&location, &options).unwrap());
    let log = Arc::default();
    let recorder = Recorder {
        lake: Arc::clone(&lake),
        table: "none",
        waiting: Vec::new(),
        log: Arc::clone(&log),
        full: false,
        fails: false,
        refuses: false,
    };
    let config = config(json!({"commit_interval_seconds": 3600}));
    let mut run = Run { engine: Engine::new(&config, lake, Box::new(recorder), None), log };
    let mut items = vec![schema(&plan)];
    for first in (0..40_000).step_by(4000) {
        items.push(rows(&plan, &(first..first + 4000).collect::<Vec<_>>()));
    }
    run.run(items).unwrap();
    assert_eq!(home.ids("a"), (0..40_000).collect::<Vec<_>>());
    let summary = serde_json::to_value(run.engine.summary()).unwrap();
    assert!(summary["spills"].as_u64().unwrap() > 0, "{summary}");
}

#[test]
fn rows_and_rejected_records_are_counted_for_the_states() {
    let (home, plan) = (Home::new(), upserted("a"));
    let mut run = Run::new(&home, 3600);
    let mut decoded = decode(&plan, &[1, 2]);
    decoded.rows[0].rejected = 5;
    run.run(vec![schema(&plan), Item::Rows(decoded)]).unwrap();
    assert_eq!(run.log.lock().unwrap().counts, [("a".to_owned(), 2, 5)]);
}

/// A stream whose source says when it has ended, with a generation.
fn said(stream: &str, generation: i64) -> Arc<Plan> {
    let schema = json!({"properties": {"id": {"type": "integer"}}});
    let described = Described {
        name: stream,
        schema: &schema,
        keys: &[],
        cursor: None,
        source: stream,
        source_schema: &schema,
        derived: None,
        refresh: Some(Refresh {
            generation: Some(generation),
            minimum: Some(generation),
            overwrite: false,
        }),
        conventions: conventions(),
    };
    Arc::new(described.plan(&config(json!({})).stream(stream), 77).unwrap())
}

fn ended(stream: &str, complete: bool) -> Item {
    Item::Ended { stream: stream.to_owned(), complete }
}

fn run_said(home: &Home, plans: &[Arc<Plan>], items: Vec<Item>) -> (Result<()>, Vec<String>) {
    let Run { engine, log } = Run::new(home, 0);
    let mut run = Run { engine: engine.for_streams(plans).unwrap(), log };
    (run.run(items), run.acknowledged())
}

#[test]
fn a_generation_replaces_the_one_before_once_the_source_says_that_it_is_complete() {
    let home = Home::new();
    let first = said("a", 1);
    let items = vec![rows(&first, &[1, 2]), state_of("one", Some("a")), ended("a", true)];
    let (outcome, states) = run_said(&home, &[first], items);
    outcome.unwrap();
    assert_eq!((home.ids("a"), states), (vec![1, 2], vec![r#""one""#.to_owned()]));

    let second = said("a", 2);
    let items = vec![rows(&second, &[3]), state_of("two", Some("a")), ended("a", false)];
    let (outcome, states) = run_said(&home, &[Arc::clone(&second)], items);
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("did not say that these streams are complete: `a`;"), "{error}");
    assert_eq!(states, [r#""two""#], "the rows wait in the lake");
    assert_eq!(home.ids("a"), [1, 2], "readers see the old generation");

    let items = vec![rows(&second, &[4]), state_of("three", Some("a")), ended("a", true)];
    let (outcome, _) = run_said(&home, &[second], items);
    outcome.unwrap();
    assert_eq!(home.ids("a"), [3, 4]);
}

#[test]
fn of_a_stream_that_did_not_end_only_what_a_state_covers_is_stored() {
    let home = Home::new();
    let (left, right) = (said("a", 1), said("b", 1));
    let items = vec![
        rows(&left, &[1]),
        rows(&right, &[5]),
        state_of("right", Some("b")),
        rows(&right, &[6]),
        ended("a", true),
    ];
    let (outcome, states) = run_said(&home, &[left, Arc::clone(&right)], items);
    let error = outcome.unwrap_err();
    assert_eq!(error.exit(), Exit::Failure);
    assert!(error.to_string().contains("`b`") && !error.to_string().contains("`a`"), "{error}");
    assert_eq!(states, [r#""right""#]);
    assert_eq!(home.ids("a"), [1]);
    // The next run goes on behind the state.
    let items = vec![rows(&right, &[7]), ended("b", true)];
    run_said(&home, &[right], items).0.unwrap();
    assert_eq!(home.ids("b"), [5, 7]);
}

#[test]
fn the_last_word_on_the_end_of_a_stream_counts() {
    let (home, plan) = (Home::new(), said("a", 1));
    let items = vec![rows(&plan, &[1]), ended("a", false), ended("a", true)];
    run_said(&home, &[plan], items).0.unwrap();
    let (home, plan) = (Home::new(), said("a", 1));
    let items = vec![rows(&plan, &[1]), ended("a", true), ended("a", false)];
    assert!(run_said(&home, &[plan], items).0.is_err());
}

#[test]
fn a_word_of_the_end_where_none_is_waited_for_breaks_an_invariant() {
    let home = Home::new();
    assert!(Run::new(&home, 0).run(vec![ended("a", true)]).is_err());
}

/// A run on a store in memory, of this view.
fn run_on(view: &Arc<MemoryStore>, name: &str, at_once: usize, items: Vec<Item>) {
    let options = lake::Options { at_once, ..lake::Options::default() };
    let store = Arc::<MemoryStore>::clone(view);
    let lake = Arc::new(Lake::with_store(store, name.into(), &options).unwrap());
    Run::on(lake, 0, |_| {}).run(items).unwrap();
}

/// Where in the calls of a view a key was first called so.
fn first(view: &MemoryStore, kind: CallKind, key: &str) -> usize {
    let calls = view.calls();
    calls.iter().position(|call| call.kind == kind && call.key.starts_with(key)).unwrap()
}

#[test]
fn tables_whose_schemas_have_come_are_looked_up_together_and_each_schema_has_its_effect_in_its_turn()
 {
    for (at_once, together) in [(4, true), (1, false)] {
        let plans = ["a", "b", "c"].map(appended);
        let view = Arc::new(MemoryStore::new());
        let parts = plans.iter().zip([1, 2, 3]);
        let items = parts.flat_map(|(plan, id)| [schema(plan), rows(plan, &[id]), state("s")]);
        run_on(&view, "one", at_once, items.collect());
        let shown = first(&view, CallKind::Finish, "a/");
        let looked_up = first(&view, CallKind::Get, "_lake/tables/c.json");
        assert_eq!(looked_up < shown, together, "{at_once}");
        assert!(first(&view, CallKind::Finish, "c/") > shown);
    }
}

#[test]
fn a_table_costs_few_calls_of_the_store() {
    const TABLES: usize = 10;
    let store = MemoryStore::new();
    let names: Vec<String> = (0..TABLES).map(|number| format!("t{number}")).collect();
    let cost = |name: &str, method: &str, ids: &[i64]| {
        let view = Arc::new(store.reopen());
        let settings = || json!({"load_method": method});
        let plans: Vec<_> =
            names.iter().map(|name| schema_of(&format!("{name}_{method}"), settings())).collect();
        let items = plans
            .iter()
            .map(schema)
            .chain(plans.iter().filter(|_| !ids.is_empty()).map(|plan| rows(plan, ids)));
        run_on(&view, name, 4, items.chain([state(name)]).collect());
        // What a run costs beside its tables: the notes of its predecessors, and its own.
        let calls = view.calls();
        // And what its sink looks at.
        let of_run = |call: &&Call| {
            call.key.starts_with("_lake/commits/") || call.key == "_lake/tables/a.json"
        };
        let count = |kind| {
            let of_kind = calls.iter().filter(|call| call.kind == kind && !of_run(call));
            of_kind.count()
        };
        let kinds =
            [CallKind::Head, CallKind::Get, CallKind::Fetch, CallKind::Finish, CallKind::List];
        kinds.map(|kind| {
            assert_eq!(count(kind) % TABLES, 0, "each table costs the same");
            count(kind) / TABLES
        })
    };
    let figures = |method: &str| {
        [("one", &[1, 2][..]), ("two", &[2, 3]), ("none", &[])]
            .map(|(run, ids)| cost(&format!("{run}-{method}"), method, ids))
    };
    // HEAD, GET of the definition, GET of the object, PUT, LIST.
    assert_eq!(figures("append"), [[2, 1, 0, 2, 1], [2, 1, 0, 1, 0], [0, 1, 0, 0, 0]]);
    assert_eq!(figures("upsert"), [[3, 1, 0, 2, 1], [3, 1, 1, 1, 0], [0, 1, 0, 0, 0]]);
    assert_eq!(figures("overwrite"), [[1, 1, 0, 2, 2], [2, 1, 0, 1, 1], [0, 1, 0, 0, 0]]);
}
