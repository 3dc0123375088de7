//! `--state-out`: a file or object that always holds the newest state that was acknowledged.

use std::path::Path;
use std::sync::Arc;

use lake::Aws;
use lake::store::{Condition, Object, S3Store, Store};
use lake::write::journal::{Acknowledged, Receipt, trimmed};

use super::local_state::LocalState;
use crate::error::{Error, Result};

/// Where the newest state is kept.
#[derive(Debug)]
pub(super) enum StateFile {
    /// In a file.
    Local(LocalState),
    /// In an object on S3.
    S3 {
        /// The bucket.
        bucket: Arc<dyn Store>,
        /// The object's key in it.
        key: String,
        /// The object and its state as they were found, or as this run left them.
        known: Option<(Object, String)>,
    },
}

impl StateFile {
    /// The place of that name: a path, or `s3://bucket/key`.
    pub(super) fn open(name: &str, aws: &Aws, run: &str) -> Result<Self> {
        match lake::s3_address(name) {
            None => Ok(Self::Local(LocalState::open(Path::new(name))?)),
            Some((_, "")) => {
                let reason = "it names no object; write s3://bucket/key";
                Err(Error::Setting { key: "--state-out".into(), reason: reason.into() })
            }
            Some((bucket, key)) => {
                let bucket: Arc<dyn Store> = Arc::new(S3Store::open(aws, bucket, "", run)?);
                let known = bucket.get(key)?.map(|(object, text)| (object, trimmed(&text)));
                Ok(Self::S3 { bucket, key: key.to_owned(), known })
            }
        }
    }

    /// Replaces what is kept there. On S3 only if no other run did so meanwhile: two that take turns
    /// would each take the other's progress back.
    pub(super) fn replace(&mut self, text: &str) -> Acknowledged<Error> {
        match self {
            Self::Local(state) => state.replace(text),
            Self::S3 { bucket, key, known } => {
                let line = format!("{text}\n");
                let found = known.as_ref().map(|(object, _)| object);
                match bucket.put(key, line.as_bytes(), Condition::still(found)) {
                    Ok(object) => {
                        *known = Some((object, text.to_owned()));
                        Acknowledged::Yes
                    }
                    Err(error @ lake::Error::Conflict { .. }) => Acknowledged::No(error.into()),
                    Err(error) => Acknowledged::Unknown(error.into()),
                }
            }
        }
    }
}

impl Receipt for StateFile {
    fn place(&self) -> String {
        match self {
            Self::Local(state) => state.place(),
            Self::S3 { bucket, key, .. } => bucket.locate(key),
        }
    }

    fn known(&self) -> Option<String> {
        match self {
            Self::Local(state) => state.known(),
            Self::S3 { known, .. } => known.as_ref().map(|(_, text)| text.clone()),
        }
    }

    fn newest(&self) -> lake::Result<Option<Vec<u8>>> {
        match self {
            Self::Local(state) => state.newest(),
            Self::S3 { bucket, key, .. } => Ok(bucket.get(key)?.map(|(_, text)| text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_without_a_key_is_no_state_file() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| StateFile::open(name, &Aws::new(&lake::Options::default()), "run");
        let error = open("s3://bucket").unwrap_err().to_string();
        assert!(error.contains("`--state-out`") && error.contains("s3://bucket/key"), "{error}");
        let file = folder.path().join("state.json");
        assert!(matches!(open(file.to_str().unwrap()), Ok(StateFile::Local(_))));
    }
}
