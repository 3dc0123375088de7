//! Files are what was written, or are not there.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::encoding::{Compression, Encoding, Format, Signature};
use super::reader::PartReader;
use super::writer::{PartWriter, Workers};
use crate::allowance::Allowance;
use crate::error::{Error, Result};
use crate::store::{Condition, LocalStore, Object, Store, Upload};
use crate::testing::rows;

fn store(folder: &tempfile::TempDir) -> LocalStore {
    LocalStore::open(folder.path(), "run").unwrap()
}

fn begin(store: &LocalStore, encoding: Encoding) -> PartWriter {
    let upload = store.create("t/a.parquet", Condition::Absent).unwrap();
    begin_with(upload, encoding, 2)
}

fn begin_with(upload: Box<dyn Upload>, encoding: Encoding, threads: usize) -> PartWriter {
    let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    let workers = Workers { pool, allowance: Allowance::new(1 << 20) };
    let signature = Signature { run: "run".into(), created_by: "test 1".into() };
    let format = Format { encoding, chunk_bytes: 1 << 16, shards: 7 };
    let schema = rows([], "").schema();
    PartWriter::new(upload, &schema, &format, &signature, &workers, "a".into()).unwrap()
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
        part.close_row_group().unwrap();
        assert_eq!(part.memory(), 0);
    }
    part.finish().unwrap();
    let object = store.head("t/a.parquet").unwrap().unwrap();
    let file = store.fetch(&object).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
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

/// What was written, and nothing more from some byte on.
#[derive(Clone)]
struct Written {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl Written {
    fn with_room(room: usize) -> Self {
        Self { bytes: Arc::default(), room }
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.bytes.lock().unwrap();
        if written.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Written {
    fn finish(self: Box<Self>) -> Result<Object> {
        let size = self.bytes.lock().unwrap().len() as u64;
        Ok(Object { key: "a".into(), size, version: String::new() })
    }
}

/// Rows whose names are of all lengths.
fn uneven(from: i64, to: i64) -> RecordBatch {
    let name = |row: i64| "name ".repeat(usize::try_from(row % 97).unwrap());
    let batches = (from..to).map(|row| rows([row], &name(row)));
    arrow::compute::concat_batches(&rows([], "").schema(), &batches.collect::<Vec<_>>()).unwrap()
}

const UNEVEN: i64 = 3000;

/// The file of the same rows, in batches with these borders.
fn file_of(
    all: &RecordBatch,
    borders: &[usize],
    row_group_bytes: usize,
    threads: usize,
) -> Vec<u8> {
    let written = Written::with_room(usize::MAX);
    let encoding = Encoding { row_group_bytes, ..Encoding::default() };
    let mut part = begin_with(Box::new(written.clone()), encoding, threads);
    let mut from = 0;
    for to in borders.iter().copied().chain([all.num_rows()]) {
        part.write(&all.slice(from, to - from)).unwrap();
        from = to;
    }
    part.finish().unwrap();
    std::mem::take(&mut *written.bytes.lock().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_rows_are_the_same_file_whatever_the_batches_and_the_number_of_workers(
        borders in prop::collection::btree_set(0..3000_usize, 0..12),
        threads in 1..9_usize,
        row_group_bytes in prop::sample::select(vec![1, 40_000, 1 << 30]),
    ) {
        let all = uneven(0, UNEVEN);
        let borders: Vec<usize> = borders.into_iter().collect();
        let file = file_of(&all, &borders, row_group_bytes, threads);
        prop_assert!(file == file_of(&all, &[], row_group_bytes, 1));
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file)).unwrap();
        let groups = reader.metadata().row_groups().len();
        match row_group_bytes {
            1 => prop_assert!(groups > 8, "{groups}"),
            40_000 => prop_assert!((2..9).contains(&groups), "{groups}"),
            _ => prop_assert_eq!(groups, 1),
        }
        let batches = reader.build().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(arrow::compute::concat_batches(&all.schema(), &batches).unwrap(), all);
    }
}

#[test]
fn an_error_of_a_worker_comes_out_at_one_of_the_next_writes_or_at_the_end() {
    for (row_group_bytes, at_end) in [(1, false), (1 << 30, true)] {
        let encoding = Encoding { row_group_bytes, ..Encoding::default() };
        let mut part = begin_with(Box::new(Written::with_room(100)), encoding, 2);
        let failed = (0..1000).find_map(|_| part.write(&uneven(0, 100)).err());
        assert_eq!(failed.is_none(), at_end);
        let error = failed.unwrap_or_else(|| part.end().unwrap_err());
        assert!(matches!(error, Error::Parquet { action: "write", .. }), "{error:?}");
        assert!(error.to_string().contains('a'), "{error}");
    }
}

#[test]
fn a_column_that_cannot_be_encoded_is_an_error_and_ends_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let mut part = begin(&store, Encoding::default());
    let names = uneven(0, 100).project(&[1, 1, 2]).unwrap();
    part.write(&names).unwrap();
    let error = part.close_row_group().unwrap_err();
    assert!(matches!(error, Error::Parquet { action: "write", .. }), "{error:?}");
    assert!(part.write(&uneven(0, 100_000)).is_err());
    drop(part);
    assert!(store.list("t/").unwrap().is_empty());
}

#[test]
fn what_is_on_its_way_is_bounded_however_much_is_written() {
    let part = begin_with(Box::new(Written::with_room(usize::MAX)), Encoding::default(), 2);
    let mut part = part;
    for _ in 0..300 {
        part.write(&uneven(0, 100)).unwrap();
        assert!(part.on_way() <= 4 << 16, "{}", part.on_way());
    }
}
