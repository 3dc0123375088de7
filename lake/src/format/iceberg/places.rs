//! Objects by the names that metadata gives them: URLs, or paths.
//!
//! Metadata names its files whole, and so do catalogs. What lies in the lake is read by the lake's store; what
//! another tool has put elsewhere on S3 is read with the same credentials.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::options::s3_address;
use crate::store::{self, Store, address};

/// The lake, and whatever else of S3 its credentials reach.
#[derive(Debug)]
pub(crate) struct Places {
    lake: Arc<dyn Store>,
    aws: Aws,
    /// Buckets that were asked for, by their names.
    buckets: Mutex<BTreeMap<String, Arc<dyn Store>>>,
}

impl Places {
    /// Those of a lake.
    pub(crate) fn new(lake: &Arc<dyn Store>, aws: &Aws) -> Self {
        Self { lake: Arc::clone(lake), aws: aws.clone(), buckets: Mutex::default() }
    }

    /// The store of an object and its key there.
    pub(crate) fn find(&self, name: &str) -> Result<(Arc<dyn Store>, String)> {
        let plain = plain(name);
        if let Some(key) = plain.strip_prefix(plain_root(&*self.lake).as_str()) {
            return Ok((Arc::clone(&self.lake), key.to_owned()));
        }
        match s3_address(&plain) {
            Some((bucket, key)) if !bucket.is_empty() => Ok((self.bucket(bucket)?, key.to_owned())),
            _ => Err(Error::store(
                "find",
                name,
                format!("it is neither in the lake, {}, nor on S3", self.lake.locate("")),
            )),
        }
    }

    /// Whether an object is one of the lake's own, so that its store reads and writes it.
    pub(crate) fn has(&self, name: &str) -> bool {
        plain(name).starts_with(&plain_root(&*self.lake))
    }

    /// A whole bucket.
    fn bucket(&self, name: &str) -> Result<Arc<dyn Store>> {
        // A store is kept whole or not at all, so a panic elsewhere leaves nothing half done.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(Arc::clone(bucket));
        }
        let bucket = store::bucket(&self.aws, name, "", &super::metadata::uuid())?;
        buckets.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }
}

/// Where a store begins.
pub(super) fn plain_root(store: &dyn Store) -> String {
    plain(&address(store, ""))
}

/// A name without what tools write in different ways: Hadoop's schemes of S3 name the same objects as `s3`, and a
/// file has its path with `file:` before it or without.
pub(super) fn plain(name: &str) -> String {
    if let Some((scheme @ ("s3a" | "s3n"), address)) = name.split_once("://") {
        tracing::debug!(name, scheme, "an object is named by a scheme of Hadoop");
        return format!("s3://{address}");
    }
    match name.strip_prefix("file:") {
        Some(path) => format!("/{}", path.trim_start_matches('/')),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::testing::LakeFolder;

    #[test]
    fn a_file_of_the_lake_is_found_however_its_name_is_written() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let places = Places::new(&lake.store, lake.aws());
        let path = lake.store.locate("t/metadata/a.json");
        for name in [path.clone(), format!("file:{path}"), format!("file://{path}")] {
            assert_eq!(places.find(&name).unwrap().1, "t/metadata/a.json", "{name}");
            assert!(places.has(&name));
        }
    }

    #[test]
    fn what_is_neither_in_the_lake_nor_on_s3_is_refused_by_name() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let places = Places::new(&lake.store, &Aws::new(&Options::default()));
        for name in ["/elsewhere/t/a.json", "gs://b/a.json", "s3://"] {
            let error = places.find(name).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert!(!places.has(name));
        }
    }
}
