//! Which catalog keeps the pointers of a lake's tables.

use std::sync::{Arc, Mutex, PoisonError};

use super::folder::Folders;
use super::places::Places;
use super::pointer::Pointers;
use super::table::Table;
use super::{glue, rest};
use crate::aws::Aws;
use crate::error::Result;
use crate::options::IcebergCatalog;
use crate::store::Store;

/// The Iceberg tables of a lake, in one run.
#[derive(Debug)]
pub(crate) struct Catalog {
    store: Arc<dyn Store>,
    aws: Aws,
    run: String,
    at_once: usize,
    /// Opened when the first table is: a plain lake has none.
    pointers: Mutex<Option<Arc<dyn Pointers>>>,
}

impl Catalog {
    /// That of the options. Nothing is asked of it yet.
    pub(crate) fn new(store: &Arc<dyn Store>, aws: &Aws, run: &str, at_once: usize) -> Self {
        let (store, aws, run) = (Arc::clone(store), aws.clone(), run.to_owned());
        Self { store, aws, run, at_once, pointers: Mutex::default() }
    }

    /// A table. Nothing is asked of it yet.
    pub(crate) fn table(&self, name: &str) -> Result<Table> {
        let pointer = self.pointers()?.of(name);
        let namespace = self.aws.options().namespace;
        Ok(Table::new(&self.store, pointer, name, &self.run, namespace, self.at_once))
    }

    fn pointers(&self) -> Result<Arc<dyn Pointers>> {
        // They are kept whole or not at all, so a panic elsewhere leaves nothing half done.
        let mut pointers = self.pointers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pointers) = &*pointers {
            return Ok(Arc::clone(pointers));
        }
        let opened = open(&self.store, &self.aws)?;
        *pointers = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

fn open(store: &Arc<dyn Store>, aws: &Aws) -> Result<Arc<dyn Pointers>> {
    let places = || Places::new(store, aws);
    match &aws.options().iceberg {
        IcebergCatalog::Folder => Ok(Arc::new(Folders { store: Arc::clone(store) })),
        IcebergCatalog::Glue(options) => glue::tables(store, places(), aws, options),
        IcebergCatalog::Rest(options) => rest::tables(store, places(), aws, options),
    }
}
