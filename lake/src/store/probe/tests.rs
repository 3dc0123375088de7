use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Way::{InParts, Whole};
use super::What::{CreateIfAbsent, ReplaceIfUnchanged};
use super::*;
use crate::store::MemoryStore;
use crate::store::contract::{Guard, Upload};

/// What a server does with a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Judges,
    Ignores,
    Refuses,
    ComparesUnquoted,
    DoesNotKnow,
    /// Its first answer is an error, whatever the condition.
    FailsOnce,
}

/// A server with manners of its own for each condition and way.
#[derive(Debug)]
struct Server {
    inner: MemoryStore,
    manners: Vec<(What, Way, Manner)>,
    judgement: Judgement,
    failures: AtomicUsize,
    writes: bool,
}

impl Server {
    fn new(manners: &[(What, Way, Manner)]) -> Self {
        Self {
            inner: MemoryStore::new(),
            manners: manners.to_vec(),
            judgement: Judgement::Untried,
            failures: AtomicUsize::default(),
            writes: true,
        }
    }

    fn manner(&self, condition: &Condition, way: Way) -> Manner {
        let what = match condition {
            Condition::Always => return Manner::Judges,
            Condition::Absent => CreateIfAbsent,
            Condition::Unchanged(_) => ReplaceIfUnchanged,
        };
        let found = self.manners.iter().find(|(whose, how, _)| (*whose, *how) == (what, way));
        found.map_or(Manner::Judges, |(_, _, manner)| *manner)
    }

    /// An upload that ends in the server's manner. Its versions stand in quotes, as `ETag`s do.
    fn begin(&self, key: &str, condition: Condition, way: Way) -> Result<Box<dyn Upload>> {
        let manner = self.manner(&condition, way);
        let bare = |version: &str| version.trim_matches('"').to_owned();
        let refusal = || Some(Error::Conflict { object: key.to_owned() });
        let fault = || Some(Error::store("write", key, "NotImplemented: If-Match"));
        let (condition, refusal) = match (condition, manner) {
            (_, Manner::Ignores) => (Condition::Always, None),
            (condition, Manner::Refuses) => (condition, refusal()),
            (condition, Manner::DoesNotKnow) => (condition, fault()),
            (condition, Manner::FailsOnce) => {
                let before = self.failures.fetch_add(1, Ordering::SeqCst);
                (condition, if before == 0 { fault() } else { None })
            }
            (Condition::Unchanged(version), Manner::ComparesUnquoted) => {
                let refusal = if version.starts_with('"') { refusal() } else { None };
                (Condition::Unchanged(version), refusal)
            }
            (condition, Manner::Judges | Manner::ComparesUnquoted) => (condition, None),
        };
        let refusal =
            if self.writes { refusal } else { Some(Error::store("write", key, "denied")) };
        let condition = match condition {
            Condition::Unchanged(version) => Condition::Unchanged(bare(&version)),
            other => other,
        };
        Ok(Box::new(Ending { upload: self.inner.create(key, condition)?, refusal }))
    }
}

struct Ending {
    upload: Box<dyn Upload>,
    refusal: Option<Error>,
}

impl io::Write for Ending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for Ending {
    fn finish(self: Box<Self>) -> Result<Object> {
        match self.refusal {
            Some(error) => Err(error),
            None => self.upload.finish().map(quoted),
        }
    }
}

fn quoted(object: Object) -> Object {
    Object { version: format!("\"{}\"", object.version), ..object }
}

impl Store for Server {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        Ok(self.inner.head(key)?.map(quoted))
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        Ok(self.inner.get(key)?.map(|(object, bytes)| (quoted(object), bytes)))
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        self.inner.fetch(object)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        self.begin(key, condition, Whole)
    }

    fn create_in_parts(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        self.begin(key, condition, InParts)
    }

    fn judgement(&self) -> Judgement {
        self.judgement
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.inner.list(prefix)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.inner.delete(key)
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        self.inner.lock(table)
    }

    fn locate(&self, key: &str) -> String {
        format!("server:{key}")
    }
}

/// What the probe finds, and that nothing of it stays.
fn found(server: &Server) -> Vec<(What, Way, Found)> {
    let findings = probe(server, "run").unwrap();
    assert_eq!(server.list("").unwrap(), []);
    findings.into_iter().map(|f| (f.trial.what, f.trial.way, f.found)).collect()
}

#[test]
fn a_store_that_judges_conditions_passes_and_nothing_stays() {
    assert_eq!(found(&Server::new(&[])), []);
    assert_eq!(probe(&MemoryStore::new(), "run").unwrap(), []);
}

#[test]
fn each_manner_of_a_server_is_told_from_the_others_for_each_condition_and_way() {
    let said = || Found::Unknown("NotImplemented: If-Match".into());
    for Trial { what, way } in TRIALS {
        for (manner, expected) in [
            (Manner::Ignores, Found::Ignored),
            (Manner::Refuses, Found::Refused),
            (Manner::DoesNotKnow, said()),
        ] {
            let server = Server::new(&[(what, way, manner)]);
            assert_eq!(found(&server), [(what, way, expected)], "{manner:?}");
        }
    }
    for way in [Whole, InParts] {
        let server = Server::new(&[(ReplaceIfUnchanged, way, Manner::ComparesUnquoted)]);
        assert_eq!(found(&server), [(ReplaceIfUnchanged, way, Found::Unquoted)]);
    }
}

#[test]
fn all_that_a_server_does_is_found_at_once() {
    let manners = TRIALS.map(|trial| (trial.what, trial.way, Manner::Ignores));
    let ignored = TRIALS.map(|trial| (trial.what, trial.way, Found::Ignored));
    assert_eq!(found(&Server::new(&manners)), ignored);
    // Ceph RGW 16.
    let ceph = [
        (ReplaceIfUnchanged, Whole, Manner::ComparesUnquoted),
        (CreateIfAbsent, InParts, Manner::Ignores),
        (ReplaceIfUnchanged, InParts, Manner::Ignores),
    ];
    assert_eq!(
        text(&probe(&Server::new(&ceph), "run").unwrap()),
        "asked to replace only if unchanged (If-Match), it refuses though that holds, because it compares the \
         ETag without its quotes: no table could be written to again; asked to create only if absent \
         (If-None-Match) at the end of a multipart upload, or to replace only if unchanged (If-Match) at the end \
         of a multipart upload, it overwrites what is there: two runs at once could lose rows"
    );
}

#[test]
fn a_failure_that_does_not_come_again_is_no_finding() {
    for Trial { what, way } in TRIALS {
        assert_eq!(found(&Server::new(&[(what, way, Manner::FailsOnce)])), []);
    }
}

#[test]
fn a_server_that_takes_no_write_at_all_fails_as_it_says_and_nothing_stays() {
    let server = Server { writes: false, ..Server::new(&[]) };
    let error = probe(&server, "run").unwrap_err();
    assert!(matches!(error, Error::Store { action: "write", .. }), "{error}");
    assert_eq!(server.list("").unwrap(), []);
}

#[test]
fn a_server_that_does_not_answer_is_asked_once() {
    let server = Server::new(&[]);
    server.inner.stop_before(1);
    assert!(probe(&server, "run").is_err());
    assert_eq!(server.inner.calls().len(), 1);
}

#[test]
fn only_what_is_not_known_is_tried_before_a_run_and_a_refusal_says_all() {
    let manners = TRIALS.map(|trial| (trial.what, trial.way, Manner::Ignores));
    for (judgement, is_tried) in
        [(Judgement::Known, false), (Judgement::OneWriter, false), (Judgement::Untried, true)]
    {
        let server = Server { judgement, ..Server::new(&manners) };
        let outcome = ensure(&server, "run");
        assert_eq!(server.inner.calls().is_empty(), !is_tried);
        if is_tried {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Setting);
            let text = error.to_string();
            assert!(text.contains("server:: the server does not keep the conditions"), "{text}");
            assert_eq!(text.matches(" only if ").count(), TRIALS.len(), "{text}");
            assert_eq!(text.matches("two runs at once could lose rows").count(), 1, "{text}");
        } else {
            outcome.unwrap();
        }
    }
}
