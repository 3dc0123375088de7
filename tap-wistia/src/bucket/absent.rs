//! What stands in the place of S3 in a program that was built without the feature `s3`.

use std::io;

use crate::error::{Error, Result};

/// No object can be read.
pub(crate) fn read(url: &str) -> Result<Option<String>> {
    let reason = "this program was built without S3; build it with the feature `s3`";
    Err(Error::File { name: url.to_owned(), source: io::Error::other(reason) })
}
