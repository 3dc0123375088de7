//! What the tests of maintenance share: tables to maintain, and runs that die at any of their changes.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::options::Options;
use crate::store::{Condition, Guard, Object, Store, Upload};
use crate::table::definition::LoadMethod;
use crate::table::spec::Spec;
use crate::testing::{LakeFolder, by_month, rows};
use crate::write::Table;

/// Loads rows into the table `t`, which is split by month, in one run.
pub(super) fn load(lake: &Arc<Lake>, spec: Spec, ids: Range<i64>, name: &str) -> Result<()> {
    let spec = Arc::new(spec);
    let mut table = Table::open(lake, &spec)?;
    table.push(&spec, &rows(ids, name))?;
    table.cover()?;
    table.commit(true).map(drop)
}

pub(super) fn append(lake: &Arc<Lake>, ids: Range<i64>, name: &str) {
    let spec = Spec { load: LoadMethod::Append, keys: Vec::new(), ..by_month() };
    load(lake, spec, ids, name).unwrap();
}

pub(super) fn upsert(lake: &Arc<Lake>, ids: Range<i64>, name: &str) {
    load(lake, by_month(), ids, name).unwrap();
}

/// A lake whose process dies at its n-th change of the store, from 1: neither that change is made nor
/// any after it.
pub(super) fn dying(folder: &LakeFolder, nth: usize) -> Lake {
    let lake = folder.lake();
    let store = Dying { store: Arc::clone(&lake.store), left: Arc::new(AtomicUsize::new(nth)) };
    Lake::with_store(Arc::new(store), lake.run.clone(), &Options::default()).unwrap()
}

#[derive(Debug)]
struct Dying {
    store: Arc<dyn Store>,
    left: Arc<AtomicUsize>,
}

struct DyingUpload {
    upload: Box<dyn Upload>,
    left: Arc<AtomicUsize>,
}

fn change(left: &AtomicUsize) -> Result<()> {
    let before =
        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
    match before {
        Ok(0 | 1) => Err(Error::store("change", "the lake", "the process has died")),
        Ok(_) | Err(_) => Ok(()),
    }
}

impl Write for DyingUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for DyingUpload {
    fn finish(self: Box<Self>) -> Result<Object> {
        change(&self.left)?;
        self.upload.finish()
    }
}

impl Store for Dying {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.store.head(key)
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        self.store.get(key)
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        self.store.fetch(object)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let upload = self.store.create(key, condition)?;
        Ok(Box::new(DyingUpload { upload, left: Arc::clone(&self.left) }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.store.list(prefix)
    }

    fn delete(&self, key: &str) -> Result<()> {
        change(&self.left)?;
        self.store.delete(key)
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        self.store.lock(table)
    }

    fn locate(&self, key: &str) -> String {
        self.store.locate(key)
    }
}
