//! A REST catalog for tests: it keeps the metadata of its tables, and judges requirements under a lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What the server does to the next request that it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It answers a look by a status.
    Before(u16),
    /// It answers a commit by a status, without doing it.
    Commits(u16),
    /// It answers a commit by a status, after it is done.
    AfterCommit(u16),
    /// It does a commit and breaks the connection.
    Silence,
    /// It answers as a web site.
    NoCatalog,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<String, Value>,
    namespaces: Vec<Value>,
    faults: VecDeque<Fault>,
    asked: Vec<String>,
    headers: HeaderMap,
    commits: usize,
    /// What is handed out for a table, and where that is.
    vends: Option<String>,
    /// The token that is taken.
    token: Option<String>,
    /// For what a token is handed out, and for how many seconds.
    credential: Option<(String, u64)>,
    tokens: usize,
    /// How a token is refused.
    refusal: u16,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) uri: String,
    state: Arc<Mutex<State>>,
    _runtime: Runtime,
}

type Reply = (u16, Value);

impl Server {
    pub(super) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { refusal: 401, ..State::default() }));
        let shared = Arc::clone(&state);
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let reply = shared.lock().unwrap().answer(&method, &uri, &headers, &body);
            std::future::ready(response(reply))
        };
        let app = axum::Router::new().fallback(answer);
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { uri, state, _runtime: runtime }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// A header of the last request.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        Some(self.state().headers.get(name)?.to_str().unwrap().to_owned())
    }

    /// Commits that were done.
    pub(super) fn commits(&self) -> usize {
        self.state().commits
    }

    /// Tokens that were handed out.
    pub(super) fn tokens(&self) -> usize {
        self.state().tokens
    }

    /// Tables lie there, and credentials go with them.
    pub(super) fn vend(&self, location: &str) {
        self.state().vends = Some(location.to_owned());
    }

    pub(super) fn accept(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    pub(super) fn hand_out(&self, credential: &str, seconds: u64) {
        self.state().credential = Some((credential.to_owned(), seconds));
    }

    /// The token that was handed out is no longer taken.
    pub(super) fn expire(&self, status: u16) {
        let mut state = self.state();
        state.token = Some("none".into());
        state.refusal = status;
    }

    pub(super) fn drop_tables(&self) {
        self.state().tables.clear();
    }
}

fn response(reply: Option<Reply>) -> Response {
    let Some((status, body)) = reply else {
        // A body that breaks off: the connection ends before the length that was said.
        let mut response = Response::new(axum::body::Body::from("{"));
        response.headers_mut().insert("content-length", 9.into());
        return response;
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn error(status: u16, kind: &str) -> Reply {
    (status, json!({"error": {"message": "scripted", "type": kind, "code": status}}))
}

impl State {
    fn take(&mut self, fits: impl Fn(Fault) -> bool) -> Option<Fault> {
        let at = self.faults.iter().position(|fault| fits(*fault))?;
        self.faults.remove(at)
    }

    fn answer(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Option<Reply> {
        self.asked.push(format!("{method} {uri}"));
        self.headers = headers.clone();
        if self.take(|fault| fault == Fault::NoCatalog).is_some() {
            return Some((200, json!("<html>")));
        }
        let path = uri.path().strip_prefix("/v1/").unwrap();
        if path == "oauth/tokens" {
            return Some(self.hand_out(std::str::from_utf8(body).unwrap()));
        }
        let bearer = headers.get("authorization").map(|value| value.to_str().unwrap());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        if self.token.is_some() && bearer != self.token.as_deref() {
            return Some(error(self.refusal, "NotAuthorizedException"));
        }
        if path == "config" {
            let overrides = json!({"prefix": "ws/one"});
            return Some((200, json!({"defaults": {}, "overrides": overrides})));
        }
        let path: Vec<&str> = path.strip_prefix("ws/one/").unwrap().split('/').collect();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match (method.as_str(), path.as_slice()) {
            ("POST", ["namespaces"]) => {
                if self.namespaces.contains(&body["namespace"]) {
                    return Some(error(409, "AlreadyExistsException"));
                }
                self.namespaces.push(body["namespace"].clone());
                Some((200, body))
            }
            ("POST", ["namespaces", namespace, "tables"]) => Some(self.create(namespace, &body)),
            ("GET", ["namespaces", _, "tables", table]) => {
                if let Some(Fault::Before(status)) =
                    self.take(|fault| matches!(fault, Fault::Before(_)))
                {
                    return Some((status, Value::Null));
                }
                Some(match self.tables.get(*table) {
                    Some(metadata) => (200, self.described(metadata)),
                    None => error(404, "NoSuchTableException"),
                })
            }
            ("POST", ["namespaces", _, "tables", table]) => self.commit(table, &body),
            _ => panic!("{method} {path:?}"),
        }
    }

    fn hand_out(&mut self, form: &str) -> Reply {
        let Some((credential, seconds)) = &self.credential else { panic!("{form}") };
        let (id, secret) = credential.split_once(':').unwrap();
        let expected = format!(
            "grant_type=client%5Fcredentials&client_id={id}&client_secret={}&scope=PRINCIPAL%5FROLE%3AALL",
            secret.replace('&', "%26")
        );
        if form != expected {
            return (401, json!({"error": "invalid_client", "error_description": "unknown"}));
        }
        self.tokens += 1;
        let token = format!("token-{}", self.tokens);
        self.token = Some(token.clone());
        (200, json!({"access_token": token, "token_type": "bearer", "expires_in": seconds}))
    }

    fn described(&self, metadata: &Value) -> Value {
        let mut answer = json!({
            "metadata-location": format!("memory:catalog/{}.json", self.commits),
            "metadata": metadata,
            "config": {},
        });
        if self.vends.is_some() {
            answer["config"] =
                json!({"s3.access-key-id": "lentkey", "s3.secret-access-key": "lentsecret"});
        }
        answer
    }

    fn create(&mut self, namespace: &str, body: &Value) -> Reply {
        let levels: Vec<&str> = namespace.split("%1F").collect();
        if !self.namespaces.contains(&json!(levels)) {
            return error(404, "NoSuchNamespaceException");
        }
        let name = body["name"].as_str().unwrap().to_owned();
        if self.tables.contains_key(&name) {
            return error(409, "AlreadyExistsException");
        }
        let location = self.vends.clone().map_or_else(|| body["location"].clone(), Value::from);
        let mut properties = body["properties"].clone();
        assert_eq!(properties.as_object_mut().unwrap().remove("format-version"), Some("2".into()));
        let metadata = json!({
            "format-version": 2,
            "table-uuid": format!("uuid-{name}"),
            "location": location,
            "schemas": [body["schema"]],
            "current-schema-id": 0,
            "last-column-id": 1,
            "partition-specs": [body["partition-spec"]],
            "default-spec-id": 0,
            "sort-orders": [body["write-order"]],
            "default-sort-order-id": 0,
            "properties": properties,
            "snapshots": [],
            "refs": {},
        });
        self.tables.insert(name, metadata.clone());
        (200, self.described(&metadata))
    }

    fn commit(&mut self, table: &str, body: &Value) -> Option<Reply> {
        if let Some(Fault::Commits(status)) = self.take(|fault| matches!(fault, Fault::Commits(_)))
        {
            return Some(error(status, "Scripted"));
        }
        let Some(mut metadata) = self.tables.get(table).cloned() else {
            return Some(error(404, "NoSuchTableException"));
        };
        if !list(&body["requirements"]).iter().all(|needed| holds(&metadata, needed)) {
            return Some(error(409, "CommitFailedException"));
        }
        for update in list(&body["updates"]) {
            apply(&mut metadata, update);
        }
        self.tables.insert(table.to_owned(), metadata.clone());
        self.commits += 1;
        let after = |fault| matches!(fault, Fault::AfterCommit(_) | Fault::Silence);
        match self.take(after) {
            Some(Fault::Silence) => None,
            Some(Fault::AfterCommit(204)) => Some((204, Value::Null)),
            Some(Fault::AfterCommit(status)) => Some(error(status, "Scripted")),
            _ => Some((200, self.described(&metadata))),
        }
    }
}

fn list(json: &Value) -> &Vec<Value> {
    json.as_array().unwrap()
}

fn holds(metadata: &Value, needed: &Value) -> bool {
    match needed["type"].as_str().unwrap() {
        "assert-table-uuid" => metadata["table-uuid"] == needed["uuid"],
        "assert-ref-snapshot-id" => {
            let name = needed["ref"].as_str().unwrap();
            metadata["refs"][name]["snapshot-id"] == needed["snapshot-id"]
        }
        other => panic!("{other}"),
    }
}

fn apply(metadata: &mut Value, update: &Value) {
    match update["action"].as_str().unwrap() {
        "add-snapshot" => {
            metadata["snapshots"].as_array_mut().unwrap().push(update["snapshot"].clone());
        }
        "set-snapshot-ref" => {
            let name = update["ref-name"].as_str().unwrap();
            let id = &update["snapshot-id"];
            metadata["refs"][name] = json!({"snapshot-id": id, "type": update["type"]});
            if name == "main" {
                metadata["current-snapshot-id"] = id.clone();
            }
        }
        other => panic!("{other}"),
    }
}
