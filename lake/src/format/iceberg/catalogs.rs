//! Which catalog keeps the pointers of a lake's tables.

use std::sync::Arc;

use super::folder::Folders;
use super::places::Places;
use super::pointer::Pointers;
use super::{glue, rest};
use crate::aws::Aws;
use crate::error::Result;
use crate::options::IcebergCatalog;
use crate::store::Store;

/// The pointers of a lake's tables. Nothing is asked of the catalog yet.
pub(crate) fn pointers(
    store: &Arc<dyn Store>,
    aws: &Aws,
    catalog: &IcebergCatalog,
) -> Result<Arc<dyn Pointers>> {
    match catalog {
        IcebergCatalog::Folder => Ok(Arc::new(Folders { store: Arc::clone(store) })),
        IcebergCatalog::Glue(options) => glue::tables(store, Places::new(store, aws), aws, options),
        IcebergCatalog::Rest(options) => rest::tables(store, Places::new(store, aws), aws, options),
    }
}
