//! Lists say what is there when they are asked for.

use super::trial::{Kept, Trial};
use crate::store::contract::{Condition, Store};

/// More than S3 lists in one answer
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
const MANY: usize = 1_100;

/// Writers of many objects.
const WRITERS: usize = 8;

/// An object is listed as soon as it is written and no longer than it is there, under every prefix
/// of its key, in the order of the bytes of the keys.
pub fn listing(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "a list is what is there", "listing")?;
    // In their order, which is not that of folders.
    let names = ["a", "a-b/1", "a/b/1", "a/b/2", "a/b1", "a/bc/d/e/f/g/h", "a0", "b/é", "b/🦀"];
    // On a file system `a` cannot be a file and a folder.
    let names = names.map(|name| if name == "a" { "a!" } else { name });
    let mut expected: Vec<String> = Vec::new();
    for name in names.iter().rev() {
        let object = store.put(&trial.key(name), name.as_bytes(), Condition::Absent);
        let object = trial.works("put", object)?;
        expected.insert(0, trial.key(name));
        trial.same("what is listed after a put", &trial.listed(&trial.key(""))?, &expected)?;
        let listed = trial.works("list", store.list(&object.key))?;
        let found = listed.first().cloned();
        trial.same("an object that is listed", &found, &Some(object))?;
    }
    for prefix in ["a/b/", "a/b", "a/", "a", "a/bc/d/e", "a/c", "a/b/1", "a/b/1/", "b/", "B", "/"] {
        let prefix = trial.key(prefix);
        let under: Vec<_> =
            expected.iter().filter(|key| key.starts_with(&prefix)).cloned().collect();
        trial.same(&format!("what {prefix} lists"), &trial.listed(&prefix)?, &under)?;
    }
    let mut everything = trial.listed("")?;
    everything.retain(|key| key.starts_with(&trial.key("")));
    trial.same("what is listed without a prefix", &everything, &expected)?;
    for name in names {
        trial.works("delete", store.delete(&trial.key(name)))?;
        expected.remove(0);
        trial.same("what is listed after a delete", &trial.listed(&trial.key(""))?, &expected)?;
    }
    trial.clear()
}

/// A list of more objects than come in one answer is whole.
pub fn long_lists(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "a long list is whole", "long-lists")?;
    let key = |number: usize| trial.key(&format!("{number:05}"));
    let in_parallel = |act: &(dyn Fn(usize) -> Kept + Sync)| -> Kept {
        std::thread::scope(|scope| {
            let work =
                |writer| scope.spawn(move || (writer..MANY).step_by(WRITERS).try_for_each(act));
            let writers: Vec<_> = (0..WRITERS).map(work).collect();
            writers.into_iter().try_for_each(|writer| trial.joined(writer.join())?)
        })
    };
    in_parallel(&|number| {
        let bytes = vec![b'.'; number % 10];
        trial.works("put", store.put(&key(number), &bytes, Condition::Absent)).map(drop)
    })?;
    let listed = trial.works("list", store.list(&trial.key("")))?;
    let found: Vec<_> = listed.into_iter().map(|object| (object.key, object.size)).collect();
    let expected: Vec<_> = (0..MANY).map(|number| (key(number), (number % 10) as u64)).collect();
    trial.same("the number of objects", &found.len(), &expected.len())?;
    trial.same("what is listed", &found, &expected)?;
    trial.same("what 0109 lists", &trial.listed(&trial.key("0109"))?.len(), &10)?;
    in_parallel(&|number| {
        let gone = number % 2 == 0;
        if gone { trial.works("delete", store.delete(&key(number))) } else { Ok(()) }
    })?;
    let left: Vec<_> = (0..MANY).filter(|number| number % 2 == 1).map(key).collect();
    trial.same("what is left", &trial.listed(&trial.key(""))?, &left)?;
    in_parallel(&|number| trial.works("delete", store.delete(&key(number))))?;
    trial.clear()
}
