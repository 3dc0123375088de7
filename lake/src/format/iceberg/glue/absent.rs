//! What stands in the place of Glue in a program that was built without the feature `glue`.

use std::sync::Arc;

use super::places::Places;
use super::pointer::Pointers;
use crate::aws::Aws;
use crate::catalog::options::Options;
use crate::error::{Error, Result};
use crate::store::Store;

/// None is ever open.
pub(super) fn tables(
    _store: &Arc<dyn Store>,
    _places: &Arc<Places>,
    _aws: &Aws,
    _options: &Options,
) -> Result<Arc<dyn Pointers>> {
    Err(Error::Absent { what: "the Glue Data Catalog", feature: "glue" })
}
