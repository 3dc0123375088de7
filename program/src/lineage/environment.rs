//! What the environment asks for, as the Python client has it
//! (<https://openlineage.io/docs/client/python/configuration>), and dbt's integration for what is above a run.

use std::path::PathBuf;

use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

/// Where a client sends to where nothing else is said.
const ENDPOINT: &str = "api/v1/lineage";

/// Whom events are for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// A server, and the key for it.
    Server(Url, Option<String>),
    /// A file, to which events are appended.
    File(PathBuf),
    /// A file for each event, whose names begin so.
    Files(PathBuf),
}

/// The variables, as a function, for tests.
pub(super) struct Environment<F>(pub(super) F);

impl Environment<fn(&str) -> Option<String>> {
    /// That of the process.
    pub(super) fn of_process() -> Self {
        Self(|name| std::env::var(name).ok())
    }
}

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    /// A variable. An empty one is as good as none.
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn transport(&self, name: &str) -> Option<String> {
        self.get(&format!("OPENLINEAGE__TRANSPORT__{name}"))
    }

    fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// Whom events are for, if for anybody.
    pub(super) fn receiver(&self) -> Result<Option<Receiver>, String> {
        if self.is("OPENLINEAGE_DISABLED") {
            return Ok(None);
        }
        let url = || self.transport("URL").or_else(|| self.get("OPENLINEAGE_URL"));
        match self.transport("TYPE").as_deref() {
            None => url().map(|url| self.server(&url)).transpose(),
            Some("http" | "async_http") => {
                let url = url().ok_or("OPENLINEAGE__TRANSPORT__URL is missing")?;
                self.server(&url).map(Some)
            }
            Some("file") => {
                let path = self.transport("LOG_FILE_PATH");
                let path = path.ok_or("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH is missing")?;
                let path = PathBuf::from(path.strip_prefix("file://").unwrap_or(&path));
                let appends = self.is("OPENLINEAGE__TRANSPORT__APPEND");
                Ok(Some(if appends { Receiver::File(path) } else { Receiver::Files(path) }))
            }
            Some("noop") => Ok(None),
            Some(other) => Err(format!(
                "OPENLINEAGE__TRANSPORT__TYPE is `{other}`; there are `http` and `file`"
            )),
        }
    }

    fn server(&self, url: &str) -> Result<Receiver, String> {
        let endpoint = self.transport("ENDPOINT").or_else(|| self.get("OPENLINEAGE_ENDPOINT"));
        let endpoint = endpoint.as_deref().unwrap_or(ENDPOINT).trim_start_matches('/');
        let url = Url::parse(&format!("{}/{endpoint}", url.trim_end_matches('/')));
        // What it says may hold the URL, and with it a password.
        match url {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                Ok(Receiver::Server(url, self.key()))
            }
            Ok(_) | Err(_) => Err("OPENLINEAGE_URL is no http(s) URL".to_owned()),
        }
    }

    /// The key of a server: by itself, or in the object that the client has for it.
    fn key(&self) -> Option<String> {
        self.get("OPENLINEAGE_API_KEY").or_else(|| {
            let auth: Value = serde_json::from_str(&self.transport("AUTH")?).ok()?;
            let key = ["apiKey", "apikey", "api_key"].into_iter().find_map(|name| auth.get(name));
            key.and_then(Value::as_str).map(str::to_owned)
        })
    }

    /// The namespace of our jobs.
    pub(super) fn namespace(&self) -> String {
        self.get("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| "default".to_owned())
    }

    /// The name of the job that a program is: one of a pipeline, where that has a name.
    pub(super) fn job(&self, program: &str) -> String {
        match self.get("OPENLINEAGE_JOB_NAME") {
            Some(pipeline) => format!("{pipeline}.{program}"),
            None => program.to_owned(),
        }
    }

    /// The run that has begun this one, as its facet has it, without what every facet has.
    pub(super) fn parent(&self) -> Result<Option<Value>, &'static str> {
        if let Some(text) = self.get("OPENLINEAGE_CONTEXT") {
            let name = "OPENLINEAGE_CONTEXT";
            let context: Value = serde_json::from_str(&text).map_err(|_| name)?;
            let parent = context.get("parent").ok_or(name)?;
            let root = parent.get("root").map(run_of).transpose().map_err(|()| name)?;
            return run_of(parent).map(|own| Some(facet(own, root))).map_err(|()| name);
        }
        let named = |name: &'static str| {
            self.get(name).map(|text| run_of_path(&text).ok_or(name)).transpose()
        };
        let Some(own) = named("OPENLINEAGE_PARENT_ID")? else { return Ok(None) };
        Ok(Some(facet(own, named("OPENLINEAGE_ROOT_PARENT_ID")?)))
    }
}

fn facet(mut own: Value, root: Option<Value>) -> Value {
    let root = root.unwrap_or_else(|| own.clone());
    if let Some(facet) = own.as_object_mut() {
        facet.insert("root".to_owned(), root);
    }
    own
}

/// The ids of a run and its job, without what else is said of them.
fn run_of(of: &Value) -> Result<Value, ()> {
    let text = |path: &str| of.pointer(path).and_then(Value::as_str).ok_or(());
    let (id, namespace, name) = (text("/run/runId")?, text("/job/namespace")?, text("/job/name")?);
    ids(namespace, name, id).ok_or(())
}

/// The same of `namespace/name/id`.
fn run_of_path(path: &str) -> Option<Value> {
    let mut parts = path.split('/');
    let (namespace, name, id) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then(|| ids(namespace, name, id))?
}

fn ids(namespace: &str, name: &str, id: &str) -> Option<Value> {
    let id = Uuid::parse_str(id).ok()?;
    Some(json!({"run": {"runId": id.to_string()}, "job": {"namespace": namespace, "name": name}}))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const ID: &str = "f99310b4-3c3c-1a1a-2b2b-c1b95c24ff11";

    fn of(variables: &[(&str, &str)]) -> Environment<impl Fn(&str) -> Option<String>> {
        let owned = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let variables: HashMap<String, String> = owned.collect();
        Environment(move |name: &str| variables.get(name).cloned())
    }

    fn server(url: &str, key: Option<&str>) -> Receiver {
        Receiver::Server(Url::parse(url).unwrap(), key.map(str::to_owned))
    }

    #[test]
    fn whom_events_are_for_is_said_as_to_other_clients() {
        let url = ("OPENLINEAGE_URL", "http://m:5000/");
        let file = ("OPENLINEAGE__TRANSPORT__TYPE", "file");
        let path = ("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", "/tmp/events");
        for (variables, expected) in [
            (vec![], None),
            (vec![url, ("OPENLINEAGE_DISABLED", "TRUE")], None),
            (vec![url, ("OPENLINEAGE__TRANSPORT__TYPE", "noop")], None),
            (vec![url], Some(server("http://m:5000/api/v1/lineage", None))),
            (
                vec![url, ("OPENLINEAGE_ENDPOINT", "/own"), ("OPENLINEAGE_API_KEY", "k")],
                Some(server("http://m:5000/own", Some("k"))),
            ),
            (
                vec![
                    ("OPENLINEAGE__TRANSPORT__TYPE", "http"),
                    ("OPENLINEAGE__TRANSPORT__URL", "https://m"),
                    ("OPENLINEAGE__TRANSPORT__AUTH", r#"{"type":"api_key","apiKey":"k"}"#),
                ],
                Some(server("https://m/api/v1/lineage", Some("k"))),
            ),
            (vec![file, path], Some(Receiver::Files("/tmp/events".into()))),
            (
                vec![file, path, ("OPENLINEAGE__TRANSPORT__APPEND", "true")],
                Some(Receiver::File("/tmp/events".into())),
            ),
        ] {
            assert_eq!(of(&variables).receiver(), Ok(expected), "{variables:?}");
        }
        for (variables, word) in [
            (vec![("OPENLINEAGE_URL", "user:secret@m")], "OPENLINEAGE_URL"),
            (vec![("OPENLINEAGE__TRANSPORT__TYPE", "kafka")], "kafka"),
            (vec![file], "LOG_FILE_PATH"),
        ] {
            let fault = of(&variables).receiver().unwrap_err();
            assert!(fault.contains(word) && !fault.contains("secret"), "{fault}");
        }
    }

    #[test]
    fn a_job_of_a_pipeline_has_its_name() {
        assert_eq!(
            (of(&[]).namespace(), of(&[]).job("tap")),
            ("default".to_owned(), "tap".to_owned())
        );
        let named = [("OPENLINEAGE_NAMESPACE", "prod"), ("OPENLINEAGE_JOB_NAME", "wistia")];
        assert_eq!(
            (of(&named).namespace(), of(&named).job("tap")),
            ("prod".to_owned(), "wistia.tap".to_owned())
        );
    }

    #[test]
    fn a_parent_is_named_by_a_path_or_by_a_context() {
        let run =
            |name: &str| json!({"run": {"runId": ID}, "job": {"namespace": "n", "name": name}});
        let path = format!("n/dag.task/{ID}");
        let root = format!("n/dag/{ID}");
        let (own, above) =
            (("OPENLINEAGE_PARENT_ID", &*path), ("OPENLINEAGE_ROOT_PARENT_ID", &*root));
        let context = json!({"parent": facet(run("dag.task"), Some(run("dag")))}).to_string();
        let expected = facet(run("dag.task"), Some(run("dag")));
        assert_eq!(of(&[]).parent(), Ok(None));
        assert_eq!(of(&[own, above]).parent(), Ok(Some(expected.clone())));
        let context = ("OPENLINEAGE_CONTEXT", context.as_str());
        assert_eq!(of(&[context, own]).parent(), Ok(Some(expected)));
        let alone = of(&[own]).parent();
        assert_eq!(alone, Ok(Some(facet(run("dag.task"), None))));
        for bad in ["n/name/no-id", "no/id", "n/a/b/f99310b4-3c3c-1a1a-2b2b-c1b95c24ff11"] {
            let parent = of(&[("OPENLINEAGE_PARENT_ID", bad)]).parent();
            assert_eq!(parent, Err("OPENLINEAGE_PARENT_ID"), "{bad}");
        }
    }
}
