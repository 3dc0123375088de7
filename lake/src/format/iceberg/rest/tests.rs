//! Commits through a server that really keeps metadata, refuses requirements that do not hold, loses answers, and
//! hands out tokens that expire.

mod server;

use serde_json::{Value, json};

use super::*;
use crate::error::Error;
use crate::format::iceberg::metadata::Metadata;
use crate::format::iceberg::pointer::{Current, Swap};
use crate::options::{Credentials, Options, RestAuth, S3Options, Secret};
use crate::store::MemoryStore;
use server::{Fault, Server};

const QUICK: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(1))
    .with_max_delay(Duration::from_millis(1))
    .with_max_times(3);

fn options(server: &Server) -> RestOptions {
    RestOptions {
        uri: server.uri.clone(),
        warehouse: Some("w h".into()),
        namespace: vec!["lake".into(), "a.b".into()],
        table_prefix: Some("p_".into()),
        server_places: false,
        auth: RestAuth::None,
        headers: Vec::new(),
    }
}

fn pointer_with(options: &RestOptions) -> Arc<dyn Pointer> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let s3 = S3Options {
        region: Some("eu-west-1".into()),
        credentials: Some(Credentials {
            access_key_id: "AKID".into(),
            secret_access_key: "hidden".into(),
            session_token: None,
        }),
        ..S3Options::default()
    };
    let aws = Aws::new(&Options { s3, ..Options::default() });
    let places = Arc::new(Places::new(&store, &aws, true));
    open(&store, &places, &aws, options, QUICK).unwrap().of("t")
}

fn pointer(server: &Server) -> Arc<dyn Pointer> {
    pointer_with(&options(server))
}

fn metadata() -> Metadata {
    let field = json!({"id": 1, "name": "id", "required": false, "type": "long"});
    let schema = json!({"type": "struct", "schema-id": 0, "fields": [field]});
    Metadata::empty("memory:t", &schema, 1, &json!([]), &json!({"owner": "us"}))
}

/// A commit on top of what was read.
fn next(base: &Current, snapshot: i64) -> Metadata {
    let mut json = base.metadata.json().clone();
    json["snapshots"].as_array_mut().unwrap().push(json!({"snapshot-id": snapshot}));
    for (name, kind) in [("main", "branch"), ("singer-state", "tag")] {
        json["refs"][name] = json!({"snapshot-id": snapshot, "type": kind});
    }
    json["current-snapshot-id"] = snapshot.into();
    Metadata::new(json, "o").unwrap()
}

fn done(swap: Result<Swap>) -> Current {
    match swap.unwrap() {
        Swap::Done(current) => current,
        Swap::Lost => panic!("lost"),
    }
}

fn made(server: &Server) -> Current {
    done(pointer(server).swap(None, &metadata()))
}

fn head(current: &Current) -> i64 {
    current.metadata.current().unwrap().id()
}

fn told(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[test]
fn a_table_is_made_with_its_namespace_and_read_back_as_the_server_has_it() {
    let server = Server::start();
    let pointer = pointer(&server);
    assert!(pointer.load().unwrap().is_none());
    let made = done(pointer.swap(None, &metadata()));
    // The server gives it an id of its own, and its fields their numbers.
    assert_ne!(made.metadata.uuid(), metadata().uuid());
    assert_eq!(made.metadata.location(), "memory:t");
    assert_eq!(made.metadata.property("owner"), Some("us"));
    let loaded = pointer.load().unwrap().unwrap();
    assert_eq!((loaded.file, loaded.metadata), (made.file, made.metadata));
    let asked = server.asked();
    assert_eq!(asked[0], "GET /v1/config?warehouse=w%20h");
    assert!(asked.contains(&"POST /v1/ws/one/namespaces".to_owned()), "{asked:?}");
    let table = "GET /v1/ws/one/namespaces/lake%1Fa.b/tables/p_t".to_owned();
    assert!(asked.contains(&table), "{asked:?}");
}

#[test]
fn of_two_that_commit_on_the_same_table_one_wins() {
    let server = Server::start();
    let base = made(&server);
    let won = done(pointer(&server).swap(Some(&base), &next(&base, 1)));
    assert_eq!(head(&won), 1);
    let lost = pointer(&server).swap(Some(&base), &next(&base, 2)).unwrap();
    assert!(matches!(lost, Swap::Lost));
    let newest = pointer(&server).load().unwrap().unwrap();
    assert_eq!(head(&newest), 1);
    assert_eq!(newest.metadata.refs().filter(|(_, id)| *id == 1).count(), 2);
    assert_eq!(head(&done(pointer(&server).swap(Some(&newest), &next(&newest, 3)))), 3);
}

#[test]
fn two_threads_at_once_lose_nothing() {
    let server = Server::start();
    made(&server);
    let wins: Vec<usize> = std::thread::scope(|scope| {
        let writer = |from: i64| {
            let pointer = pointer(&server);
            let mut tries = 0;
            for id in from..from + 5 {
                loop {
                    tries += 1;
                    let base = pointer.load().unwrap().unwrap();
                    if let Swap::Done(_) = pointer.swap(Some(&base), &next(&base, id)).unwrap() {
                        break;
                    }
                }
            }
            tries
        };
        let writers = [10, 20].map(|from| scope.spawn(move || writer(from)));
        writers.map(|writer| writer.join().unwrap()).into()
    });
    let newest = pointer(&server).load().unwrap().unwrap();
    assert_eq!(newest.metadata.snapshots().count(), 10, "{wins:?} tries");
}

#[test]
fn a_server_that_fails_after_the_commit_leaves_open_what_became_of_it() {
    for status in [500, 502, 503, 504] {
        let server = Server::start();
        let base = made(&server);
        server.fail(Fault::AfterCommit(status));
        let error = pointer(&server).swap(Some(&base), &next(&base, 1)).unwrap_err();
        let text = told(&error);
        assert!(text.contains(&status.to_string()) && text.contains("not known"), "{text}");
        assert_eq!(server.commits(), 1, "it is asked once");
        // Whoever looks finds it.
        assert_eq!(head(&pointer(&server).load().unwrap().unwrap()), 1);
    }
}

#[test]
fn an_answer_that_never_comes_leaves_open_what_became_of_it() {
    let server = Server::start();
    let base = made(&server);
    server.fail(Fault::Silence);
    let error = pointer(&server).swap(Some(&base), &next(&base, 1)).unwrap_err();
    assert!(told(&error).contains("does not answer"), "{}", told(&error));
    assert_eq!(head(&pointer(&server).load().unwrap().unwrap()), 1);
}

#[test]
fn a_commit_that_something_between_sent_twice_is_done_although_it_was_refused() {
    let server = Server::start();
    let base = made(&server);
    server.fail(Fault::AfterCommit(409));
    assert_eq!(head(&done(pointer(&server).swap(Some(&base), &next(&base, 1)))), 1);
}

#[test]
fn an_answer_of_success_that_nobody_understands_is_a_success() {
    let server = Server::start();
    let base = made(&server);
    server.fail(Fault::AfterCommit(204));
    assert_eq!(head(&done(pointer(&server).swap(Some(&base), &next(&base, 1)))), 1);
}

#[test]
fn a_look_is_repeated_and_a_commit_only_when_it_was_not_looked_at() {
    let server = Server::start();
    let base = made(&server);
    server.fail(Fault::Before(503));
    server.fail(Fault::Before(429));
    assert!(pointer(&server).load().unwrap().is_some());
    server.fail(Fault::Commits(429));
    done(pointer(&server).swap(Some(&base), &next(&base, 1)));
    for _ in 0..4 {
        server.fail(Fault::Before(503));
    }
    let text = told(&pointer(&server).load().unwrap_err());
    assert!(text.contains("503"), "{text}");
}

#[test]
fn a_refusal_is_told_with_what_to_do() {
    for (status, words) in [
        (400, "knows no such request"),
        (401, "`catalog.rest.token` or `catalog.rest.credential`"),
        (403, "may not do that"),
        (404, "`catalog.rest.namespace`"),
        (419, "asks who it is"),
    ] {
        let server = Server::start();
        let base = made(&server);
        server.fail(Fault::Commits(status));
        let error = pointer(&server).swap(Some(&base), &next(&base, 1)).unwrap_err();
        let text = told(&error);
        assert!(text.contains(&status.to_string()) && text.contains(words), "{text}");
        assert!(text.contains("lake.a.b.p_t of http://"), "{text}");
        assert_eq!(server.commits(), 0);
    }
}

#[test]
fn what_is_no_catalog_is_no_catalog_without_the_table() {
    let server = Server::start();
    server.fail(Fault::NoCatalog);
    let text = told(&pointer(&server).load().unwrap_err());
    assert!(text.contains("`catalog.rest.uri`"), "{text}");
    let nowhere = RestOptions { uri: "http://127.0.0.1:9/".into(), ..options(&server) };
    let text = told(&pointer_with(&nowhere).load().unwrap_err());
    assert!(text.contains("http://127.0.0.1:9 does not answer"), "{text}");
}

#[test]
fn a_table_outside_of_the_lake_is_refused_where_the_lake_says_where_tables_lie() {
    let server = Server::start();
    server.vend("s3://theirs/t");
    let text = pointer(&server).swap(None, &metadata()).unwrap_err().to_string();
    assert!(text.contains("s3://theirs/t, for which it hands out credentials"), "{text}");
    assert!(text.contains("`catalog.rest.location` to `catalog`"), "{text}");
    assert_eq!(server.header("x-iceberg-access-delegation"), None);
}

#[test]
fn where_the_catalog_says_where_tables_lie_credentials_are_asked_for_and_never_told() {
    let server = Server::start();
    server.vend("s3://theirs/t");
    let options = RestOptions { server_places: true, ..options(&server) };
    let pointer = pointer_with(&options);
    assert_eq!(pointer.location(), None);
    done(pointer.swap(None, &metadata()));
    assert_eq!(server.header("x-iceberg-access-delegation").as_deref(), Some("vended-credentials"));
    let shown = format!("{pointer:?}");
    assert!(shown.contains("s3://theirs/t"));
    assert!(!shown.contains("lentsecret") && !shown.contains("lentkey"));
}

#[test]
fn a_table_that_its_catalog_puts_where_nothing_is_written_to_is_refused() {
    let server = Server::start();
    server.vend("gs://theirs/t");
    let options = RestOptions { server_places: true, ..options(&server) };
    let text = pointer_with(&options).swap(None, &metadata()).unwrap_err().to_string();
    assert!(text.contains("gs://theirs/t") && text.contains("writes to S3"), "{text}");
}

#[test]
fn a_token_goes_with_each_request_and_is_never_told() {
    let server = Server::start();
    server.accept("good");
    let with = |token: &str| RestOptions {
        auth: RestAuth::Token(Secret::new(token)),
        headers: vec![("X-Realm".into(), Secret::new("r"))],
        ..options(&server)
    };
    assert!(pointer_with(&with("good")).load().unwrap().is_none());
    assert_eq!(server.header("x-realm").as_deref(), Some("r"));
    let pointer = pointer_with(&with("bad"));
    let text = told(&pointer.load().unwrap_err());
    assert!(text.contains("401") && text.contains("`catalog.rest.token`"), "{text}");
    assert!(!text.contains("bad") && !format!("{pointer:?}").contains("bad"), "{text}");
}

fn oauth(server: &Server, credential: &str) -> RestOptions {
    let credential = Secret::new(credential);
    let auth = RestAuth::OAuth2 { credential, server: None, scope: "PRINCIPAL_ROLE:ALL".into() };
    RestOptions { auth, ..options(server) }
}

#[test]
fn a_token_is_fetched_once_and_anew_when_its_time_is_over() {
    let server = Server::start();
    server.hand_out("id:s&cret", 3600);
    let pointer = pointer_with(&oauth(&server, "id:s&cret"));
    pointer.load().unwrap();
    pointer.load().unwrap();
    assert_eq!(server.tokens(), 1);
    server.hand_out("id:s&cret", 0);
    let pointer = pointer_with(&oauth(&server, "id:s&cret"));
    pointer.load().unwrap();
    pointer.load().unwrap();
    assert!(server.tokens() >= 3);
}

#[test]
fn a_token_that_expires_in_the_middle_is_fetched_anew_also_for_a_commit() {
    for status in [401, 419] {
        let server = Server::start();
        server.hand_out("id:secret", 3600);
        let pointer = pointer_with(&oauth(&server, "id:secret"));
        let base = done(pointer.swap(None, &metadata()));
        server.expire(status);
        assert_eq!(head(&done(pointer.swap(Some(&base), &next(&base, 1)))), 1);
        assert_eq!((server.tokens(), server.commits()), (2, 1));
    }
}

#[test]
fn credentials_that_are_wrong_are_told_without_them() {
    let server = Server::start();
    server.hand_out("id:secret", 3600);
    let text = told(&pointer_with(&oauth(&server, "id:hidden")).load().unwrap_err());
    assert!(
        text.contains("invalid_client") && text.contains("`catalog.rest.credential`"),
        "{text}"
    );
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn requests_are_signed_for_the_service_that_is_named() {
    let server = Server::start();
    let auth = RestAuth::SigV4 { service: "s3tables".into(), region: None };
    pointer_with(&RestOptions { auth, ..options(&server) }).load().unwrap();
    let header = server.header("authorization").unwrap();
    assert!(header.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{header}");
    assert!(header.contains("/eu-west-1/s3tables/aws4_request"), "{header}");
    let host = header.split("SignedHeaders=").nth(1).unwrap();
    assert!(host.contains("host") && host.contains("x-amz-content-sha256"), "{header}");
}

#[test]
fn a_table_that_has_something_from_the_beginning_is_made_and_committed_to() {
    let server = Server::start();
    let empty = Current { file: String::new(), metadata: metadata(), version: String::new() };
    assert_eq!(head(&done(pointer(&server).swap(None, &next(&empty, 5)))), 5);
}

#[test]
fn a_commit_that_changes_nothing_asks_for_nothing() {
    let server = Server::start();
    let base = made(&server);
    let same = done(pointer(&server).swap(Some(&base), &base.metadata));
    assert_eq!((same.file, server.commits()), (base.file, 0));
}

#[test]
fn a_table_that_has_gone_is_told_by_name() {
    let server = Server::start();
    let base = made(&server);
    server.drop_tables();
    assert!(pointer(&server).load().unwrap().is_none());
    let error = pointer(&server).swap(Some(&base), &next(&base, 1)).unwrap_err();
    assert!(told(&error).contains("NoSuchTableException"), "{}", told(&error));
}

/// What is told of a change of metadata.
fn changes(change: impl FnOnce(&mut Value)) -> Result<Vec<Value>> {
    let mut json = metadata().json().clone();
    json["snapshots"] = json!([{"snapshot-id": 1}, {"snapshot-id": 2}]);
    json["refs"] = json!({"main": {"snapshot-id": 2, "type": "branch"}, "t": {"snapshot-id": 1, "type": "tag"}});
    json["statistics"] = json!([{"snapshot-id": 1}]);
    let mut next = json.clone();
    change(&mut next);
    updates::updates(&json, &next)
}

#[test]
fn each_change_has_its_update() {
    let schema = json!({"type": "struct", "schema-id": 1, "fields": []});
    let spec = json!({"spec-id": 1, "fields": []});
    let found = changes(|next| {
        next["schemas"].as_array_mut().unwrap().push(schema.clone());
        next["current-schema-id"] = 1.into();
        next["last-column-id"] = 9.into();
        next["partition-specs"].as_array_mut().unwrap().push(spec.clone());
        next["default-spec-id"] = 1.into();
        next["properties"] = json!({"new": "1"});
        next["snapshots"] = json!([{"snapshot-id": 2}, {"snapshot-id": 3}]);
        next["refs"] = json!({"main": {"snapshot-id": 3, "type": "branch", "max-ref-age-ms": 7}});
        next["statistics"] = json!([]);
    });
    assert_eq!(
        found.unwrap(),
        [
            json!({"action": "add-schema", "schema": schema, "last-column-id": 9}),
            json!({"action": "set-current-schema", "schema-id": -1}),
            json!({"action": "add-spec", "spec": spec}),
            json!({"action": "set-default-spec", "spec-id": -1}),
            json!({"action": "set-properties", "updates": {"new": "1"}}),
            json!({"action": "remove-properties", "removals": ["owner"]}),
            json!({"action": "add-snapshot", "snapshot": {"snapshot-id": 3}}),
            json!({"action": "set-snapshot-ref", "ref-name": "main", "snapshot-id": 3, "type": "branch", "max-ref-age-ms": 7}),
            json!({"action": "remove-snapshot-ref", "ref-name": "t"}),
            json!({"action": "remove-statistics", "snapshot-id": 1}),
            json!({"action": "remove-snapshots", "snapshot-ids": [1]}),
        ]
    );
}

#[test]
fn what_the_server_keeps_by_itself_is_no_change() {
    let found = changes(|next| {
        next["last-updated-ms"] = 5.into();
        next["last-sequence-number"] = 5.into();
        next["metadata-log"] = json!([{"metadata-file": "a"}]);
        next["snapshot-log"] = json!([{"snapshot-id": 2}]);
    });
    assert_eq!(found.unwrap(), Vec::<Value>::new());
}

#[test]
fn a_change_that_no_update_can_say_is_an_error() {
    for (key, value) in [
        ("x-theirs", json!(1)),
        ("schemas", json!([])),
        ("snapshots", json!([{"snapshot-id": 1, "summary": {}}, {"snapshot-id": 2}])),
        ("statistics", json!([{"snapshot-id": 1}, {"snapshot-id": 2}])),
    ] {
        let error = changes(|next| next[key] = value).unwrap_err();
        assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
    }
}

#[test]
fn what_moves_must_still_be_where_it_was() {
    let base = json!({"table-uuid": "u", "refs": {"t": {"snapshot-id": 1}}, "current-schema-id": 0, "last-column-id": 4});
    let mut next = base.clone();
    next["refs"] =
        json!({"main": {"snapshot-id": 2}, "t": {"snapshot-id": 2}, "new": {"snapshot-id": 2}});
    next["current-schema-id"] = 1.into();
    let still = |name: &str, id: Value| json!({"type": "assert-ref-snapshot-id", "ref": name, "snapshot-id": id});
    assert_eq!(
        updates::requirements(&base, &next),
        [
            json!({"type": "assert-table-uuid", "uuid": "u"}),
            still("new", Value::Null),
            still("t", 1.into()),
            still("main", Value::Null),
            json!({"type": "assert-current-schema-id", "current-schema-id": 0}),
            json!({"type": "assert-last-assigned-field-id", "last-assigned-field-id": 4}),
        ]
    );
}
