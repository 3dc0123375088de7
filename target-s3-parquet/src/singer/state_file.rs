//! `--state-out`: a file or object that always holds the newest state that was acknowledged.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lake::Aws;
use lake::store::{Condition, Object, S3Store, Store};
use lake::write::journal::Receipt;

use crate::error::{Error, Result};

/// Where the newest state is kept.
#[derive(Debug)]
pub(super) enum StateFile {
    /// In a file.
    Local(PathBuf),
    /// In an object on S3.
    S3 {
        /// The bucket.
        bucket: Arc<dyn Store>,
        /// The object's key in it.
        key: String,
        /// The object as it was found, or as this run left it.
        known: Option<Object>,
    },
}

impl StateFile {
    /// The place of that name: a path, or `s3://bucket/key`.
    pub(super) fn open(name: &str, aws: &Aws, run: &str) -> Result<Self> {
        match lake::s3_address(name) {
            None => Ok(Self::Local(name.into())),
            Some((_, "")) => {
                let reason = "it names no object; write s3://bucket/key";
                Err(Error::Setting { key: "--state-out".into(), reason: reason.into() })
            }
            Some((bucket, key)) => {
                let bucket: Arc<dyn Store> = Arc::new(S3Store::open(aws, bucket, "", run)?);
                let known = bucket.head(key)?;
                Ok(Self::S3 { bucket, key: key.to_owned(), known })
            }
        }
    }

    /// Replaces what is kept there. On S3 only if no other run did so meanwhile: two that take turns
    /// would each take the other's progress back.
    pub(super) fn replace(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Local(path) => replace(path, text)
                .map_err(|source| Error::State { name: path.display().to_string(), source }),
            Self::S3 { bucket, key, known } => {
                let text = format!("{text}\n");
                let condition = Condition::still(known.as_ref());
                *known = Some(bucket.put(key, text.as_bytes(), condition)?);
                Ok(())
            }
        }
    }
}

impl Receipt for StateFile {
    fn newest(&self) -> lake::Result<Option<Vec<u8>>> {
        match self {
            Self::Local(path) => match std::fs::read(path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(lake::Error::store("read", path.display().to_string(), error)),
            },
            Self::S3 { bucket, key, .. } => Ok(bucket.get(key)?.map(|(_, text)| text)),
        }
    }
}

/// Replaces a file atomically: whoever reads it finds the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_cannot_be_read_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(StateFile::Local(folder.path().into()).newest().is_err());
        assert!(StateFile::Local(folder.path().join("none")).newest().unwrap().is_none());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = StateFile::Local(folder.path().join("state.json"));
        file.replace("a longer state").unwrap();
        file.replace("short").unwrap();
        assert_eq!(file.newest().unwrap().unwrap(), b"short\n");
        let names = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "a temporary file is left");
    }

    #[test]
    fn a_bucket_without_a_key_is_no_state_file() {
        let open = |name| StateFile::open(name, &Aws::new(&lake::Options::default()), "run");
        let error = open("s3://bucket").unwrap_err().to_string();
        assert!(error.contains("`--state-out`") && error.contains("s3://bucket/key"), "{error}");
        assert!(matches!(open("state.json"), Ok(StateFile::Local(_))));
    }
}
