//! What a folder owes beside what every store does: it outlives the processes that die in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use super::*;
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
    assert!(FileLock::take(&path, Duration::from_millis(20)).unwrap().is_none());
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
