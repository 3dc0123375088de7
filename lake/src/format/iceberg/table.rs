//! A table as its snapshots have it: which files it holds, and where they are in the store.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use apache_avro::types::Value;

use super::avro;
use super::manifest::{DELETED, Entry, Row};
use super::metadata::{Metadata, Snapshot};
use super::places::{Places, is_elsewhere, plain, plain_root};
use super::pointer::{Current, Pointer};
use super::schema;
use super::spec::Plan;
use super::value::Single;
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::store::{Object, Store, address};
use crate::table::definition::Definition;

/// Bytes of manifests that are kept: those of some hundred thousand files.
const KEPT_BYTES: usize = 16 << 20;

/// An Iceberg table of a lake.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) store: Arc<dyn Store>,
    /// Where the files are that metadata names.
    places: Arc<Places>,
    pub(super) pointer: Arc<dyn Pointer>,
    pub(super) name: String,
    /// The run, by which the names of new files begin.
    pub(super) run: String,
    /// What the names of its notes begin with.
    namespace: &'static str,
    /// Calls of the store that are under way at once.
    at_once: usize,
    /// Manifests that were read: a file of this name never changes.
    manifests: Mutex<HashMap<String, Arc<[u8]>>>,
    /// What names the table, once it was seen.
    uuid: Mutex<Option<String>>,
    /// What the keys of its new files begin with, once it was seen.
    root: Mutex<Option<String>>,
}

/// A file that a snapshot holds.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// As the metadata has it: by this text it is named wherever it is named.
    pub(crate) path: String,
    /// Its key in the store.
    pub(crate) key: String,
    /// In bytes.
    pub(crate) size: u64,
    /// The values of its partition, by its own spec.
    pub(crate) partition: Vec<Single>,
    /// The spec by which it was written.
    pub(crate) spec: i64,
}

impl Table {
    /// A table of a store whose pointer is kept there.
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        places: &Arc<Places>,
        pointer: Arc<dyn Pointer>,
        name: &str,
        run: &str,
        namespace: &'static str,
        at_once: usize,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            places: Arc::clone(places),
            pointer,
            name: name.to_owned(),
            run: run.to_owned(),
            namespace,
            at_once,
            manifests: Mutex::default(),
            uuid: Mutex::default(),
            root: Mutex::default(),
        }
    }

    /// What the lake calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The table as its catalog has it now, which must be the one that was seen before.
    pub(crate) fn load(&self) -> Result<Option<Current>> {
        let found = self.pointer.load()?;
        let uuid = found.as_ref().map(|found| found.metadata.uuid().to_owned());
        let mut known = self.uuid.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some() && *known != uuid {
            let reason = "it was dropped or made anew while this run was at work; run again";
            return Err(self.fault(reason.into()));
        }
        *known = uuid;
        if let Some(found) = &found {
            let root = self.key(found.metadata.location().trim_end_matches('/'))?;
            *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(root);
        }
        Ok(found)
    }

    /// Brings to its end what a run that died has left of its commit.
    pub(crate) fn mend(&self, current: &Current) -> Result<()> {
        self.pointer.mend(current)
    }

    /// What the keys of its new files begin with, without a slash behind it: where the catalog has the table. One whose
    /// catalog says where it lies is made now if it is not there, because there is no other way to know.
    pub(crate) fn root(&self, definition: &Definition) -> Result<String> {
        if let Some(root) = self.root_if_known() {
            return Ok(root);
        }
        if self.pointer.location().is_some() {
            return Ok(self.name.clone());
        }
        let columns = schema::numbered(None, &definition.columns);
        self.make(&columns, &Plan::of(definition)?)?;
        self.root_if_known()
            .ok_or_else(|| self.fault("it was made in the catalog, which does not have it".into()))
    }

    /// What the keys of its files begin with, once it was loaded.
    pub(super) fn root_if_known(&self) -> Option<String> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether its catalog says where it lies when it is made.
    pub(crate) fn is_placed_by_catalog(&self) -> bool {
        self.pointer.location().is_none()
    }

    /// The key of what metadata calls by a path.
    pub(super) fn key(&self, path: &str) -> Result<String> {
        self.places.key(path).ok_or_else(|| {
            let root = plain_root(&*self.store);
            self.fault(format!(
                "its metadata names {path}, which is not below {root}; move it back, or set `destination` to where the table lies"
            ))
        })
    }

    /// What metadata calls the object of a key. Where the table lies elsewhere, its files begin with its location, as
    /// its catalog writes that.
    pub(super) fn path(&self, key: &str, location: &str) -> String {
        match key.strip_prefix(plain(location).trim_end_matches('/')) {
            Some(rest) if is_elsewhere(key) => format!("{}{rest}", location.trim_end_matches('/')),
            Some(_) | None => address(&*self.store, key),
        }
    }

    /// Reads what metadata calls by a path.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>> {
        match self.store.get(&self.key(path)?)? {
            Some((_, bytes)) => Ok(bytes),
            None => Err(Error::store(
                "read",
                path,
                format!("the metadata of table `{}` names it, and it is gone", self.name),
            )),
        }
    }

    /// The manifests of a snapshot, as its list has them.
    pub(super) fn list(&self, snapshot: Snapshot<'_>) -> Result<Vec<Value>> {
        let path = snapshot.manifest_list();
        avro::read(&self.read(path)?, path)?.collect()
    }

    /// A manifest as it lies in the store. Those that were read are kept until they are forgotten, as far as there is
    /// room.
    pub(super) fn manifest(&self, path: &str) -> Result<Arc<[u8]>> {
        let lock = || self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(path) {
            return Ok(Arc::clone(known));
        }
        let read: Arc<[u8]> = self.read(path)?.into();
        let mut known = lock();
        if known.values().map(|manifest| manifest.len()).sum::<usize>() < KEPT_BYTES {
            known.insert(path.to_owned(), Arc::clone(&read));
        }
        Ok(read)
    }

    /// The tag of the snapshot with the newest state.
    pub(super) fn tag(&self) -> String {
        format!("{}-state", self.namespace)
    }

    /// Calls of the store that are under way at once.
    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Forgets the manifests that were read.
    pub(crate) fn forget(&self) {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The files of the current snapshot in partitions with one of these values, or in all of them. Of another
    /// spec than the default one all are given.
    ///
    /// # Errors
    ///
    /// [`Error::Table`] where some rows of these are deleted by files of others: rewriting what is left would
    /// bring them back.
    pub(crate) fn live(
        &self,
        metadata: &Metadata,
        partitions: Option<&[Vec<Single>]>,
    ) -> Result<Vec<Live>> {
        let Some(current) = metadata.current() else { return Ok(Vec::new()) };
        let default = metadata.default_spec_id();
        let is_touched = |row: Row<'_>| {
            row.spec() != default
                || partitions.is_none_or(|partitions| {
                    partitions.iter().any(|partition| row.may_hold(partition))
                })
        };
        let rows = self.list(current)?;
        let touched: Vec<Row<'_>> =
            rows.iter().map(Row).filter(|row| row.live() > 0 && is_touched(*row)).collect();
        if touched.iter().any(|row| row.is_of_deletes()) {
            return Err(self.fault(
                "rows of it are deleted by delete files of another writer (merge-on-read), which this program does \
                 not apply; have that writer write them out first (Spark: `CALL system.rewrite_data_files` with the \
                 options `delete-file-threshold` 1, `remove-dangling-deletes` true and \
                 `use-starting-sequence-number` false), and set `write.delete.mode`, `write.update.mode` and \
                 `write.merge.mode` to `copy-on-write`"
                    .into(),
            ));
        }
        let wanted: Option<HashSet<&Vec<Single>>> =
            partitions.map(|wanted| wanted.iter().collect());
        let read = |row: Row<'_>| -> Result<Vec<Live>> {
            let (bytes, mut live) = (self.manifest(row.path())?, Vec::new());
            for record in avro::read(&bytes, row.path())? {
                let record = record?;
                let entry = Entry(&record);
                if entry.status() == DELETED {
                    continue;
                }
                let partition = entry.partition();
                let is_wanted = row.spec() != default
                    || wanted.as_ref().is_none_or(|wanted| wanted.contains(&partition));
                if is_wanted {
                    live.push(Live {
                        path: entry.path().to_owned(),
                        key: self.key(entry.path())?,
                        size: u64::try_from(entry.size()).unwrap_or(0),
                        partition,
                        spec: row.spec(),
                    });
                }
            }
            Ok(live)
        };
        let mut live = Vec::new();
        at_once(self.at_once, touched, read, |read| {
            live.append(&mut read?);
            Ok(())
        })?;
        live.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(live)
    }

    /// The keys of the files that a snapshot has brought, whether they are still the table's or were replaced since.
    pub(crate) fn added(&self, snapshot: Snapshot<'_>) -> Result<Vec<String>> {
        let mut added = Vec::new();
        for row in self.list(snapshot)?.iter().map(Row) {
            if row.snapshot() != snapshot.id() || row.is_of_deletes() {
                continue;
            }
            let bytes = self.manifest(row.path())?;
            for record in avro::read(&bytes, row.path())? {
                let record = record?;
                let entry = Entry(&record);
                let brought = entry.snapshot().unwrap_or(row.snapshot());
                if entry.status() != DELETED && brought == snapshot.id() {
                    added.push(self.key(entry.path())?);
                }
            }
        }
        Ok(added)
    }

    /// Whether it was there when it was last looked for.
    pub(crate) fn is_made(&self) -> bool {
        self.uuid.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The files of the current snapshot as objects of the store.
    pub(crate) fn objects(&self) -> Result<Vec<Object>> {
        let Some(found) = self.load()? else { return Ok(Vec::new()) };
        let live = self.live(&found.metadata, None)?.into_iter();
        let object = |file: Live| -> Result<Object> {
            let found = self.store.head(&file.key)?;
            found.ok_or_else(|| {
                let reason =
                    format!("the snapshot of table `{}` names it, and it is gone", self.name);
                Error::store("read", file.path, reason)
            })
        };
        live.map(object).collect()
    }

    /// Something of the table that stands against it.
    pub(super) fn fault(&self, reason: String) -> Error {
        Error::Table { table: self.name.clone(), reason }
    }
}
