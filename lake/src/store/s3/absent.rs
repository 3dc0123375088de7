//! What stands in the place of S3 in a program that was built without the feature `s3`.

use std::sync::Arc;

use crate::aws::Aws;
use crate::error::Result;
use crate::store::contract::Store;

/// See the function of this name with the feature.
pub fn bucket(aws: &Aws, _bucket: &str, _prefix: &str, _run: &str) -> Result<Arc<dyn Store>> {
    match *aws.session()? {}
}

/// See the function of this name with the feature.
pub(crate) fn lake(aws: &Aws, bucket: &str, prefix: &str, run: &str) -> Result<Arc<dyn Store>> {
    self::bucket(aws, bucket, prefix, run)
}
