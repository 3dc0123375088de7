//! A state that is kept in a file of this machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lake::FileLock;
use lake::write::journal::{Acknowledged, trimmed};

use crate::error::{Error, Result};

/// A file that always holds the newest state, and that one run at a time writes.
#[derive(Debug)]
pub(super) struct LocalState {
    /// Where it is, behind all links.
    path: PathBuf,
    /// The state as it was found, or as this run left it.
    known: Option<String>,
    /// Whether it can only be written where it is: it is a device, or a file that was mounted.
    in_place: bool,
    lock: Option<FileLock>,
}

impl LocalState {
    /// Opens the file of a path, which need not be there yet. Everything that would keep a state from
    /// being written is found out now, and not when the rows are in the lake.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let refused = |reason: String| Error::Setting { key: "--state-out".into(), reason };
        let failed = |source| Error::State { name: shown.to_string(), source };
        let found = match fs::metadata(path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let path = match found {
            Some(_) => path.canonicalize(),
            None => std::path::absolute(path),
        };
        let path = path.map_err(failed)?;
        match &found {
            Some(found) if found.is_dir() => {
                return Err(refused(format!("{shown} is a folder; name a file in it")));
            }
            Some(found) if !found.is_file() => {
                return Ok(Self { path, known: None, in_place: true, lock: None });
            }
            _ => {}
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused(format!("{shown} is no file")));
        };
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(refused(format!(
                "there is no folder {folder}; make it, or name another file"
            )));
        }
        let lock = folder.join(format!(".{}.lock", name.to_string_lossy()));
        let (lock, in_place) = match FileLock::of_user(&lock) {
            Ok(Some(lock)) => (Some(lock), false),
            Ok(None) => {
                return Err(refused(format!(
                    "another run keeps its state in {shown}; let it end, or give each pipeline a file of its own"
                )));
            }
            // The folder may be nobody's to write, and the file in it be.
            Err(error) if found.is_some() => {
                OpenOptions::new().write(true).open(&path).map_err(|_| failed(error))?;
                (None, true)
            }
            Err(error) => return Err(failed(error)),
        };
        let known = read(&path)?.map(|text| trimmed(&text));
        Ok(Self { path, known, in_place, lock })
    }

    /// The name of the place.
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// The state as it was found, or as this run left it.
    pub(super) fn known(&self) -> Option<String> {
        self.known.clone()
    }

    /// The state that is there now.
    pub(super) fn newest(&self) -> lake::Result<Option<Vec<u8>>> {
        if self.known.is_none() && self.in_place { Ok(None) } else { read(&self.path) }
    }

    /// Whether no other run can write the file while this one lives.
    pub(super) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Replaces the state.
    pub(super) fn replace(&mut self, text: &str) -> Acknowledged<Error> {
        match self.write(text) {
            Ok(()) => {
                self.known = Some(text.to_owned());
                Acknowledged::Yes
            }
            Err(Unwritten { source, may_be_there }) => {
                let error = Error::State { name: self.place(), source };
                if may_be_there { Acknowledged::Unknown(error) } else { Acknowledged::No(error) }
            }
        }
    }

    /// Whoever reads the file finds the old text or the new one, where the system has a way to that.
    fn write(&mut self, text: &str) -> Result<(), Unwritten> {
        let line = format!("{text}\n");
        if self.in_place {
            return write_in_place(&self.path, &line);
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let write = || -> io::Result<tempfile::NamedTempFile> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            if let Ok(found) = fs::metadata(&self.path) {
                // Who may read it stays who may read it.
                file.as_file().set_permissions(found.permissions())?;
            }
            file.write_all(line.as_bytes())?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let file = write().map_err(Unwritten::nowhere)?;
        match file.persist(&self.path) {
            Ok(_) => {}
            // A file that was mounted by itself cannot be replaced.
            Err(error)
                if matches!(
                    error.error.kind(),
                    io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices
                ) =>
            {
                self.in_place = true;
                return write_in_place(&self.path, &line);
            }
            Err(error) => return Err(Unwritten::nowhere(error.error)),
        }
        let sync = || File::open(folder)?.sync_all();
        sync().map_err(|source| Unwritten { source, may_be_there: true })
    }
}

/// A state could not be written.
struct Unwritten {
    source: io::Error,
    /// Whether it may be there nevertheless.
    may_be_there: bool,
}

impl Unwritten {
    fn nowhere(source: io::Error) -> Self {
        Self { source, may_be_there: false }
    }
}

fn write_in_place(path: &Path, line: &str) -> Result<(), Unwritten> {
    let open = OpenOptions::new().write(true).truncate(true).mode(0o600).open(path);
    let mut file = open.map_err(Unwritten::nowhere)?;
    let may_be_there = |source| Unwritten { source, may_be_there: true };
    file.write_all(line.as_bytes()).map_err(may_be_there)?;
    match file.sync_all() {
        // A device or a pipe has nothing to keep.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        outcome => outcome.map_err(may_be_there),
    }
}

/// The text of a file, if it is there.
fn read(path: &Path) -> lake::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(lake::Error::store("read", path.display().to_string(), error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn opened(path: &Path) -> Result<LocalState, String> {
        LocalState::open(path).map_err(|error| error.to_string())
    }

    fn replace(state: &mut LocalState, text: &str) {
        assert!(matches!(state.replace(text), Acknowledged::Yes));
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_read_back_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = opened(&folder.path().join("state.json")).unwrap();
        assert_eq!((state.known(), state.newest().unwrap()), (None, None));
        for text in ["a longer state", "short"] {
            replace(&mut state, text);
        }
        assert_eq!(state.newest().unwrap().unwrap(), b"short\n");
        assert_eq!(state.known().as_deref(), Some("short"));
        drop(state);
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "a temporary file or a lock is left");
        assert_eq!(
            opened(&folder.path().join("state.json")).unwrap().known().as_deref(),
            Some("short")
        );
    }

    #[test]
    fn one_run_at_a_time_writes_a_file_by_whatever_path() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("state.json"), folder.path().join("link"));
        fs::write(&file, "{}").unwrap();
        symlink(&file, &link).unwrap();
        let first = opened(&file).unwrap();
        assert!(opened(&link).unwrap_err().contains("another run keeps its state"));
        assert_eq!(first.place(), file.canonicalize().unwrap().display().to_string());
        drop(first);
        let mut second = opened(&link).unwrap();
        replace(&mut second, "new");
        assert!(link.is_symlink(), "the link stays, and the file behind it is replaced");
        assert_eq!(fs::read_to_string(&file).unwrap(), "new\n");
    }

    #[test]
    fn who_may_read_a_file_stays_who_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        replace(&mut opened(&file).unwrap(), "new");
        let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&mut opened(&file).unwrap(), "newer");
        assert_eq!(mode(&file), 0o644);
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_anything_is() {
        let folder = tempfile::tempdir().unwrap();
        for (path, words) in [
            (folder.path().to_owned(), "is a folder"),
            (folder.path().join("none/state.json"), "there is no folder"),
        ] {
            let error = opened(&path).unwrap_err();
            assert!(error.contains("`--state-out`") && error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_device_is_written_and_not_replaced() {
        let mut state = opened(Path::new("/dev/null")).unwrap();
        replace(&mut state, "new");
        assert_eq!(state.newest().unwrap(), Some(Vec::new()));
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let state =
            LocalState { path: folder.path().to_owned(), known: None, in_place: false, lock: None };
        assert!(state.newest().is_err());
    }
}
