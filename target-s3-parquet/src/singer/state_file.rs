//! `--state-out`: a file or object that always holds the newest state that was acknowledged.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use lake::Aws;
use lake::store::{self, Condition, Object, Store};
use lake::write::journal::{Acknowledged, Receipt, trimmed};

use super::local_state::LocalState;
use crate::error::{Error, Result};
use crate::state::is_empty;

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
        /// The object as it was found, or as this run left it.
        known: RefCell<Option<Known>>,
    },
}

/// The object of a state.
#[derive(Debug, Clone)]
pub(super) struct Known {
    object: Object,
    /// All that is in it.
    text: Vec<u8>,
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
                let bucket = store::bucket(aws, bucket, "", run)?;
                let known = bucket.get(key)?.map(|(object, text)| Known { object, text });
                Ok(Self::S3 { bucket, key: key.to_owned(), known: RefCell::new(known) })
            }
        }
    }

    /// Replaces what is kept there. On S3 only if no other run did so meanwhile: two that take turns
    /// would each take the other's progress back.
    pub(super) fn replace(&mut self, text: &str) -> Acknowledged<Error> {
        match self {
            Self::Local(state) => state.replace(text),
            Self::S3 { bucket, key, known } => {
                match put(&**bucket, key, known, format!("{text}\n")) {
                    Ok(()) => Acknowledged::Yes,
                    Err(error @ lake::Error::Conflict { .. }) => Acknowledged::No(error.into()),
                    Err(error) => Acknowledged::Unknown(error.into()),
                }
            }
        }
    }
}

/// Replaces an object that is as it is known.
fn put(
    bucket: &dyn Store,
    key: &str,
    known: &RefCell<Option<Known>>,
    text: impl Into<Vec<u8>>,
) -> lake::Result<()> {
    let text = text.into();
    let condition = Condition::still(known.borrow().as_ref().map(|known| &known.object));
    let object = bucket.put(key, &text, condition)?;
    known.replace(Some(Known { object, text }));
    Ok(())
}

/// The state in an object. One that says nothing may only be there so that something is.
fn state_in(text: &[u8]) -> Option<String> {
    Some(trimmed(text)).filter(|state| !is_empty(state))
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
            Self::S3 { known, .. } => {
                known.borrow().as_ref().and_then(|known| state_in(&known.text))
            }
        }
    }

    fn newest(&self) -> lake::Result<Option<Vec<u8>>> {
        match self {
            Self::Local(state) => state.newest(),
            Self::S3 { bucket, key, .. } => {
                let text = bucket.get(key)?.map(|(_, text)| text);
                Ok(text.filter(|text| state_in(text).is_some()))
            }
        }
    }

    /// The lock of a local file holds it. An object gets a line end more behind its state: whoever has begun to
    /// replace it does so on the condition that it is as it was.
    fn hold(&self) -> lake::Result<bool> {
        match self {
            Self::Local(state) => Ok(state.is_locked()),
            Self::S3 { bucket, key, known } => {
                let text = known.borrow().as_ref().map(|known| known.text.clone());
                let mut text = text.unwrap_or_else(|| b"{}".to_vec());
                text.push(b'\n');
                put(&**bucket, key, known, text)?;
                Ok(true)
            }
        }
    }

    fn is_the_same_everywhere(&self) -> bool {
        match self {
            Self::Local(_) => false,
            Self::S3 { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_held_says_the_same_and_whoever_is_late_cannot_replace_it() {
        for (first, held) in [(None, &b"{}\n"[..]), (Some("{\"a\":1}\n"), b"{\"a\":1}\n\n")] {
            let store = store::MemoryStore::new();
            let first =
                first.map(|text| store.put("s", text.as_bytes(), Condition::Always).unwrap());
            let open = || StateFile::S3 {
                bucket: Arc::new(store.reopen()),
                key: "s".into(),
                known: RefCell::new(
                    store.get("s").unwrap().map(|(object, text)| Known { object, text }),
                ),
            };
            let (mut late, mut state) = (open(), open());
            let known = state.known();
            assert!(state.hold().unwrap());
            assert_eq!(store.get("s").unwrap().unwrap().1, held);
            assert_eq!((state.known(), open().known()), (known.clone(), known.clone()));
            assert_eq!(state.newest().unwrap().is_some(), first.is_some());
            assert!(matches!(late.replace("{\"a\":2}"), Acknowledged::No(_)));
            assert!(matches!(late.hold(), Err(lake::Error::Conflict { .. })));
            assert!(matches!(state.replace("{\"a\":3}"), Acknowledged::Yes));
            assert_eq!(open().known().as_deref(), Some("{\"a\":3}"));
        }
    }

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
