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
    places: Arc<Places>,
    /// The lake, and what else catalogs may name.
    store: Arc<dyn Store>,
    aws: Aws,
    run: String,
    at_once: usize,
    /// Opened when the first table is: a plain lake has none.
    pointers: Mutex<Option<Arc<dyn Pointers>>>,
}

impl Catalog {
    /// That of the options. Nothing is asked of it yet.
    pub(crate) fn new(store: Arc<dyn Store>, aws: &Aws, run: &str, at_once: usize) -> Self {
        let is_wide = match aws.options().iceberg {
            IcebergCatalog::Folder => false,
            IcebergCatalog::Glue(_) | IcebergCatalog::Rest(_) => true,
        };
        let places = Arc::new(Places::new(&store, aws, is_wide));
        let store: Arc<dyn Store> = if is_wide { Arc::<Places>::clone(&places) } else { store };
        let (aws, run) = (aws.clone(), run.to_owned());
        Self { places, store, aws, run, at_once, pointers: Mutex::default() }
    }

    /// The store of the lake, which also takes the keys of tables that lie elsewhere.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// A table. Nothing is asked of it yet.
    pub(crate) fn table(&self, name: &str) -> Result<Table> {
        let pointer = self.pointers()?.of(name);
        let namespace = self.aws.options().namespace;
        Ok(Table::new(&self.store, &self.places, pointer, name, &self.run, namespace, self.at_once))
    }

    fn pointers(&self) -> Result<Arc<dyn Pointers>> {
        // They are kept whole or not at all, so a panic elsewhere leaves nothing half done.
        let mut pointers = self.pointers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pointers) = &*pointers {
            return Ok(Arc::clone(pointers));
        }
        let opened = open(&self.store, &self.places, &self.aws)?;
        *pointers = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

fn open(store: &Arc<dyn Store>, places: &Arc<Places>, aws: &Aws) -> Result<Arc<dyn Pointers>> {
    match &aws.options().iceberg {
        IcebergCatalog::Folder => Ok(Arc::new(Folders { store: Arc::clone(store) })),
        IcebergCatalog::Glue(options) => glue::tables(store, places, aws, options),
        IcebergCatalog::Rest(options) => rest::tables(store, places, aws, options),
    }
}
