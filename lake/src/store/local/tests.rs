//! What a folder owes beside what every store does: it outlives the processes that die in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::access::Access;
use crate::lock;

fn store(folder: &tempfile::TempDir) -> LocalStore {
    LocalStore::open(folder.path(), "run1").unwrap()
}

fn temporary(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path().join(TEMPORARY)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Names the folder in which a child works.
const CHILD: &str = "LAKE_TEST_CHILD";

/// What a child says when it has what it shall die with.
const READY: &str = "the child is ready";

/// A process that holds the lock of `t`, is writing an object, and is killed.
struct Doomed(Child);

impl Doomed {
    fn start(folder: &tempfile::TempDir) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "store::local::tests::a_child_waits_to_be_killed"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map(|line| line.unwrap()).any(|line| line.contains(READY));
        assert!(ready, "{:?}", child.wait());
        Self(child)
    }

    /// Kills it, and makes sure of that.
    fn kill(mut self) {
        self.0.kill().unwrap();
        assert_eq!(self.0.wait().unwrap().signal(), Some(9));
    }
}

#[test]
fn a_child_waits_to_be_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = LocalStore::open(Path::new(&folder), "run0").unwrap();
    let _guard = store.lock("t").unwrap();
    let mut upload = store.create("t/a", Condition::Absent).unwrap();
    upload.write_all(&vec![1; 100_000]).unwrap();
    println!("{READY}");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_lock_is_free_when_its_process_was_killed_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("_lake/locks/t.lock");
    let child = Doomed::start(&folder);
    let store = store(&folder);
    assert_eq!(lock::is_held(&path).unwrap(), Some(true));
    assert!(FileLock::take(&path, Access::OWN, Duration::from_millis(20)).unwrap().is_none());
    let holder = fs::read_to_string(&path).unwrap();
    assert!(holder.contains(".lake.run0\n"), "{holder}");
    child.kill();
    let guard = store.lock("t").unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with(store.presence.owner()));
    drop(guard);
    assert!(!path.exists());
}

#[test]
fn what_a_process_was_writing_is_removed_when_it_was_killed_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let child = Doomed::start(&folder);
    let one = store(&folder);
    let mut upload = one.create("t/b", Condition::Absent).unwrap();
    upload.write_all(b"1").unwrap();
    // Of each run its own file and an unfinished one.
    assert_eq!(temporary(&folder).len(), 4);
    child.kill();
    let two = LocalStore::open(folder.path(), "run2").unwrap();
    let left = temporary(&folder);
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.iter().all(|name| !name.contains("run0")), "{left:?}");
    upload.finish().unwrap();
    drop(one);
    assert_eq!(temporary(&folder).len(), 1);
    drop(two);
    assert!(temporary(&folder).is_empty());
    assert_eq!(store(&folder).list("").unwrap().len(), 1);
}

#[test]
fn of_files_of_other_machines_and_of_the_last_release_the_age_decides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(TEMPORARY);
    fs::create_dir_all(&path).unwrap();
    let host = store(&folder).presence.owner().split('.').next().unwrap().to_owned();
    for name in [
        "elsewhere.lake.run0.1.tmp".to_owned(),
        "elsewhere.lake.run0.lake-run".to_owned(),
        format!("{host}.2147483646-77.run0.1.tmp"),
        "something else".to_owned(),
    ] {
        let file = File::create(path.join(&name)).unwrap();
        drop(store(&folder));
        assert_eq!(temporary(&folder), [name]);
        file.set_modified(SystemTime::now() - LEFTOVER_AFTER - Duration::from_mins(1)).unwrap();
        drop(store(&folder));
        assert!(temporary(&folder).is_empty());
    }
}

#[test]
fn files_of_a_run_that_lives_stay_however_old_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let one = store(&folder);
    let mut upload = one.create("t/a", Condition::Absent).unwrap();
    upload.write_all(b"1").unwrap();
    let path = folder.path().join(TEMPORARY);
    fs::write(path.join(WRITES), "").unwrap();
    for name in temporary(&folder) {
        let file = File::options().write(true).open(path.join(name)).unwrap();
        file.set_modified(SystemTime::now() - LEFTOVER_AFTER * 2).unwrap();
    }
    drop(LocalStore::open(folder.path(), "run2").unwrap());
    assert_eq!(temporary(&folder).len(), 3);
    upload.finish().unwrap();
    drop(one);
    assert!(temporary(&folder).is_empty());
}

#[test]
fn a_lock_that_a_dead_process_of_the_last_release_left_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("_lake/locks/t.lock");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for text in ["", "host.2147483646-77.run0\n2026-01-01T00:00:00Z\n"] {
        fs::write(&path, text).unwrap();
        drop(store(&folder).lock("t").unwrap());
        assert!(!path.exists());
    }
}

#[test]
fn an_object_keeps_no_version_that_another_had() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let first = store.put("a", b"1", Condition::Absent).unwrap();
    store.put("a", b"2", Condition::Always).unwrap();
    let third = store.put("a", b"1", Condition::Always).unwrap();
    assert_ne!(first.version, third.version);
    assert!(matches!(
        store.put("a", b"4", Condition::still(Some(&first))),
        Err(Error::Conflict { .. })
    ));
}

#[test]
fn files_of_the_store_itself_are_no_objects() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let _guard = store.lock("t").unwrap();
    let _upload = store.create("t/a", Condition::Absent).unwrap();
    for prefix in ["", "_lake/", "_lake/tmp/", "_lake/lo", "_lake/locks/t"] {
        assert_eq!(store.list(prefix).unwrap(), [], "{prefix}");
    }
    assert!(!temporary(&folder).is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = LocalStore::open(&file.path().join("lake"), "r").unwrap_err().to_string();
    assert!(error.contains("could not create") && error.contains("lake"), "{error}");
}

/// The modes of all that is below a folder, by their paths in it.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, u32)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let path = entry.path().strip_prefix(root).unwrap().display().to_string();
            found.push((path, metadata.permissions().mode() & 0o7777));
            if metadata.is_dir() {
                walk(root, &entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found
}

#[test]
fn what_is_made_is_its_makers_alone_unless_the_folder_was_opened_to_a_group() {
    let set = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (mode, folders, files) in [
        (None, 0o700, 0o600),
        (Some(0o700), 0o700, 0o600),
        (Some(0o755), 0o700, 0o600),
        (Some(0o777), 0o700, 0o600),
        (Some(0o750), 0o750, 0o640),
    ] {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("lake");
        if let Some(mode) = mode {
            fs::create_dir(&root).unwrap();
            set(&root, mode);
            fs::create_dir(root.join("old")).unwrap();
            set(&root.join("old"), 0o755);
            fs::write(root.join("old/a"), "1").unwrap();
            set(&root.join("old/a"), 0o644);
        }
        let store = LocalStore::open(&root, "run1").unwrap();
        store.put("old/a", b"2", Condition::Always).unwrap();
        store.put("t/dt=1/a", b"1", Condition::Absent).unwrap();
        let _guard = store.lock("t").unwrap();
        let mut upload = store.create("t/b", Condition::Absent).unwrap();
        upload.write_all(b"1").unwrap();
        let found = modes(&root);
        assert!(found.len() >= 9, "{found:?}");
        for (path, found) in found {
            let is_folder = root.join(&path).is_dir();
            let is_old = path == "old" && mode.is_some();
            let expected = if is_old {
                0o755
            } else if is_folder {
                folders
            } else {
                files
            };
            assert_eq!(found, expected, "{path} in a folder of {mode:?}");
        }
        let own = fs::metadata(&root).unwrap().permissions().mode() & 0o777;
        assert_eq!(own, mode.unwrap_or(0o700));
    }
}

#[test]
fn links_that_were_put_among_the_stores_files_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "of somebody else").unwrap();
    let lake = folder.path().join("lake");
    let one = LocalStore::open(&lake, "run1").unwrap();
    let (locks, temporary) = (lake.join(LOCKS), lake.join(TEMPORARY));
    fs::create_dir_all(&locks).unwrap();
    symlink(&victim, locks.join("t.lock")).unwrap();
    // The names that the release before gave, one after the other.
    for number in 0..9 {
        let name = format!("{}.{number}.tmp", one.presence().owner());
        symlink(&victim, temporary.join(name)).unwrap();
    }
    assert!(one.lock("t").is_err());
    one.put("t/a", b"1", Condition::Absent).unwrap();
    symlink(&victim, temporary.join(WRITES)).unwrap();
    assert!(one.put("t/b", b"1", Condition::Absent).is_err());
    fs::remove_file(temporary.join(WRITES)).unwrap();
    // A link in the place of an object is replaced, and what it leads to stays.
    symlink(&victim, lake.join("t/c")).unwrap();
    one.put("t/c", b"1", Condition::Always).unwrap();
    assert_eq!(fs::read(lake.join("t/c")).unwrap(), b"1");
    assert!(fs::symlink_metadata(lake.join("t/c")).unwrap().is_file());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "of somebody else");
}

#[test]
fn nobody_knows_the_name_of_an_unfinished_file_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let uploads: Vec<_> = (0..3).map(|_| store.create("t/a", Condition::Always).unwrap()).collect();
    let owner = store.presence().owner();
    let names: Vec<String> = temporary(&folder)
        .into_iter()
        .filter(|name| upload::owner_of_file(name).is_some())
        .collect();
    assert_eq!(names.len(), uploads.len());
    for name in names {
        assert_eq!(upload::owner_of_file(&name), Some(owner), "{name}");
        assert_eq!(name.len(), owner.len() + 1 + 16 + 4, "{name}");
    }
}
