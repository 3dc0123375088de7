//! Guards of the protocol that are switched off, so that it is seen that each of them is needed, and that what
//! explores finds out.
//!
//! Each guard is a call of the store, or a condition of one. So it is switched off between a run and its store,
//! and nothing in the code knows of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use lake::store::{Condition, Guard, Object, Stopped, Store, Upload};
use lake::{Error, Result};

use crate::iceberg;

/// A guard that is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weakness {
    /// Conditions of writes below this prefix are ignored.
    Unconditional(&'static str),
    /// Writes of keys with this in them are not done, and nobody learns of it.
    Unwritten(&'static str),
    /// What is below this prefix is not listed.
    Unlisted(&'static str),
    /// What was read or looked up once below this prefix is not read again.
    NotReadAgain(&'static str),
    /// The files of other runs are neither replaced nor kept from appearing.
    ForeignFilesStay,
    /// The state is not kept from moving while it is decided over.
    StateIsNotHeld,
    /// Files become visible after the state was kept.
    StateBeforeFiles,
    /// A write of an Iceberg table's metadata of which nobody knows what became of it is taken for one that was refused:
    /// what it names is taken away.
    UnansweredIsRefused,
    /// The same, and what it names stays: nobody looks whether the snapshot is there before it is made again.
    UnansweredIsDoneAgain,
}

/// A store with a weakness.
#[derive(Debug)]
pub(crate) struct Weakened {
    store: Arc<dyn Store>,
    weakness: Weakness,
    run: String,
    memory: Arc<Memory>,
}

/// What an object was when it was read.
type Got = Option<(Object, Vec<u8>)>;

/// What it keeps of the past.
#[derive(Debug, Default)]
struct Memory {
    got: Mutex<BTreeMap<String, Got>>,
    headed: Mutex<BTreeMap<String, Option<Object>>>,
    waiting: Waiting,
}

/// Files that are about to become visible.
#[derive(Default)]
struct Waiting(Mutex<Vec<Box<dyn Upload>>>);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Waiting")
    }
}

impl Weakened {
    pub(crate) fn new(store: Arc<dyn Store>, weakness: Weakness, run: &str) -> Self {
        Self { store, weakness, run: run.to_owned(), memory: Arc::default() }
    }
}

impl Store for Weakened {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        match self.weakness {
            Weakness::NotReadAgain(prefix) if key.starts_with(prefix) => {
                let mut headed = self.memory.headed.lock().unwrap();
                if let Some(found) = headed.get(key) {
                    return Ok(found.clone());
                }
                let found = self.store.head(key)?;
                headed.insert(key.to_owned(), found.clone());
                Ok(found)
            }
            _ => self.store.head(key),
        }
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        match self.weakness {
            Weakness::NotReadAgain(prefix) if key.starts_with(prefix) => {
                let mut got = self.memory.got.lock().unwrap();
                if let Some(found) = got.get(key) {
                    return Ok(found.clone());
                }
                let found = self.store.get(key)?;
                got.insert(key.to_owned(), found.clone());
                let mut headed = self.memory.headed.lock().unwrap();
                headed.insert(key.to_owned(), found.as_ref().map(|(object, _)| object.clone()));
                Ok(found)
            }
            _ => self.store.get(key),
        }
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        self.store.fetch(object)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let condition = match self.weakness {
            Weakness::Unconditional(prefix) if key.starts_with(prefix) => Condition::Always,
            _ => condition,
        };
        let is_file = key.ends_with(".parquet");
        let way = match self.weakness {
            Weakness::Unwritten(part) if key.contains(part) => Way::Never,
            Weakness::ForeignFilesStay if is_file && !key.contains(&self.run) => Way::Never,
            Weakness::StateIsNotHeld if key.starts_with("state/") => Way::UnlessHeld,
            Weakness::StateBeforeFiles if is_file => Way::Late,
            Weakness::StateBeforeFiles if key.starts_with("state/") => Way::BeforeOthers,
            Weakness::UnansweredIsRefused | Weakness::UnansweredIsDoneAgain
                if key.ends_with(".metadata.json") =>
            {
                Way::Refused
            }
            _ => return self.store.create(key, condition),
        };
        Ok(Box::new(WeakUpload {
            upload: self.store.create(key, condition)?,
            store: Arc::clone(&self.store),
            memory: Arc::clone(&self.memory),
            key: key.to_owned(),
            way,
            last: 0,
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        match self.weakness {
            Weakness::Unlisted(unlisted) if prefix.starts_with(unlisted) => Ok(Vec::new()),
            Weakness::NotReadAgain(read) if prefix.starts_with(read) => {
                let objects = self.store.list(prefix)?;
                let mut headed = self.memory.headed.lock().unwrap();
                for object in &objects {
                    headed.entry(object.key.clone()).or_insert_with(|| Some(object.clone()));
                }
                Ok(objects)
            }
            _ => self.store.list(prefix),
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        match self.weakness {
            Weakness::UnansweredIsDoneAgain if iceberg::is_manifest(key) => Ok(()),
            _ => self.store.delete(key),
        }
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        self.store.lock(table)
    }

    fn locate(&self, key: &str) -> String {
        self.store.locate(key)
    }
}

/// How a write is done that is not done as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Never,
    /// Not if it is there only to hold the state: it ends with a space.
    UnlessHeld,
    /// Once the state was written.
    Late,
    /// With what was to be written before behind it.
    BeforeOthers,
    /// As refused, where there is no answer.
    Refused,
}

struct WeakUpload {
    upload: Box<dyn Upload>,
    store: Arc<dyn Store>,
    memory: Arc<Memory>,
    key: String,
    way: Way,
    last: u8,
}

impl WeakUpload {
    /// As if it had been written.
    fn pretend(&self) -> Result<Object> {
        let nothing = || Object { key: self.key.clone(), size: 0, version: "never".into() };
        Ok(self.store.head(&self.key)?.unwrap_or_else(nothing))
    }
}

impl Write for WeakUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.last = bytes.last().copied().unwrap_or(self.last);
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for WeakUpload {
    fn finish(self: Box<Self>) -> Result<Object> {
        match self.way {
            Way::Never => self.pretend(),
            Way::UnlessHeld if self.last == b' ' => self.pretend(),
            Way::UnlessHeld => self.upload.finish(),
            Way::Refused => {
                let Self { upload, key: object, .. } = *self;
                upload.finish().map_err(|error| match Stopped::of(&error) {
                    Some(Stopped::Unanswered) => Error::Conflict { object },
                    Some(Stopped::Killed) | None => error,
                })
            }
            Way::Late => {
                let object = self.pretend();
                self.memory.waiting.0.lock().unwrap().push(self.upload);
                object
            }
            Way::BeforeOthers => {
                let object = self.upload.finish()?;
                let waiting = std::mem::take(&mut *self.memory.waiting.0.lock().unwrap());
                waiting.into_iter().try_for_each(|upload| upload.finish().map(drop))?;
                Ok(object)
            }
        }
    }
}
