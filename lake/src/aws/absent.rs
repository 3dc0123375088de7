//! What stands in the place of an AWS in a program that was built without the feature `s3`.

use crate::error::{Error, Result};
use crate::options::Options;

/// None are ever lent.
#[derive(Debug)]
#[cfg_attr(not(feature = "iceberg"), allow(dead_code, reason = "catalogs of tables lend"))]
pub(crate) enum Lent {}

/// None is ever open.
#[derive(Debug)]
pub(crate) enum Session {}

impl Session {
    pub(super) fn open(_options: &Options) -> Result<Self> {
        Err(Error::Absent { what: "S3", feature: "s3" })
    }
}
