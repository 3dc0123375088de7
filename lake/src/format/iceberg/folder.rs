//! The table's own folder as its catalog: `metadata/v<N>.metadata.json`, each made only where it is not yet, and
//! `metadata/version-hint.text` for readers.
//!
//! Writers that make such files under a condition are safe among each other. Spark's Hadoop catalog looks and
//! renames, so it may read these tables and must not write to them
//! (<https://iceberg.apache.org/spec/#file-system-tables>).

use std::sync::Arc;

use super::lineage;
use super::metadata::Metadata;
use super::pointer::{Current, Pointer, Pointers, Swap};
use crate::error::{Error, Result};
use crate::store::{Condition, Object, Store, address};
use crate::write::retry::persist;

/// Tables in their own folders below a destination.
#[derive(Debug)]
pub(crate) struct Folders {
    pub(crate) store: Arc<dyn Store>,
}

impl Pointers for Folders {
    fn of(&self, table: &str) -> Arc<dyn Pointer> {
        Arc::new(Folder { store: Arc::clone(&self.store), table: table.to_owned() })
    }
}

/// One of them.
#[derive(Debug)]
struct Folder {
    store: Arc<dyn Store>,
    table: String,
}

impl Folder {
    fn key(&self, version: u64) -> String {
        format!("{}/metadata/v{version}.metadata.json", self.table)
    }

    fn hint_key(&self) -> String {
        format!("{}/metadata/version-hint.text", self.table)
    }

    /// The hint as it is, and the version that it names.
    fn hint(&self) -> Result<(Option<Object>, Option<u64>)> {
        let (found, text) = self.store.get(&self.hint_key())?.unzip();
        let version = |text: Vec<u8>| String::from_utf8(text).ok()?.trim().parse().ok();
        Ok((found, text.and_then(version)))
    }

    /// Writes the hint to a version in the place of one that was read, unless that names it already, or a newer one. So it
    /// does not go back: neither by who was slower, nor by a request that comes late.
    fn raise_hint(&self, version: u64, hint: (Option<Object>, Option<u64>)) -> Result<()> {
        let mut hint = Some(hint);
        persist(|| {
            let (found, known) = hint.take().map_or_else(|| self.hint(), Ok)?;
            if known.is_some_and(|known| known >= version) {
                return Ok(());
            }
            // PyIceberg and DuckDB take the text as it is, so that it has no newline.
            let text = version.to_string();
            self.store.put(&self.hint_key(), text.as_bytes(), Condition::still(found.as_ref()))?;
            self.drop_checksum()
        })
    }

    /// The newest version by its files, from the hint on: it may be behind, or gone.
    fn newest(&self) -> Result<u64> {
        let mut newest = match self.hint()?.1 {
            Some(hint) if self.store.head(&self.key(hint))?.is_some() => hint,
            Some(_) | None => self.listed()?,
        };
        if newest > 0 {
            while self.store.head(&self.key(newest + 1))?.is_some() {
                newest += 1;
            }
        }
        Ok(newest)
    }

    /// The newest version of those that are listed.
    fn listed(&self) -> Result<u64> {
        let prefix = format!("{}/metadata/v", self.table);
        let listed = self.store.list(&prefix)?;
        let versions = listed.iter().filter_map(|object| {
            object.key.strip_prefix(&prefix)?.strip_suffix(".metadata.json")?.parse().ok()
        });
        Ok(versions.max().unwrap_or(0))
    }

    /// Hadoop's checksum of a hint that Spark wrote would refuse ours. It is looked for, because a removal of what is not
    /// there leaves a mark in a bucket with versions.
    fn drop_checksum(&self) -> Result<()> {
        let checksum = format!("{}/metadata/.version-hint.text.crc", self.table);
        match self.store.head(&checksum)? {
            Some(_) => self.store.delete(&checksum),
            None => Ok(()),
        }
    }

    fn read(&self, version: u64) -> Result<Option<Current>> {
        let key = self.key(version);
        let Some((_, bytes)) = self.store.get(&key)? else { return Ok(None) };
        let file = address(&*self.store, &key);
        let metadata = Metadata::parse(&bytes, &file)?;
        Ok(Some(Current { file, metadata, version: version.to_string() }))
    }
}

impl Pointer for Folder {
    fn load(&self) -> Result<Option<Current>> {
        match self.newest()? {
            0 => Ok(None),
            newest => self.read(newest),
        }
    }

    fn swap(&self, base: Option<&Current>, next: &Metadata) -> Result<Swap> {
        let version = base.map_or(Ok(0), number_of)? + 1;
        let key = self.key(version);
        match self.store.put(&key, &next.bytes()?, Condition::Absent) {
            Ok(_) => {}
            Err(Error::Conflict { .. }) => return Ok(Swap::Lost),
            Err(error) => return Err(error),
        }
        let file = address(&*self.store, &key);
        // Versions that are old enough go, so that a writer who slept may find the name of one free. Or another has gone
        // on from this one already.
        let hint = self.hint()?;
        if hint.1.is_some_and(|hint| hint > version)
            && let Some(newest) = self.load()?
            && !lineage::holds(&newest.metadata, &file, base, next)
        {
            self.store.delete(&key)?;
            return Ok(Swap::Lost);
        }
        // A hint that is behind is no fault: whoever writes looks further, and readers are a commit late.
        if let Err(error) = self.raise_hint(version, hint) {
            tracing::warn!(
                table = self.table,
                %error,
                "{}: the hint to the newest version could not be written; readers find the one before until the next run",
                self.table
            );
        }
        let metadata = next.clone();
        Ok(Swap::Done(Current { file, metadata, version: version.to_string() }))
    }

    /// The hint of a run that died behind its swap is the one before.
    fn mend(&self, current: &Current) -> Result<()> {
        self.raise_hint(number_of(current)?, self.hint()?)
    }

    fn location(&self) -> Option<String> {
        Some(address(&*self.store, &self.table))
    }
}

/// The number of a version.
fn number_of(current: &Current) -> Result<u64> {
    let number = current.version.parse();
    number.map_err(|error| Error::broken("a version is a number", error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::LakeFolder;

    fn metadata(marker: &str) -> Metadata {
        let schema = json!({"type": "struct", "schema-id": 0, "fields": []});
        Metadata::empty("s3://b/t", &schema, 0, &json!([]), &json!({"marker": marker}))
    }

    fn marker(current: &Current) -> &str {
        current.metadata.property("marker").unwrap()
    }

    fn put(folder: &LakeFolder, key: &str, text: &[u8]) {
        folder.lake().store.put(key, text, Condition::Always).unwrap();
    }

    #[test]
    fn of_two_that_make_the_same_version_one_is_told_that_it_lost() {
        let folder = LakeFolder::new();
        let pointer = Folders { store: Arc::clone(&folder.lake().store) }.of("t");
        assert!(pointer.load().unwrap().is_none());
        let Swap::Done(first) = pointer.swap(None, &metadata("a")).unwrap() else { panic!() };
        assert!(matches!(pointer.swap(None, &metadata("b")).unwrap(), Swap::Lost));
        assert!(matches!(pointer.swap(Some(&first), &metadata("c")).unwrap(), Swap::Done(_)));
        assert!(matches!(pointer.swap(Some(&first), &metadata("d")).unwrap(), Swap::Lost));
        assert_eq!(marker(&pointer.load().unwrap().unwrap()), "c");
        let (_, hint) = folder.lake().store.get("t/metadata/version-hint.text").unwrap().unwrap();
        assert_eq!(hint, b"2");
    }

    #[test]
    fn the_newest_is_found_whatever_the_hint_says() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let pointer = Folders { store: Arc::clone(&lake.store) }.of("t");
        let mut base = None;
        for version in ["a", "b", "c"] {
            let Swap::Done(current) = pointer.swap(base.as_ref(), &metadata(version)).unwrap()
            else {
                panic!()
            };
            base = Some(current);
        }
        for hint in ["1", "3\n", "9", "x", ""] {
            put(&folder, "t/metadata/version-hint.text", hint.as_bytes());
            assert_eq!(marker(&pointer.load().unwrap().unwrap()), "c", "{hint:?}");
        }
        lake.store.delete("t/metadata/version-hint.text").unwrap();
        assert_eq!(marker(&pointer.load().unwrap().unwrap()), "c");
        // Earlier versions may have gone, and with them what a writer who slept takes for the next.
        put(&folder, "t/metadata/version-hint.text", b"3");
        lake.store.delete("t/metadata/v1.metadata.json").unwrap();
        assert!(matches!(pointer.swap(None, &metadata("late")).unwrap(), Swap::Lost));
        assert_eq!(marker(&pointer.load().unwrap().unwrap()), "c");
    }
}
