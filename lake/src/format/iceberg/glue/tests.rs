//! Commits through a Glue that keeps versions, refuses stale ones, and loses answers.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::*;
use crate::catalog::fake::FakeGlue;
use crate::catalog::options::Method;
use crate::store::MemoryStore;

/// A lake with a Glue, as its writers see it.
struct Setup {
    glue: FakeGlue,
    store: Arc<MemoryStore>,
}

fn options() -> Options {
    Options {
        method: Method::Registration,
        database: "d".into(),
        table_prefix: Some("P_".into()),
        catalog_id: None,
        region: Some("eu-west-1".into()),
        endpoint_url: None,
    }
}

impl Setup {
    fn new() -> Self {
        let setup = Self { glue: FakeGlue::default(), store: Arc::default() };
        setup.glue.state().has_database = true;
        setup
    }

    fn pointer(&self) -> Arc<dyn Pointer> {
        let store: Arc<dyn Store> = Arc::clone(&self.store) as _;
        let places =
            Arc::new(Places::new(&store, &Aws::new(&crate::options::Options::default()), true));
        let pauses = ExponentialBuilder::new().with_min_delay(Duration::ZERO).with_max_times(3);
        Tables { glue: Arc::new(self.glue.clone()), store, places, options: options(), pauses }
            .of("t")
    }

    /// The table with nothing in it.
    fn made(&self) -> Current {
        done(self.pointer().swap(None, &metadata("memory:t")))
    }

    fn commit(&self, base: &Current, snapshot: i64) -> Result<Swap> {
        self.pointer().swap(Some(base), &next(base, snapshot))
    }

    /// The metadata files that are there.
    fn files(&self) -> Vec<String> {
        let objects = self.store.list("t/metadata/").unwrap();
        objects.into_iter().map(|object| format!("memory:{}", object.key)).collect()
    }

    fn table(&self) -> Table {
        self.glue.state().tables["p_t"].clone()
    }

    fn parameters(&self) -> HashMap<String, String> {
        self.table().parameters.unwrap()
    }

    /// Another client changes the table.
    fn change(&self, change: impl FnOnce(&mut Table)) {
        self.glue.state().change_table("p_t", change);
    }
}

fn metadata(location: &str) -> Metadata {
    let field =
        json!({"id": 1, "name": "id", "required": false, "type": "long", "doc": "The key."});
    let schema = json!({"type": "struct", "schema-id": 0, "fields": [field]});
    Metadata::empty(location, &schema, 1, &json!([]), &json!({"comment": "All of them."}))
}

/// A commit on top of what was read.
fn next(base: &Current, snapshot: i64) -> Metadata {
    let mut json = base.metadata.json().clone();
    let push = |json: &mut Value, key: &str, item: Value| {
        json[key].as_array_mut().unwrap().push(item);
    };
    push(&mut json, "snapshots", json!({"snapshot-id": snapshot}));
    push(&mut json, "metadata-log", json!({"metadata-file": base.file}));
    json["current-snapshot-id"] = snapshot.into();
    Metadata::new(json, "o").unwrap()
}

fn done(swap: Result<Swap>) -> Current {
    match swap.unwrap() {
        Swap::Done(current) => current,
        Swap::Lost => panic!("lost"),
    }
}

fn is_lost(swap: Result<Swap>) -> bool {
    matches!(swap.unwrap(), Swap::Lost)
}

fn told(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[test]
fn a_table_is_made_as_engines_look_for_it_and_read_back() {
    let setup = Setup::new();
    let pointer = setup.pointer();
    assert!(pointer.load().unwrap().is_none());
    let made = setup.made();
    assert!(made.file.starts_with("memory:t/metadata/00000-"), "{}", made.file);
    let parameters = setup.parameters();
    assert_eq!(parameters["table_type"], "ICEBERG");
    assert_eq!(parameters["metadata_location"], made.file);
    let table = setup.table();
    assert_eq!(table.table_type(), Some("EXTERNAL_TABLE"));
    assert_eq!(table.description(), Some("All of them."));
    let descriptor = table.storage_descriptor().unwrap();
    assert_eq!(descriptor.location(), Some("memory:t"));
    assert_eq!(descriptor.columns()[0].comment(), Some("The key."));
    let loaded = pointer.load().unwrap().unwrap();
    assert_eq!((loaded.file, loaded.metadata), (made.file, made.metadata));
}

#[test]
fn the_database_is_made_with_its_first_table() {
    let setup = Setup::new();
    setup.glue.state().has_database = false;
    setup.made();
    assert!(setup.glue.state().has_database);
}

#[test]
fn of_two_that_commit_on_the_same_table_one_wins_and_nothing_of_the_other_stays() {
    let setup = Setup::new();
    let base = setup.made();
    let won = done(setup.commit(&base, 1));
    assert!(won.file.contains("/00001-"), "{}", won.file);
    assert!(is_lost(setup.commit(&base, 2)));
    assert_eq!(setup.parameters()["previous_metadata_location"], base.file);
    assert_eq!(setup.files(), [base.file, won.file]);
}

#[test]
fn whoever_is_faster_between_the_look_and_the_request_wins() {
    let setup = Setup::new();
    let base = setup.made();
    // Another writer's request arrives first: the version that was read is stale.
    setup.glue.interfere("UpdateTable", 1, |state| {
        state.change_table("p_t", |table| table.owner = Some("faster".into()));
    });
    assert!(is_lost(setup.commit(&base, 1)));
    assert_eq!(setup.files(), std::slice::from_ref(&base.file));
    assert_eq!(setup.glue.count("UpdateTable"), 1);
    done(setup.commit(&base, 2));
}

#[test]
fn two_threads_at_once_lose_nothing() {
    let setup = Setup::new();
    setup.made();
    std::thread::scope(|scope| {
        for from in [10, 20] {
            let setup = &setup;
            scope.spawn(move || {
                for id in from..from + 10 {
                    loop {
                        let base = setup.pointer().load().unwrap().unwrap();
                        if !is_lost(setup.commit(&base, id)) {
                            break;
                        }
                    }
                }
            });
        }
    });
    let newest = setup.pointer().load().unwrap().unwrap();
    assert_eq!(newest.metadata.snapshots().count(), 20);
    // What lost has gone: the first, and one for each commit.
    assert_eq!(setup.files().len(), 21);
}

#[test]
fn two_that_make_the_table_at_once_make_it_once() {
    let setup = Setup::new();
    let made = setup.made();
    assert!(is_lost(setup.pointer().swap(None, &metadata("memory:t"))));
    assert_eq!(setup.files(), [made.file]);
    // The other is faster between the look and the request.
    let setup = Setup::new();
    let store = Arc::clone(&setup.store);
    setup.glue.interfere("CreateTable", 1, move |state| {
        let other = metadata("memory:t");
        let key = "t/metadata/00000-x.metadata.json";
        store.put(key, &other.bytes().unwrap(), Condition::Absent).unwrap();
        state.put_table(entry::new_table("p_t", &other, &format!("memory:{key}")).unwrap());
    });
    assert!(is_lost(setup.pointer().swap(None, &metadata("memory:t"))));
    assert_eq!(setup.files(), ["memory:t/metadata/00000-x.metadata.json"]);
}

#[test]
fn a_refusal_while_the_table_has_not_moved_says_nothing_and_is_asked_again() {
    // Somebody is at it, who may be an earlier try of the same request.
    let setup = Setup::new();
    let base = setup.made();
    setup.glue.reject("UpdateTable", 1, "ConcurrentModificationException");
    assert_eq!(done(setup.commit(&base, 1)).file, setup.parameters()["metadata_location"]);
    let base = setup.pointer().load().unwrap().unwrap();
    for nth in 3..20 {
        setup.glue.reject("UpdateTable", nth, "ConcurrentModificationException");
    }
    setup.commit(&base, 2).unwrap_err();
    assert_eq!(setup.files().len(), 3, "what may yet be done stays");
}

#[test]
fn a_request_that_met_its_own_first_try_is_done() {
    for code in ["ConcurrentModificationException", "VersionMismatchException"] {
        let setup = Setup::new();
        let base = setup.made();
        setup.glue.answer_done("UpdateTable", 1, code);
        let current = done(setup.commit(&base, 1));
        assert_eq!(current.file, setup.parameters()["metadata_location"]);
        assert_eq!(setup.files().len(), 2);
    }
    let setup = Setup::new();
    setup.glue.answer_done("CreateTable", 1, "AlreadyExistsException");
    let made = setup.made();
    assert_eq!(setup.files(), [made.file]);
}

#[test]
fn a_commit_that_others_have_built_upon_is_done_although_it_was_refused() {
    let setup = Setup::new();
    let base = setup.made();
    let mine = next(&base, 1);
    setup.glue.answer_done("UpdateTable", 1, "ConcurrentModificationException");
    // Another commit comes on top of it before it is looked for.
    let (store, expected) = (Arc::clone(&setup.store), mine.clone());
    setup.glue.interfere("GetTable", setup.glue.count("GetTable") + 2, move |state| {
        let file = state.tables["p_t"].parameters.as_ref().unwrap()["metadata_location"].clone();
        let there = Current { file, metadata: expected, version: String::new() };
        let bytes = next(&there, 2).bytes().unwrap();
        store.put("t/metadata/00002-x.metadata.json", &bytes, Condition::Absent).unwrap();
        state.change_table("p_t", |table| {
            let newest = "memory:t/metadata/00002-x.metadata.json";
            let parameters = table.parameters.as_mut().unwrap();
            parameters.insert("metadata_location".into(), newest.into());
        });
    });
    let current = done(setup.pointer().swap(Some(&base), &mine));
    assert!(current.file.ends_with("00002-x.metadata.json"), "{}", current.file);
    assert_eq!(setup.files().len(), 3);
    done(setup.commit(&current, 3));
}

#[test]
fn what_is_not_known_is_an_error_and_no_file_goes() {
    for code in ["InternalServiceException", "OperationTimeoutException", "ExpiredTokenException"] {
        let setup = Setup::new();
        let base = setup.made();
        setup.glue.answer_done("UpdateTable", 1, code);
        let error = setup.commit(&base, 1).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Storage, "{}", told(&error));
        // It was done, which whoever looks finds.
        let newest = setup.pointer().load().unwrap().unwrap();
        assert_eq!(newest.metadata.current().unwrap().id(), 1);
        assert_eq!(setup.files().len(), 2);
    }
}

#[test]
fn a_look_that_fails_after_a_refusal_leaves_the_file() {
    let setup = Setup::new();
    let base = setup.made();
    setup.glue.answer_done("UpdateTable", 1, "ConcurrentModificationException");
    let look = setup.glue.count("GetTable") + 2;
    setup.glue.reject("GetTable", look, "InternalServiceException");
    setup.commit(&base, 1).unwrap_err();
    assert_eq!(setup.pointer().load().unwrap().unwrap().metadata.current().unwrap().id(), 1);
}

#[test]
fn a_right_that_is_missing_is_told_by_name() {
    let setup = Setup::new();
    let base = setup.made();
    setup.glue.deny("UpdateTable");
    let text = told(&setup.commit(&base, 1).unwrap_err());
    assert!(text.contains("the credentials need glue:UpdateTable"), "{text}");
}

#[test]
fn what_others_have_put_into_the_catalog_stays() {
    let setup = Setup::new();
    let base = setup.made();
    setup.change(|table| {
        table.description = Some("Theirs.".into());
        table.parameters.as_mut().unwrap().insert("theirs".into(), "kept".into());
        let descriptor = table.storage_descriptor.as_mut().unwrap();
        descriptor.columns.as_mut().unwrap()[0].comment = Some("Their words.".into());
    });
    done(setup.commit(&base, 1));
    let table = setup.table();
    assert_eq!(table.description(), Some("Theirs."));
    assert_eq!(setup.parameters()["theirs"], "kept");
    let descriptor = table.storage_descriptor().unwrap();
    assert_eq!(descriptor.columns()[0].comment(), Some("Their words."));
}

#[test]
fn a_plain_table_of_that_name_is_refused_and_stays_as_it_is() {
    let setup = Setup::new();
    setup.made();
    setup.change(|table| {
        table.parameters = Some([("classification".to_owned(), "parquet".to_owned())].into());
    });
    let before = setup.table();
    let text = setup.pointer().load().unwrap_err().to_string();
    assert!(text.contains("a plain table at memory:t") && text.contains("table_prefix"), "{text}");
    assert!(setup.pointer().swap(None, &metadata("memory:t")).is_err());
    assert_eq!(setup.table(), before);
}

#[test]
fn a_table_that_another_tool_has_moved_is_committed_to_where_it_is() {
    let setup = Setup::new();
    setup.made();
    let moved = metadata("memory:elsewhere/t").bytes().unwrap();
    let key = "elsewhere/t/metadata/00007-x.metadata.json";
    setup.store.put(key, &moved, Condition::Absent).unwrap();
    setup.change(|table| {
        let parameters = table.parameters.as_mut().unwrap();
        parameters.insert("metadata_location".into(), format!("memory:{key}"));
    });
    let base = setup.pointer().load().unwrap().unwrap();
    let current = done(setup.commit(&base, 1));
    assert!(current.file.starts_with("memory:elsewhere/t/metadata/00008-"), "{}", current.file);
}

#[test]
fn metadata_that_is_gone_and_a_table_that_is_gone_are_told_by_name() {
    let setup = Setup::new();
    let base = setup.made();
    setup.store.delete(base.file.strip_prefix("memory:").unwrap()).unwrap();
    let text = told(&setup.pointer().load().unwrap_err());
    assert!(text.contains(&base.file) && text.contains("it is not there"), "{text}");
    setup.glue.state().tables.clear();
    let error = setup.commit(&base, 1).unwrap_err();
    assert!(error.to_string().contains("has gone from Glue"), "{error}");
    assert!(setup.files().is_empty());
}

#[test]
fn a_lake_in_a_folder_has_no_tables_in_glue() {
    let folder = crate::testing::LakeFolder::new();
    let lake = folder.lake();
    let places = Arc::new(Places::new(&lake.store, lake.aws(), true));
    let error = tables(&lake.store, &places, lake.aws(), &options()).unwrap_err();
    assert!(error.to_string().contains("`catalog.type`"), "{error}");
}
