//! Files are what was written, or are not there.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::encoding::{Compression, Encoding, Format, Signature};
use super::reader::PartReader;
use super::writer::PartWriter;
use crate::error::{Error, Result};
use crate::store::{Condition, LocalStore, Store};
use crate::testing::rows;

fn store(folder: &tempfile::TempDir) -> LocalStore {
    LocalStore::open(folder.path(), "run").unwrap()
}

fn begin(store: &LocalStore, encoding: Encoding) -> PartWriter {
    let upload = store.create("t/a.parquet", Condition::Absent).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let signature = Signature { run: "run".into(), created_by: "test 1".into() };
    let format = Format { encoding, shards: 7 };
    let schema = rows([], "").schema();
    PartWriter::new(upload, &schema, &format, &signature, Arc::new(pool), "a".into()).unwrap()
}

fn read(store: &LocalStore) -> PartReader {
    let object = store.head("t/a.parquet").unwrap().unwrap();
    PartReader::open(store.fetch(&object).unwrap(), "a").unwrap()
}

#[test]
fn rows_come_back_in_their_order_by_every_codec() {
    for compression in
        [Compression::Snappy, Compression::Zstd, Compression::Gzip, Compression::None]
    {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut part = begin(&store, Encoding { compression, ..Encoding::default() });
        for start in [0, 100, 200] {
            part.write(&rows(start..start + 100, "x")).unwrap();
        }
        assert_eq!(part.rows(), 300);
        assert!(store.list("t/").unwrap().is_empty(), "it is not visible yet");
        part.finish().unwrap();
        let part = read(&store);
        assert_eq!(part.shards, Some(7));
        let schema = rows([], "").schema();
        let batches: Vec<RecordBatch> =
            part.batches(&schema).unwrap().collect::<Result<_>>().unwrap();
        let all = arrow::compute::concat_batches(&schema, &batches).unwrap();
        assert_eq!(all, rows(0..300, "x"));
    }
}

#[test]
fn a_row_group_is_closed_at_its_size_and_gives_its_memory_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let mut part = begin(&store, Encoding { row_group_bytes: 1, ..Encoding::default() });
    for start in 0..3 {
        part.write(&rows(start * 10..start * 10 + 10, "x")).unwrap();
        assert!(part.memory() > 0);
        part.encode().unwrap();
        assert_eq!(part.memory(), 0);
    }
    part.finish().unwrap();
    let object = store.head("t/a.parquet").unwrap().unwrap();
    let file = store.fetch(&object).unwrap();
    let builder =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(builder.metadata().num_row_groups(), 3);
    assert_eq!(builder.metadata().file_metadata().created_by(), Some("test 1"));
}

#[test]
fn a_file_that_is_dropped_before_its_end_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let mut part = begin(&store, Encoding::default());
    part.write(&rows(0..100, "x")).unwrap();
    drop(part.end().unwrap());
    assert!(store.list("t/").unwrap().is_empty());
}

#[test]
fn what_is_no_parquet_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let object = store.put("t/a.parquet", b"PAR1, or so", Condition::Absent).unwrap();
    let error = PartReader::open(store.fetch(&object).unwrap(), "t/a.parquet").unwrap_err();
    assert!(matches!(error, Error::Parquet { action: "read", .. }), "{error:?}");
    assert!(error.to_string().contains("t/a.parquet"));
}
