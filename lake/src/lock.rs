//! Files that are locked while a process uses them.
//!
//! The lock is the system's (`flock(2)`), so that it is free the moment its holder ends, however it
//! ends, and never while its holder lives. A file is removed before its lock is released; whoever
//! has opened it meanwhile notices that its name is gone, and opens it again. A link in the place of a
//! file is an error: what it leads to is not ours to write to.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BlockingRetryable as _, ExponentialBuilder};

use crate::access::{self, Access};

/// A file that is locked until this is dropped, and gone then.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock of a file that is the user's alone. Nothing where another process holds it.
    ///
    /// # Errors
    ///
    /// What the system says where the file cannot be made or opened.
    pub fn of_user(path: &Path) -> io::Result<Option<Self>> {
        match Self::try_take(path, Access::OWN) {
            Ok(lock) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the lock if nobody holds it, making the file if it is not there.
    pub(crate) fn try_take(path: &Path, access: Access) -> Result<Self, TryLockError> {
        loop {
            let file = access.open_or_make(path).map_err(TryLockError::Error)?;
            file.try_lock()?;
            if is_still_at(&file, path).map_err(TryLockError::Error)? {
                return Ok(Self { file, path: path.to_owned() });
            }
        }
    }

    /// Takes the lock, waiting with growing pauses for whoever holds it. Nothing when it is not free
    /// after `patience`.
    pub(crate) fn take(
        path: &Path,
        access: Access,
        patience: Duration,
    ) -> io::Result<Option<Self>> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(2))
            .with_max_delay(Duration::from_millis(250))
            .with_total_delay(Some(patience))
            .without_max_times();
        let taken = (|| Self::try_take(path, access))
            .retry(pauses)
            .when(|error| matches!(error, TryLockError::WouldBlock))
            .call();
        match taken {
            Ok(lock) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes a lock that nobody holds for longer than a moment.
    pub(crate) fn wait(path: &Path, access: Access) -> io::Result<Self> {
        loop {
            let file = access.open_or_make(path)?;
            file.lock()?;
            if is_still_at(&file, path)? {
                return Ok(Self { file, path: path.to_owned() });
            }
        }
    }

    /// Writes into the file what others shall read who wait for it.
    pub(crate) fn sign(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // A file that stays is taken by whoever needs it next: its lock ends with its handle.
        _ = fs::remove_file(&self.path);
    }
}

/// Whether the file is there and somebody holds its lock; nothing where there is no such file.
pub(crate) fn is_held(path: &Path) -> io::Result<Option<bool>> {
    let file = match access::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Shared, so that two who ask at once do not take each other for the holder.
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(false)),
        Err(TryLockError::WouldBlock) => Ok(Some(true)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a file has its name yet, so that its lock keeps out who opens that name.
fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_lock_is_held_by_one_at_a_time_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let inside = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for turn in 0..50 {
                        let lock = if turn % 2 == 0 {
                            FileLock::wait(&path, Access::OWN).unwrap()
                        } else {
                            FileLock::take(&path, Access::OWN, Duration::from_mins(1))
                                .unwrap()
                                .unwrap()
                        };
                        assert!(!inside.swap(true, Ordering::SeqCst), "two hold it at once");
                        std::thread::yield_now();
                        assert!(inside.swap(false, Ordering::SeqCst));
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_that_was_put_in_the_place_of_a_lock_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("a.lock"), folder.path().join("victim"));
        for content in [Some("of somebody else"), None] {
            if let Some(content) = content {
                fs::write(&victim, content).unwrap();
            }
            std::os::unix::fs::symlink(&victim, &path).unwrap();
            assert!(FileLock::wait(&path, Access::OWN).is_err());
            assert!(FileLock::take(&path, Access::OWN, Duration::from_millis(5)).is_err());
            assert!(is_held(&path).is_err());
            assert_eq!(fs::read_to_string(&victim).ok().as_deref(), content);
            fs::remove_file(&path).unwrap();
            _ = fs::remove_file(&victim);
        }
    }

    #[test]
    fn a_lock_that_is_held_is_not_taken_and_a_file_that_lies_about_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        assert_eq!(is_held(&path).unwrap(), None);
        fs::write(&path, "of a run that died").unwrap();
        assert_eq!(is_held(&path).unwrap(), Some(false));
        let mut lock = FileLock::try_take(&path, Access::OWN).unwrap();
        lock.sign("me").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "me");
        assert_eq!(is_held(&path).unwrap(), Some(true));
        assert!(FileLock::take(&path, Access::OWN, Duration::from_millis(5)).unwrap().is_none());
        assert!(matches!(FileLock::try_take(&path, Access::OWN), Err(TryLockError::WouldBlock)));
        drop(lock);
        assert_eq!(is_held(&path).unwrap(), None);
    }
}
