//! Objects by the names that metadata gives them: URLs, or paths.
//!
//! Metadata names its files whole, and so do catalogs. What lies in the lake has the key that the lake's store gives it;
//! what lies elsewhere on S3, because a catalog has put a table there or another tool has, has its URL for a key:
//!
//! ```text
//! t/data/a.parquet             → the lake
//! s3://theirs/t/data/a.parquet → that bucket, with the credentials that the catalog lends for it, or the lake's own
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::aws::Aws;
use crate::aws::Lent;
use crate::error::{Error, Result};
use crate::options::S3Options;
use crate::options::s3_address;
use crate::store::{self, Condition, Guard, Judgement, Object, Store, Upload, address};

/// The lake, and whatever else of S3 its credentials reach, or those that a catalog lends.
#[derive(Debug)]
pub(crate) struct Places {
    lake: Arc<dyn Store>,
    /// Whether tables may lie elsewhere. Without a catalog a table is what is in its folder.
    is_wide: bool,
    own: Reach,
    /// What catalogs lend, by what the names begin with that it is for.
    lent: Mutex<BTreeMap<String, Arc<Reach>>>,
    /// What those that borrow have their connections of.
    bare: OnceLock<Aws>,
}

/// The buckets that are asked in one way.
#[derive(Debug)]
pub(super) struct Reach {
    aws: Aws,
    /// The credentials, where they are lent.
    pub(super) lent: Option<Arc<Lent>>,
    buckets: Mutex<BTreeMap<String, Arc<dyn Store>>>,
}

impl Reach {
    fn new(aws: Aws) -> Self {
        Self { aws, lent: None, buckets: Mutex::default() }
    }

    /// That of a catalog, which may lend credentials for it.
    #[cfg_attr(not(feature = "s3"), allow(dead_code, reason = "REST catalogs lend"))]
    pub(super) fn lent(aws: Aws, lent: Option<Arc<Lent>>) -> Self {
        Self { lent, ..Self::new(aws) }
    }

    /// Whether S3 is asked so already.
    #[cfg_attr(not(feature = "s3"), allow(dead_code, reason = "REST catalogs lend"))]
    pub(super) fn is(&self, settings: &S3Options, is_lent: bool) -> bool {
        let known = &self.aws.options().s3;
        let same =
            |one: &S3Options| (one.region.clone(), one.endpoint_url.clone(), one.force_path_style);
        same(known) == same(settings) && self.lent.is_some() == is_lent
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

/// An object as a store knows it.
struct Found {
    store: Arc<dyn Store>,
    /// Its key there.
    key: String,
    /// What stands before that in the key of all places.
    before: String,
}

impl Found {
    fn named(&self, object: Object) -> Object {
        Object { key: format!("{}{}", self.before, object.key), ..object }
    }
}

impl Places {
    /// Those of a lake. `is_wide` says that a catalog may name others.
    pub(crate) fn new(lake: &Arc<dyn Store>, aws: &Aws, is_wide: bool) -> Self {
        let (lake, own) = (Arc::clone(lake), Reach::new(aws.clone()));
        Self { lake, is_wide, own, lent: Mutex::default(), bare: OnceLock::new() }
    }

    /// The lake's own AWS.
    #[cfg_attr(not(feature = "s3"), allow(dead_code, reason = "REST catalogs lend"))]
    pub(super) fn aws(&self) -> &Aws {
        &self.own.aws
    }

    /// What those that borrow have their connections of, made when it is first needed.
    #[cfg_attr(not(feature = "s3"), allow(dead_code, reason = "REST catalogs lend"))]
    pub(super) fn bare(&self, make: impl FnOnce() -> Aws) -> Aws {
        self.bare.get_or_init(make).clone()
    }

    /// What is lent, by what the names begin with that it is for.
    pub(super) fn lent(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Reach>>> {
        // It is kept whole or not at all, so a panic elsewhere leaves nothing half done.
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is lent for a name: that with the longest beginning of it.
    fn lent_for(&self, plain: &str) -> Option<Arc<Reach>> {
        let lent = self.lent();
        let fitting = lent.iter().filter(|(prefix, _)| plain.starts_with(prefix.as_str()));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, reach)| Arc::clone(reach))
    }

    /// The store of an object and its key there.
    pub(crate) fn find(&self, name: &str) -> Result<(Arc<dyn Store>, String)> {
        let plain = plain(name);
        let lent = self.lent_for(&plain);
        if lent.is_none()
            && let Some(key) = plain.strip_prefix(plain_root(&*self.lake).as_str())
        {
            return Ok((Arc::clone(&self.lake), key.to_owned()));
        }
        match s3_address(&plain) {
            Some((bucket, key)) if !bucket.is_empty() => {
                let bucket = lent.as_deref().unwrap_or(&self.own).bucket(bucket)?;
                Ok((bucket, key.to_owned()))
            }
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

    /// The key of what is named so, in the lake or elsewhere; nothing where it cannot be reached.
    pub(crate) fn key(&self, name: &str) -> Option<String> {
        let plain = plain(name);
        if self.lent_for(&plain).is_none()
            && let Some(key) = plain.strip_prefix(plain_root(&*self.lake).as_str())
        {
            return Some(key.to_owned());
        }
        let is_there = self.is_wide && s3_address(&plain).is_some_and(|(name, _)| !name.is_empty());
        is_there.then_some(plain)
    }

    /// An object by its key.
    fn at(&self, key: &str) -> Result<Found> {
        if !is_elsewhere(key) {
            let store = Arc::clone(&self.lake);
            return Ok(Found { store, key: key.to_owned(), before: String::new() });
        }
        let (store, inner) = self.find(key)?;
        let before = key.strip_suffix(inner.as_str()).unwrap_or_default().to_owned();
        Ok(Found { store, key: inner, before })
    }

    fn upload(&self, key: &str, condition: Condition, in_parts: bool) -> Result<Box<dyn Upload>> {
        let found = self.at(key)?;
        let inner = if in_parts {
            found.store.create_in_parts(&found.key, condition)?
        } else {
            found.store.create(&found.key, condition)?
        };
        Ok(if found.before.is_empty() { inner } else { Box::new(Named { inner, found }) })
    }
}

/// Whether a key is that of an object outside of the lake.
pub(crate) fn is_elsewhere(key: &str) -> bool {
    key.contains("://")
}

/// An upload to elsewhere.
struct Named {
    inner: Box<dyn Upload>,
    found: Found,
}

impl Write for Named {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for Named {
    fn hold(&mut self) -> Result<()> {
        self.inner.hold()
    }

    fn finish(self: Box<Self>) -> Result<Object> {
        let object = self.inner.finish()?;
        Ok(self.found.named(object))
    }
}

/// A lake's store that also takes the keys of what lies elsewhere. Locks and conditions are the lake's.
impl Store for Places {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        let found = self.at(key)?;
        Ok(found.store.head(&found.key)?.map(|object| found.named(object)))
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        let found = self.at(key)?;
        let got = found.store.get(&found.key)?;
        Ok(got.map(|(object, bytes)| (found.named(object), bytes)))
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        let found = self.at(&object.key)?;
        found.store.fetch(&Object { key: found.key.clone(), ..object.clone() })
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        self.upload(key, condition, false)
    }

    fn create_in_parts(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        self.upload(key, condition, true)
    }

    fn judgement(&self) -> Judgement {
        self.lake.judgement()
    }

    fn at_once(&self) -> usize {
        self.lake.at_once()
    }

    fn longest_key(&self) -> usize {
        self.lake.longest_key()
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let found = self.at(prefix)?;
        let listed = found.store.list(&found.key)?.into_iter();
        Ok(listed.map(|object| found.named(object)).collect())
    }

    fn modified(&self, key: &str) -> Result<Option<SystemTime>> {
        let found = self.at(key)?;
        found.store.modified(&found.key)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let found = self.at(key)?;
        found.store.delete(&found.key)
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        self.lake.lock(table)
    }

    fn locate(&self, key: &str) -> String {
        if is_elsewhere(key) { key.to_owned() } else { self.lake.locate(key) }
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
        let places = Places::new(&lake.store, lake.aws(), true);
        let path = lake.store.locate("t/metadata/a.json");
        for name in [path.clone(), format!("file:{path}"), format!("file://{path}")] {
            assert_eq!(places.find(&name).unwrap().1, "t/metadata/a.json", "{name}");
            assert_eq!(places.key(&name).as_deref(), Some("t/metadata/a.json"), "{name}");
            assert!(places.has(&name));
        }
    }

    #[test]
    fn what_is_neither_in_the_lake_nor_on_s3_is_refused_by_name() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let places = Places::new(&lake.store, &Aws::new(&Options::default()), true);
        for name in ["/elsewhere/t/a.json", "gs://b/a.json", "s3://"] {
            let error = places.find(name).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert!(!places.has(name));
            assert_eq!(places.key(name), None);
        }
    }

    #[test]
    fn what_is_elsewhere_has_its_url_for_a_key_where_a_catalog_may_name_it() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let wide = Places::new(&lake.store, lake.aws(), true);
        assert_eq!(wide.key("s3a://b/t/a").as_deref(), Some("s3://b/t/a"));
        assert_eq!(wide.locate("s3://b/t/a"), "s3://b/t/a");
        assert_eq!(wide.locate("t/a"), lake.store.locate("t/a"));
        assert_eq!(Places::new(&lake.store, lake.aws(), false).key("s3://b/t/a"), None);
    }
}
