//! The manifests of a new snapshot: those of new files, copies of those that lose one, and all others as they are.

use std::collections::{HashMap, HashSet};

use apache_avro::Schema;
use apache_avro::types::Value;

use super::avro::{self, set};
use super::avro_schema;
use super::change::Change;
use super::manifest::{self, Counts, DELETED, Entry, Row, Tally};
use super::metadata::{Metadata, Snapshot, uuid};
use super::spec;
use super::table::Table;
use super::value::Single;
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
        let default = self.metadata.default_spec_id();
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
            let may_hold = || {
                own.spec() != default || missing.values().any(|partition| own.may_hold(partition))
            };
            let is_touched =
                !own.is_of_deletes() && (change.removes_all || (!missing.is_empty() && may_hold()));
            if is_touched && self.copy(own, change, &mut missing, &mut written)? {
                written.replaced += 1;
            } else {
                carried.push(own);
            }
        }
        if !missing.is_empty() {
            // Another commit has taken one of them meanwhile.
            let object = missing.into_keys().next().unwrap_or_default();
            return Err(Error::Conflict { object });
        }
        let carried = self.merged(carried, &mut written)?;
        written.kept = i64::try_from(carried.len()).unwrap_or(0);
        written.created = i64::try_from(self.rows.len()).unwrap_or(0);
        written.partitions = i64::try_from(self.partitions.len()).unwrap_or(0);
        let mut rows = std::mem::take(&mut self.rows);
        for row in carried {
            let counted = || Counts::of(avro::read(&self.table.manifest(row.path())?, row.path())?);
            rows.push(manifest::carried(row.0, counted)?);
        }
        let parent = parent.map_or_else(|| "null".into(), |parent| parent.id().to_string());
        let header = [
            ("snapshot-id", self.snapshot.to_string()),
            ("parent-snapshot-id", parent),
            ("sequence-number", self.sequence.to_string()),
            ("format-version", "2".into()),
        ];
        let header = header.map(|(key, value)| (key.to_owned(), value.into_bytes()));
        let bytes = avro::write(&avro_schema::list()?, &header, rows.into_iter().map(Ok))?;
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
            self.partitions.extend(files.iter().map(|file| file.partition.clone()));
            let (table, metadata, snapshot) = (self.table, self.metadata, self.snapshot);
            let entries = files.iter().map(|file| {
                let path = table.path(&file.key, metadata.location());
                Ok(manifest::added(file, &path, snapshot, &forms))
            });
            self.put(&schema, &manifest::header(metadata), spec, entries)?;
        }
        Ok(())
    }

    /// Writes a manifest without the files that go, in the schema and with the header that its writer gave it. Not
    /// where it has none of them: then it stays as it is.
    fn copy(
        &mut self,
        row: Row<'_>,
        change: &Change<'_>,
        missing: &mut HashMap<String, Vec<Single>>,
        written: &mut Written,
    ) -> Result<bool> {
        let bytes = self.table.manifest(row.path())?;
        let read = || avro::read(&bytes, row.path());
        let goes = |entry: Entry<'_>| {
            entry.status() != DELETED
                && (change.removes_all || change.removed.contains_key(entry.path()))
        };
        let is_touched = |entry: Result<Value>| entry.map(|entry| goes(Entry(&entry)));
        if !read()?.map(is_touched).find(|goes| !matches!(goes, Ok(false))).unwrap_or(Ok(false))? {
            return Ok(false);
        }
        let records = read()?;
        let (header, schema) = (records.header.clone(), records.schema.clone());
        let (snapshot, mut partitions) = (self.snapshot, HashSet::new());
        let entries = manifest::kept(records, row).map(|entry| {
            let mut entry = entry?;
            let own = Entry(&entry);
            if goes(own) {
                missing.remove(own.path());
                written.deleted_files += 1;
                written.deleted_rows += own.rows();
                written.deleted_bytes += own.size();
                partitions.insert(own.partition());
                set(&mut entry, "status", Value::Int(2));
                set(&mut entry, "snapshot_id", Value::Long(snapshot));
            }
            Ok(entry)
        });
        self.put(&schema, &header, row.spec(), entries)?;
        self.partitions.extend(partitions);
        Ok(true)
    }

    /// Puts manifests with few files together, where there are many: the smallest, as many as make a whole one. Those
    /// that are left.
    fn merged<'r>(&mut self, carried: Vec<Row<'r>>, written: &mut Written) -> Result<Vec<Row<'r>>> {
        let spec = self.metadata.default_spec_id();
        let whole = i64::try_from(FILES).unwrap_or(i64::MAX);
        let is_small =
            |row: &Row<'_>| !row.is_of_deletes() && row.spec() == spec && row.live() < whole / 2;
        let (mut small, mut left): (Vec<_>, Vec<_>) = carried.into_iter().partition(is_small);
        let forms = manifest::forms(self.metadata, spec);
        let (false, Ok(forms)) = (small.len() < SMALL_MANIFESTS, forms) else {
            left.extend(small);
            return Ok(left);
        };
        let schema = avro_schema::manifest(&forms)?;
        let mut entries: Vec<Value> = Vec::new();
        small.sort_by_key(|row| row.live());
        let mut files = 0;
        for row in small {
            files += row.live();
            if files > whole {
                left.push(row);
                continue;
            }
            let bytes = self.table.manifest(row.path())?;
            let records = avro::read(&bytes, row.path())?;
            if records.schema.canonical_form() != schema.canonical_form() {
                // It has something that ours has not.
                left.push(row);
                continue;
            }
            written.replaced += 1;
            for entry in manifest::kept(records, row) {
                entries.push(entry?);
            }
        }
        entries
            .sort_by_cached_key(|entry| (Entry(entry).partition(), Entry(entry).path().to_owned()));
        if !entries.is_empty() {
            let header = manifest::header(self.metadata);
            self.put(&schema, &header, spec, entries.into_iter().map(Ok))?;
        }
        Ok(left)
    }

    /// Writes a manifest, entry by entry.
    fn put(
        &mut self,
        schema: &Schema,
        header: &[(String, Vec<u8>)],
        spec_id: i64,
        entries: impl IntoIterator<Item = Result<Value>>,
    ) -> Result<()> {
        let fields = spec::forms(self.metadata.spec(spec_id), self.metadata.schema());
        let forms = fields.into_iter().map(|(_, _, form)| form);
        let mut tally = Tally::new(forms, self.sequence);
        let entries =
            entries.into_iter().inspect(|entry| _ = entry.as_ref().map(|entry| tally.count(entry)));
        let bytes = avro::write(schema, header, entries)?;
        let path = self.store(&format!("{}-m{}.avro", self.commit, self.rows.len()), &bytes)?;
        self.rows.push(tally.row(&path, bytes.len(), spec_id, self.snapshot));
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
}
