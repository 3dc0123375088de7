//! Who writes to a lake, and whether they still live.
//!
//! A run holds the lock of a file of its own from its beginning to its end. What it leaves for other
//! runs carries its [`owner`](Presence::owner): `<host>.<place>.<run>`, where the place says which
//! folder the file is in. Whoever finds such a name asks for the lock: a run of this host whose lock
//! can be taken, or whose file is gone, has ended.
//!
//! Nothing is known of a run of another host, of another folder, or of the last release, which put
//! the number of its process in the place. Their age decides, as their reader sees fit.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::access::Access;
use crate::lock::{self, FileLock};

/// What the names of the files end with.
const SUFFIX: &str = ".lake-run";

/// The place of runs whose files are in the lake itself.
const IN_LAKE: &str = "lake";

/// The place of runs that have no file.
const NOWHERE: &str = "none";

/// How long a run waits for another that looks at its new file at this instant.
const PATIENCE: Duration = Duration::from_secs(1);

/// Notes of dead runs are this old at most when somebody has resolved them, so nobody asks for older
/// runs.
const OBSOLETE_AFTER: Duration = Duration::from_hours(24);

/// A run that lives, for as long as this does.
#[derive(Debug)]
pub(crate) struct Presence {
    folder: PathBuf,
    owner: String,
    /// Nothing where the system has no folder for it.
    _lock: Option<FileLock>,
}

/// What is known of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Living,
    Ended,
    /// Its age has to decide.
    Unknown,
}

impl Presence {
    /// A run whose file is in a folder of the lake.
    pub(crate) fn in_lake(folder: &Path, access: Access, run: &str) -> io::Result<Self> {
        Self::begin(folder, access, IN_LAKE, run)
    }

    /// A run of a lake that is no folder: its file is in a folder for temporary files of this host. Where
    /// that cannot be written, nobody knows whether the run lives.
    pub(crate) fn on_host(folder: &Path, run: &str) -> Self {
        let begun = place_of(folder).and_then(|place| {
            remove_obsolete(folder, &place);
            Self::begin(folder, Access::OWN, &place, run)
        });
        begun.unwrap_or_else(|error| {
            tracing::debug!(%error, "other runs will not know whether this one lives");
            let owner = format!("{}.{NOWHERE}.{run}", host());
            Self { folder: folder.to_owned(), owner, _lock: None }
        })
    }

    fn begin(folder: &Path, access: Access, place: &str, run: &str) -> io::Result<Self> {
        let owner = format!("{}.{place}.{run}", host());
        let path = file_of(folder, &owner);
        let lock = FileLock::take(&path, access, PATIENCE)?.ok_or_else(|| {
            let text = format!("a run has a name of its own, and another is called {run}");
            io::Error::new(io::ErrorKind::AlreadyExists, text)
        })?;
        Ok(Self { folder: folder.to_owned(), owner, _lock: Some(lock) })
    }

    /// What names the run among all that write to the lake.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether the run of that owner is known to have ended.
    #[cfg_attr(not(feature = "s3"), allow(dead_code, reason = "only S3 asks for it"))]
    pub(crate) fn has_ended(&self, owner: &str) -> bool {
        self.life(owner) == Life::Ended
    }

    /// Whether the run of that owner is known to live.
    pub(crate) fn is_living(&self, owner: &str) -> bool {
        self.life(owner) == Life::Living
    }

    /// What is known of the run of that owner.
    pub(crate) fn life(&self, owner: &str) -> Life {
        if self.circle().is_none() || circle(owner) != self.circle() || owner.contains('/') {
            return Life::Unknown;
        }
        match lock::is_held(&file_of(&self.folder, owner)) {
            Ok(Some(true)) => Life::Living,
            Ok(Some(false) | None) => Life::Ended,
            Err(_) => Life::Unknown,
        }
    }

    /// The host and the place of the runs of which something is known.
    fn circle(&self) -> Option<(&str, &str)> {
        circle(&self.owner).filter(|(_, place)| *place != NOWHERE)
    }

    /// Removes the file of a run, unless the run lives.
    pub(crate) fn remove_file(path: &Path) {
        // Dropping the lock removes the file; that of a living run is not to be had.
        drop(FileLock::try_take(path, Access::OWN));
    }

    /// The owner whose file a name is, or nothing.
    pub(crate) fn owner_of_file(name: &str) -> Option<&str> {
        name.strip_suffix(SUFFIX)
    }
}

/// The host and the place in an owner.
fn circle(owner: &str) -> Option<(&str, &str)> {
    let (host, rest) = owner.split_once('.')?;
    let (place, _) = rest.split_once('.')?;
    Some((host, place))
}

fn file_of(folder: &Path, owner: &str) -> PathBuf {
    folder.join(format!("{owner}{SUFFIX}"))
}

/// A name for a folder, so that a run which has another one for temporary files does not look for
/// this run's file in vain and take it for dead.
fn place_of(folder: &Path) -> io::Result<String> {
    let metadata = fs::metadata(folder)?;
    // A letter first: the last release takes a number for that of a process.
    Ok(format!("tmp{:x}-{:x}", metadata.dev(), metadata.ino()))
}

/// Removes the files of runs that died long ago.
fn remove_obsolete(folder: &Path, place: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(Presence::owner_of_file);
        if owner.and_then(circle) == Some((host().as_str(), place))
            && entry.metadata().and_then(|data| data.modified()).is_ok_and(is_obsolete)
        {
            Presence::remove_file(&entry.path());
        }
    }
}

fn is_obsolete(modified: SystemTime) -> bool {
    SystemTime::now().duration_since(modified).is_ok_and(|age| age > OBSOLETE_AFTER)
}

fn host() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().replace(['/', '.'], "_");
    if name.is_empty() { "host".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_lives_until_its_lock_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let one = Presence::in_lake(folder.path(), Access::OWN, "run1").unwrap();
        let two = Presence::in_lake(folder.path(), Access::OWN, "run2").unwrap();
        let owner = one.owner().to_owned();
        assert_eq!(two.life(&owner), Life::Living);
        Presence::remove_file(&file_of(folder.path(), &owner));
        assert_eq!(two.life(&owner), Life::Living);
        drop(one);
        assert_eq!(two.life(&owner), Life::Ended);
        // After a kill its file stays, but not the lock.
        fs::write(file_of(folder.path(), &owner), "").unwrap();
        assert!(two.has_ended(&owner));
        Presence::remove_file(&file_of(folder.path(), &owner));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn of_other_hosts_other_folders_and_the_last_release_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let here = Presence::in_lake(folder.path(), Access::OWN, "run1").unwrap();
        let host = host();
        for owner in [
            "elsewhere.lake.run0".to_owned(),
            format!("{host}.tmp801-2.run0"),
            format!("{host}.none.run0"),
            format!("{host}.2147483646-77.run0"),
            format!("{host}.lake.../../run0"),
            "damaged".to_owned(),
            String::new(),
        ] {
            assert_eq!(here.life(&owner), Life::Unknown, "{owner}");
        }
        assert!(here.has_ended(&format!("{host}.lake.run0")));
    }

    #[test]
    fn runs_of_lakes_elsewhere_know_of_each_other_by_the_folder_for_temporary_files() {
        let folder = tempfile::tempdir().unwrap();
        let one = Presence::on_host(folder.path(), "run1");
        let two = Presence::on_host(folder.path(), "run2");
        let owner = one.owner().to_owned();
        assert!(!two.has_ended(&owner));
        drop(one);
        assert!(two.has_ended(&owner));
    }

    #[test]
    fn a_run_without_a_file_is_never_taken_for_dead() {
        let nowhere = |run| Presence {
            folder: std::env::temp_dir(),
            owner: format!("{}.{NOWHERE}.{run}", host()),
            _lock: None,
        };
        assert_eq!(nowhere("run1").life(nowhere("run2").owner()), Life::Unknown);
    }

    #[test]
    fn a_second_run_of_one_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _one = Presence::in_lake(folder.path(), Access::OWN, "run1").unwrap();
        let error = Presence::in_lake(folder.path(), Access::OWN, "run1").unwrap_err();
        assert!(error.to_string().contains("another is called run1"), "{error}");
    }
}
