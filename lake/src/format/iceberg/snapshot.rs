//! The manifests of a new snapshot: those of new files, copies of those that lose one, and all others as they are.

use std::collections::HashSet;

use apache_avro::Schema;
use apache_avro::types::Value;

use super::avro::{self, set};
use super::avro_schema;
use super::change::Change;
use super::manifest::{self, DELETED, Entry, Row, inherit};
use super::metadata::{Metadata, Snapshot, uuid};
use super::spec;
use super::table::Table;
use super::value::{Form, Single};
use crate::error::{Error, Result};
use crate::store::Condition;

/// Files of a manifest. What a commit costs is how many of these it touches.
const FILES: usize = 1000;

/// Manifests with few files that are put together: as Iceberg's `commit.manifest.min-count-to-merge`.
const SMALL_MANIFESTS: usize = 100;

/// What was written for a snapshot.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Where the list of its manifests is.
    pub(super) list: String,
    pub(super) created: i64,
    pub(super) kept: i64,
    pub(super) replaced: i64,
    pub(super) deleted_files: i64,
    pub(super) deleted_rows: i64,
    pub(super) deleted_bytes: i64,
    /// Partitions of which files came or went.
    pub(super) partitions: i64,
}

/// Writes the manifests of a snapshot.
pub(super) struct Manifests<'a> {
    table: &'a Table,
    metadata: &'a Metadata,
    snapshot: i64,
    sequence: i64,
    /// What the names of its files begin with.
    commit: String,
    /// Keys of what was written.
    made: &'a mut Vec<String>,
    rows: Vec<Value>,
    partitions: HashSet<Vec<Single>>,
}

/// A manifest of the parent, with its entries as the new snapshot has them.
struct Copied {
    header: Vec<(String, Vec<u8>)>,
    schema: Schema,
    spec: i64,
    entries: Vec<Value>,
}

impl<'a> Manifests<'a> {
    pub(super) fn new(
        table: &'a Table,
        metadata: &'a Metadata,
        snapshot: i64,
        sequence: i64,
        made: &'a mut Vec<String>,
    ) -> Self {
        let (rows, partitions) = (Vec::new(), HashSet::new());
        // It begins with when it was written, as the names of data files do.
        let commit = format!("{}-{}", table.run, uuid());
        Self { table, metadata, snapshot, sequence, commit, made, rows, partitions }
    }

    /// Writes all of them and their list.
    pub(super) fn write(
        mut self,
        parent: Option<Snapshot<'_>>,
        change: &Change<'_>,
    ) -> Result<Written> {
        let mut written = Written::default();
        self.add(change)?;
        let list = parent.map(|parent| self.table.list(parent)).transpose()?.unwrap_or_default();
        let mut carried = Vec::new();
        let mut missing = change.removed.clone();
        for row in &list {
            let own = Row(row);
            // What holds no file was of interest to its own snapshot alone.
            if own.live() == 0 {
                continue;
            }
            // Deletes of rows that are all gone delete nothing any more.
            if own.is_of_deletes() && change.removes_all {
                written.replaced += 1;
                continue;
            }
            let is_touched = !own.is_of_deletes() && (change.removes_all || !missing.is_empty());
            match is_touched
                .then(|| self.copied(own, change, &mut missing, &mut written))
                .transpose()?
            {
                Some(Some(copied)) => {
                    written.replaced += 1;
                    self.put(&copied.schema, &copied.header, copied.spec, &copied.entries)?;
                }
                Some(None) | None => carried.push(own),
            }
        }
        if !missing.is_empty() {
            // Another commit has taken one of them meanwhile.
            let object = missing.into_iter().next().unwrap_or_default();
            return Err(Error::Conflict { object });
        }
        let carried = self.merged(carried, &mut written)?;
        written.kept = i64::try_from(carried.len()).unwrap_or(0);
        written.created = i64::try_from(self.rows.len()).unwrap_or(0);
        written.partitions = i64::try_from(self.partitions.len()).unwrap_or(0);
        let mut rows = std::mem::take(&mut self.rows);
        for row in carried {
            rows.push(manifest::carried(row.0, || self.table.manifest(row.path()))?);
        }
        let parent = parent.map_or_else(|| "null".into(), |parent| parent.id().to_string());
        let header = [
            ("snapshot-id", self.snapshot.to_string()),
            ("parent-snapshot-id", parent),
            ("sequence-number", self.sequence.to_string()),
            ("format-version", "2".into()),
        ];
        let header = header.map(|(key, value)| (key.to_owned(), value.into_bytes()));
        let bytes = avro::write(&avro_schema::list()?, &header, &rows)?;
        let name = format!("{}-snap-{}.avro", self.commit, self.snapshot);
        written.list = self.store(&name, &bytes)?;
        Ok(written)
    }

    /// The new files, partition by partition.
    fn add(&mut self, change: &Change<'_>) -> Result<()> {
        if change.added.is_empty() {
            return Ok(());
        }
        let spec = self.metadata.default_spec_id();
        let forms = manifest::forms(self.metadata, spec)?;
        let schema = avro_schema::manifest(&forms)?;
        let mut files: Vec<_> = change.added.iter().collect();
        files.sort_by(|one, other| (&one.partition, &one.key).cmp(&(&other.partition, &other.key)));
        for files in files.chunks(FILES) {
            let entries = files.iter().map(|file| {
                self.partitions.insert(file.partition.clone());
                manifest::added(file, &self.path(&file.key), self.snapshot, &forms)
            });
            let entries: Vec<Value> = entries.collect();
            self.put(&schema, &manifest::header(self.metadata), spec, &entries)?;
        }
        Ok(())
    }

    /// A manifest without the files that go; nothing where it has none of them. Others stay as they are, in
    /// the schema and with the header that their writer gave them.
    fn copied(
        &mut self,
        row: Row<'_>,
        change: &Change<'_>,
        missing: &mut HashSet<String>,
        written: &mut Written,
    ) -> Result<Option<Copied>> {
        let manifest = self.table.manifest(row.path())?;
        let goes = |entry: Entry<'_>| {
            entry.status() != DELETED
                && (change.removes_all || change.removed.contains(entry.path()))
        };
        if !manifest.records.iter().any(|entry| goes(Entry(entry))) {
            return Ok(None);
        }
        let mut entries = Vec::with_capacity(manifest.records.len());
        for record in &manifest.records {
            let entry = Entry(record);
            if entry.status() == DELETED {
                continue;
            }
            let mut copy = record.clone();
            inherit(&mut copy, row.0);
            if goes(entry) {
                missing.remove(entry.path());
                written.deleted_files += 1;
                written.deleted_rows += entry.rows();
                written.deleted_bytes += entry.size();
                self.partitions.insert(entry.partition());
                set(&mut copy, "status", Value::Int(2));
                set(&mut copy, "snapshot_id", Value::Long(self.snapshot));
            } else {
                set(&mut copy, "status", Value::Int(0));
            }
            entries.push(copy);
        }
        let (header, schema) = (manifest.header.clone(), manifest.schema.clone());
        Ok(Some(Copied { header, schema, spec: row.spec(), entries }))
    }

    /// Puts manifests with few files together, where there are many. Those that are left.
    fn merged<'r>(&mut self, carried: Vec<Row<'r>>, written: &mut Written) -> Result<Vec<Row<'r>>> {
        let spec = self.metadata.default_spec_id();
        let half = i64::try_from(FILES / 2).unwrap_or(i64::MAX);
        let is_small =
            |row: &Row<'_>| !row.is_of_deletes() && row.spec() == spec && row.live() < half;
        let (small, mut left): (Vec<_>, Vec<_>) = carried.into_iter().partition(is_small);
        if small.len() < SMALL_MANIFESTS {
            left.extend(small);
            return Ok(left);
        }
        let Ok(forms) = manifest::forms(self.metadata, spec) else {
            left.extend(small);
            return Ok(left);
        };
        let schema = avro_schema::manifest(&forms)?;
        let mut entries: Vec<Value> = Vec::new();
        for row in small {
            let manifest = self.table.manifest(row.path())?;
            if manifest.schema.canonical_form() != schema.canonical_form() {
                // It has something that ours has not.
                left.push(row);
                continue;
            }
            written.replaced += 1;
            for record in &manifest.records {
                if Entry(record).status() == DELETED {
                    continue;
                }
                let mut copy = record.clone();
                inherit(&mut copy, row.0);
                set(&mut copy, "status", Value::Int(0));
                entries.push(copy);
            }
        }
        entries
            .sort_by_cached_key(|entry| (Entry(entry).partition(), Entry(entry).path().to_owned()));
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(FILES));
            self.put(&schema, &manifest::header(self.metadata), spec, &entries)?;
            entries = rest;
        }
        Ok(left)
    }

    /// Writes a manifest.
    fn put(
        &mut self,
        schema: &Schema,
        header: &[(String, Vec<u8>)],
        spec_id: i64,
        entries: &[Value],
    ) -> Result<()> {
        let bytes = avro::write(schema, header, entries)?;
        let path = self.store(&format!("{}-m{}.avro", self.commit, self.rows.len()), &bytes)?;
        let forms: Vec<Option<Form>> =
            spec::forms(self.metadata.spec(spec_id), self.metadata.schema())
                .into_iter()
                .map(|(_, _, form)| form)
                .collect();
        let (snapshot, sequence) = (self.snapshot, self.sequence);
        self.rows.push(manifest::row(
            &path,
            bytes.len(),
            spec_id,
            entries,
            &forms,
            snapshot,
            sequence,
        ));
        Ok(())
    }

    /// Writes an object below the metadata. Its path.
    fn store(&mut self, name: &str, bytes: &[u8]) -> Result<String> {
        let path = format!("{}/metadata/{name}", self.metadata.location().trim_end_matches('/'));
        let key = self.table.key(&path)?;
        self.table.store.put(&key, bytes, Condition::Absent)?;
        self.made.push(key);
        Ok(path)
    }

    /// The path of a key of the table.
    fn path(&self, key: &str) -> String {
        self.table.path(key, self.metadata.location())
    }
}
