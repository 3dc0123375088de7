//! Tables whose pointers are in the Glue Data Catalog, as Iceberg's own library and Athena keep them there
//! (<https://github.com/apache/iceberg/blob/main/aws/src/main/java/org/apache/iceberg/aws/glue/GlueTableOperations.java>).
//!
//! A commit is a new metadata file, and then one request that names it in the place of the one before, while the
//! table is still of the version that was read. A request may be done and yet answered by an error, also by a
//! conflict with itself: the SDK sends it again when an answer is lost. So after a refusal the table is looked at,
//! and the new file goes only when the table has moved on without it.

mod columns;
mod entry;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_glue::types::Table;
use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::lineage;
use super::metadata::Metadata;
use super::places::Places;
use super::pointer::{Current, Pointer, Pointers, Swap};
use crate::aws::Aws;
use crate::catalog::api::TableApi;
use crate::catalog::glue::Glue;
use crate::catalog::options::Options;
use crate::catalog::rejection::{Reason, Rejection};
use crate::error::{Error, Result};
use crate::store::{Condition, Store, address};

/// The largest metadata file that the catalog's own services read, in bytes
/// (<https://docs.aws.amazon.com/glue/latest/dg/limitation-glue-iceberg-rest-api.html>).
const LARGEST: usize = 20 * 1024 * 1024;

/// Pauses before a table that somebody is changing is asked for again.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_factor(2.0)
    .with_max_times(6)
    .with_jitter();

/// What is asked of Glue.
trait Api: TableApi + Send + Sync + std::fmt::Debug {}

impl<T: TableApi + Send + Sync + std::fmt::Debug> Api for T {}

/// The tables of one database, of a lake on S3. Nothing is asked of Glue yet.
pub(super) fn tables(
    store: &Arc<dyn Store>,
    places: &Arc<Places>,
    aws: &Aws,
    options: &Options,
) -> Result<Arc<dyn Pointers>> {
    let root = address(&**store, "");
    if !root.starts_with("s3://") {
        return Err(Error::Option {
            name: "catalog.type",
            reason: format!(
                "Glue knows tables on S3 only, and the lake is the folder {root}; set `destination` to \
                 s3://bucket/prefix, or `catalog.type` to `none` for tables that are their own catalogs"
            ),
        });
    }
    let glue = Arc::new(Glue::open(options, aws)?);
    Ok(Arc::new(Tables {
        glue,
        store: Arc::clone(store),
        places: Arc::clone(places),
        options: options.clone(),
        pauses: PAUSES,
    }))
}

/// The tables of one database.
#[derive(Debug)]
struct Tables {
    glue: Arc<dyn Api>,
    store: Arc<dyn Store>,
    places: Arc<Places>,
    options: Options,
    pauses: ExponentialBuilder,
}

impl Pointers for Tables {
    fn of(&self, table: &str) -> Arc<dyn Pointer> {
        Arc::new(Entry {
            glue: Arc::clone(&self.glue),
            places: Arc::clone(&self.places),
            // Glue and Athena know no others.
            name: self.options.table_name(table).to_lowercase(),
            location: address(&*self.store, table),
            has_warned: AtomicBool::new(false),
            pauses: self.pauses,
        })
    }
}

/// One of them.
#[derive(Debug)]
struct Entry {
    glue: Arc<dyn Api>,
    places: Arc<Places>,
    /// Its name in Glue.
    name: String,
    /// Where it is to lie.
    location: String,
    has_warned: AtomicBool,
    pauses: ExponentialBuilder,
}

impl Entry {
    fn arn(&self) -> String {
        self.glue.table_arn(&self.name, None)
    }

    /// The table of Glue; nothing where there is none. One that is none of Iceberg's is refused.
    fn found(&self) -> Result<Option<Table>> {
        let found = self.glue.table(&self.name).map_err(|rejection| rejection.of_commit("read"))?;
        if let Some(found) = &found
            && let Some(other) = entry::other_kind(found)
        {
            return Err(Error::Table {
                table: self.name.clone(),
                reason: format!(
                    "in Glue, {} is {other}, and only a table of Iceberg can be committed to; set \
                     `catalog.table_prefix` or `catalog.database` so that the two have different names, or \
                     delete that entry of the catalog (its files stay)",
                    self.arn()
                ),
            });
        }
        Ok(found)
    }

    /// The metadata that the table names.
    fn current(&self, found: &Table) -> Result<Current> {
        let Some(file) = entry::metadata_file(found) else {
            return Err(Error::store(
                "read",
                self.arn(),
                "it is a table of Iceberg that names no metadata file (`metadata_location`)",
            ));
        };
        let (store, key) = self.places.find(file)?;
        let Some((_, bytes)) = store.get(&key)? else {
            let reason = format!("{} names it as its metadata, and it is not there", self.arn());
            return Err(Error::store("read", file, reason));
        };
        let metadata = Metadata::parse(&bytes, file)?;
        self.warn_of_another_place(&metadata);
        // The name of the file is enough: a swap looks at the table again.
        Ok(Current { file: file.to_owned(), metadata, version: String::new() })
    }

    fn gone(&self) -> Error {
        let reason = format!("{} has gone from Glue since it was read", self.arn());
        Error::Table { table: self.name.clone(), reason }
    }

    /// A table that lies elsewhere is still the table: another tool has made or moved it.
    fn warn_of_another_place(&self, metadata: &Metadata) {
        let location = metadata.location().trim_end_matches('/');
        if location != self.location && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                table = self.name,
                location,
                expected = self.location,
                "{}: Glue has it at {location}, not at {}; it is read and written there",
                self.name,
                self.location
            );
        }
    }

    /// Writes metadata as a file that nothing names yet.
    fn write(&self, base: Option<&Current>, next: &Metadata) -> Result<String> {
        let bytes = next.bytes()?;
        if bytes.len() > LARGEST {
            tracing::warn!(
                table = self.name,
                bytes = bytes.len(),
                "{}: its metadata is larger than the 20 MB that Glue's own services read; let `maintain` expire \
                 snapshots",
                self.name
            );
        }
        let file = entry::next_file(base.map(|base| base.file.as_str()), next);
        let (store, key) = self.places.find(&file)?;
        store.put(&key, &bytes, Condition::Absent)?;
        Ok(file)
    }

    /// Puts a metadata file in the place of the one of the table that was found.
    fn put(
        &self,
        found: Option<&Table>,
        file: &str,
        base: Option<&Current>,
        next: &Metadata,
    ) -> Result<Swap> {
        let mut pauses = self.pauses.build();
        loop {
            let outcome = match found {
                None => self.create(next, file),
                Some(found) => self.update(found, next, file),
            };
            let Err(rejection) = outcome else {
                let (file, metadata) = (file.to_owned(), next.clone());
                return Ok(Swap::Done(Current { file, metadata, version: String::new() }));
            };
            if !matches!(rejection.reason, Reason::Exists | Reason::Modified) {
                return Err(rejection.of_commit("commit"));
            }
            if let Some(swap) = self.look(found, file, base, next)? {
                return Ok(swap);
            }
            // Somebody is at it, who may be an earlier try of this request: it is too soon to say who wins.
            match pauses.next() {
                Some(pause) => std::thread::sleep(pause),
                None => return Err(rejection.of_commit("commit")),
            }
        }
    }

    /// What became of metadata whose request was refused because of another writer, who may have been an earlier
    /// try of the same request. It has lost for certain once the table has moved on without it, and then its file
    /// goes. Nothing where the table has not moved.
    fn look(
        &self,
        before: Option<&Table>,
        file: &str,
        base: Option<&Current>,
        next: &Metadata,
    ) -> Result<Option<Swap>> {
        let Some(found) = self.found()? else {
            return before.map_or(Ok(None), |_| Err(self.gone()));
        };
        let is_as = |before: &Table| {
            before.version_id == found.version_id
                && entry::metadata_file(before) == entry::metadata_file(&found)
        };
        if before.is_some_and(is_as) {
            return Ok(None);
        }
        let newest = self.current(&found)?;
        if newest.file == file || lineage::holds(&newest.metadata, file, base, next) {
            return Ok(Some(Swap::Done(newest)));
        }
        self.remove(file);
        Ok(Some(Swap::Lost))
    }

    /// Removes a file that nothing names.
    fn remove(&self, file: &str) {
        let removed = self.places.find(file).and_then(|(store, key)| store.delete(&key));
        if let Err(error) = removed {
            tracing::warn!(file, %error, "metadata that lost could not be removed; it is an orphan");
        }
    }

    fn create(&self, next: &Metadata, file: &str) -> Result<(), Rejection> {
        let input = || entry::new_table(&self.name, next, file);
        let unbuilt = |error| Rejection::unbuilt("CreateTable", self.arn(), error);
        match self.glue.create_table(input().map_err(unbuilt)?) {
            Err(rejection) if rejection.reason == Reason::Missing => {
                self.glue.create_database()?;
                self.glue.create_table(input().map_err(unbuilt)?)
            }
            outcome => outcome,
        }
    }

    fn update(&self, found: &Table, next: &Metadata, file: &str) -> Result<(), Rejection> {
        let input = entry::next_table(found, next, file)
            .map_err(|error| Rejection::unbuilt("UpdateTable", self.arn(), error))?;
        self.glue.replace_table(input, found.version_id())
    }
}

impl Pointer for Entry {
    fn load(&self) -> Result<Option<Current>> {
        self.found()?.map(|found| self.current(&found)).transpose()
    }

    fn swap(&self, base: Option<&Current>, next: &Metadata) -> Result<Swap> {
        // The version is that of the request's own look at the table: columns and parameters are kept from it.
        let found = self.found()?;
        match (base, &found) {
            (None, None) => {}
            (Some(base), Some(found)) if entry::metadata_file(found) == Some(&base.file) => {}
            (Some(_), None) => return Err(self.gone()),
            (None | Some(_), Some(_)) => return Ok(Swap::Lost),
        }
        let file = self.write(base, next)?;
        self.put(found.as_ref(), &file, base, next)
    }

    fn location(&self) -> Option<String> {
        Some(self.location.clone())
    }
}
