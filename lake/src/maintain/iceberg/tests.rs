//! Maintenance beside a load that is faster: it looks again, and does what was asked with what is there by then.

use std::fs::File;
use std::sync::{Arc, Mutex};

use super::super::{Erase, Options, run};
use crate::error::Result;
use crate::file::encoding::Encoding;
use crate::format::TableFormat;
use crate::lake::Lake;
use crate::maintain::testing;
use crate::options;
use crate::store::{Condition, Guard, Object, Store, Upload};
use crate::table::definition::LoadMethod;
use crate::table::spec::Spec;
use crate::testing::{LakeFolder, by_month, found, once};

/// What happens once, right before metadata becomes the newest.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// A store in which another run is faster. It has no locks, as S3 has none.
struct Met {
    store: Arc<dyn Store>,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl std::fmt::Debug for Met {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Met")
    }
}

impl Store for Met {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.store.head(key)
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        self.store.get(key)
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        self.store.fetch(object)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        if key.starts_with("t/metadata/v")
            && let Some(meanwhile) = self.meanwhile.lock().unwrap().take()
        {
            meanwhile();
        }
        self.store.create(key, condition)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.store.list(prefix)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.store.delete(key)
    }

    fn lock(&self, _: &str) -> Result<Option<Box<dyn Guard>>> {
        Ok(None)
    }

    fn locate(&self, key: &str) -> String {
        self.store.locate(key)
    }
}

fn appended() -> Spec {
    let iceberg = Spec { table_format: TableFormat::Iceberg, ..by_month() };
    Spec { load: LoadMethod::Append, keys: Vec::new(), ..iceberg }
}

/// Maintains the table while another run loads rows of this name.
fn beside(folder: &LakeFolder, name: &'static str, asked: &Options) {
    let (lake, other) = (folder.lake(), folder.lake());
    let meanwhile: Meanwhile =
        Box::new(move || testing::load(&other, appended(), 10..13, name).unwrap());
    let store = Met { store: Arc::clone(&lake.store), meanwhile: Mutex::new(Some(meanwhile)) };
    let met = Lake::with_store(Arc::new(store), lake.run.clone(), &options::Options::default());
    run(&Arc::new(met.unwrap()), &|_| Encoding::default(), asked).unwrap();
}

#[test]
fn no_row_that_is_to_go_is_left_by_a_load_that_was_faster() {
    let folder = LakeFolder::new();
    for ids in [0..3, 3..6] {
        testing::load(&folder.lake(), appended(), ids, "gone").unwrap();
    }
    testing::load(&folder.lake(), appended(), 20..23, "stays").unwrap();
    let erase = Erase { column: "name".into(), values: ["gone".to_owned()].into() };
    beside(&folder, "gone", &Options { erase: vec![erase], ..Options::default() });
    assert_eq!(found(&folder.lake()), once([(20..23, "stays")]));
}

#[test]
fn files_that_a_load_was_faster_to_add_are_put_together_with_the_others() {
    let folder = LakeFolder::new();
    for ids in [0..3, 3..6] {
        testing::load(&folder.lake(), appended(), ids, "a").unwrap();
    }
    beside(&folder, "b", &Options { compact: true, ..Options::default() });
    assert_eq!(found(&folder.lake()), once([(0..6, "a"), (10..13, "b")]));
    let lake = folder.lake();
    let own = lake.iceberg("t").unwrap();
    let live = own.live(&own.load().unwrap().unwrap().metadata, None).unwrap();
    assert_eq!(live.len(), 3, "one a month");
}
