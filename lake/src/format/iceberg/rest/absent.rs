//! What stands in the place of REST catalogs in a program that was built without the feature `s3`, whose HTTP
//! client they are asked by.

use std::sync::Arc;

use super::places::Places;
use super::pointer::Pointers;
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::options::RestOptions;
use crate::store::Store;

/// None is ever open.
pub(super) fn tables(
    _store: &Arc<dyn Store>,
    _places: &Arc<Places>,
    _aws: &Aws,
    _options: &RestOptions,
) -> Result<Arc<dyn Pointers>> {
    Err(Error::Absent { what: "REST catalogs", feature: "s3" })
}
