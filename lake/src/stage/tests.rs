//! Stages, and what they do beyond the memory.

use super::entry::Entry;
use super::runs::Runs;
use super::*;
use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;

fn rows(range: std::ops::Range<i64>, version: &str) -> RecordBatch {
    let keys: ArrayRef = Arc::new(range.clone().collect::<Int64Array>());
    let values: ArrayRef = Arc::new(StringArray::from_iter_values(range.map(|_| version)));
    RecordBatch::try_from_iter([("k", keys), ("v", values)]).unwrap()
}

fn stage(shards: u32, keyed: bool) -> Stage {
    Stage::new(rows(0..1, "").schema(), Partitioner::new(None), Cut::Into(shards), keyed)
}

fn push(stage: &mut Stage, batch: RecordBatch) {
    let hashes = key::hash_rows(&batch, &[0]).unwrap();
    stage.push(batch, &hashes).unwrap();
}

fn content(stage: &Stage) -> Vec<(i64, String, u32)> {
    let reader = stage.reader().unwrap();
    let mut found = Vec::new();
    for group in stage.groups() {
        reader
            .each(*group, |batch| {
                let keys = batch.column(0).as_primitive::<Int64Type>();
                let values = batch.column(1).as_string::<i32>();
                for row in 0..batch.num_rows() {
                    found.push((keys.value(row), values.value(row).to_owned(), group.shard));
                }
                Ok(())
            })
            .unwrap();
    }
    found.sort();
    found
}

#[test]
fn the_newest_row_of_a_key_wins_wherever_the_rows_lie() {
    let folder = tempfile::tempdir().unwrap();
    let file = Arc::new(SpillFile::new(folder.path().into(), 1 << 20));
    let mut stage = stage(3, true);
    push(&mut stage, rows(0..10, "old"));
    stage.spill(&file).unwrap();
    push(&mut stage, rows(5..15, "mid"));
    push(&mut stage, rows(7..8, "new"));
    stage.spill(&file).unwrap();
    push(&mut stage, rows(9..10, "last"));
    let found = content(&stage);
    assert_eq!(found.len(), 15);
    for (key, value, shard) in found {
        let expected = match key {
            9 => "last",
            7 => "new",
            0..5 => "old",
            _ => "mid",
        };
        assert_eq!(value, expected, "{key}");
        assert_eq!(shard, key::shard(key::hash_rows(&rows(key..key + 1, ""), &[0]).unwrap()[0], 3));
    }
}

#[test]
fn without_keys_every_row_counts_and_uncovered_ones_can_be_taken_back() {
    let mut stage = stage(1, false);
    stage.push(rows(0..3, "a"), &[]).unwrap();
    stage.cover().unwrap();
    stage.push(rows(0..3, "b"), &[]).unwrap();
    assert_eq!(content(&stage).len(), 6);
    stage.discard_uncovered();
    assert_eq!(content(&stage).len(), 3);
    assert_eq!(stage.rows(), 3);
}

#[test]
fn small_batches_are_put_together() {
    let mut stage = stage(1, true);
    for key in 0..1000 {
        push(&mut stage, rows(key..key + 1, "x"));
    }
    assert!(stage.batches.len() < 2 * batches::SMALL_RUN);
    assert_eq!(content(&stage).len(), 1000);
}

#[test]
fn rows_of_a_keyed_table_without_their_hashes_are_refused() {
    let mut stage = stage(1, true);
    let error = stage.push(rows(0..2, "x"), &[7]).unwrap_err().to_string();
    assert!(error.contains("hash of its key"), "{error}");
}

#[test]
fn a_group_without_rows_is_an_error_to_read() {
    let mut stage = stage(1, true);
    push(&mut stage, rows(0..1, "x"));
    let reader = stage.reader().unwrap();
    assert!(reader.each(Group { partition: 0, shard: 9 }, |_| Ok(())).is_err());
}

#[test]
fn memory_is_counted_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = Arc::new(SpillFile::new(folder.path().into(), 1 << 20));
    let mut stage = stage(1, false);
    stage.push(rows(0..5000, "x"), &[]).unwrap();
    let before = stage.memory();
    assert!(before > 5000 * 8);
    stage.spill(&file).unwrap();
    assert_eq!((stage.memory(), stage.spills(), stage.rows()), (0, 1, 5000));
    assert!(stage.staged_bytes() > 5000 * 8);
    stage.clear();
    assert_eq!((stage.staged_bytes(), stage.spills(), stage.rows()), (0, 1, 0));
}

#[test]
fn a_temporary_folder_that_is_not_there_is_named() {
    let file = Arc::new(SpillFile::new("/nowhere/at/all".into(), 1 << 20));
    let mut stage = stage(1, false);
    stage.push(rows(0..1, "x"), &[]).unwrap();
    let error = stage.spill(&file).unwrap_err();
    assert!(matches!(&error, Error::Spill { path, .. } if path == "/nowhere/at/all"));
    assert_eq!(content(&stage).len(), 1, "the rows are still there");
}

#[test]
fn spilled_rows_get_the_columns_that_the_table_has_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let file = Arc::new(SpillFile::new(folder.path().into(), 1 << 20));
    let mut stage = stage(1, true);
    push(&mut stage, rows(0..3, "old"));
    stage.spill(&file).unwrap();
    push(&mut stage, rows(3..4, "new"));
    let mut fields = stage.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("n", DataType::Int64, true)));
    let to = Arc::new(Schema::new(fields));
    let projection = Projection::between(stage.schema().fields(), &to);
    stage.realign(&projection).unwrap();
    assert_eq!(content(&stage).len(), 4);
    let reader = stage.reader().unwrap();
    for group in stage.groups() {
        reader
            .each(*group, |batch| {
                assert_eq!(batch.num_columns(), 3);
                Ok(())
            })
            .unwrap();
    }
}

/// A temporary file for what does not fit into this many bytes.
fn file(memory: usize) -> (tempfile::TempDir, Arc<SpillFile>) {
    let folder = tempfile::tempdir().unwrap();
    let file = Arc::new(SpillFile::new(folder.path().into(), memory));
    (folder, file)
}

/// Hashes that are close together, the ends of all that there are, and any.
fn hashes() -> impl Strategy<Value = u128> {
    prop_oneof![0_u128..9, (0_u128..9).prop_map(|hash| u128::MAX - hash), any::<u128>()]
}

/// The content of a stage as it comes: of each group the rows that count, in the order of their arrival.
fn in_order(stage: &Stage) -> Vec<(u32, i64, String)> {
    let reader = stage.reader().unwrap();
    let mut found = Vec::new();
    for group in stage.groups() {
        let take = |batch: &RecordBatch| {
            let keys = batch.column(0).as_primitive::<Int64Type>();
            let values = batch.column(1).as_string::<i32>();
            let rows = keys.values().iter().zip(values);
            found.extend(rows.map(|(key, value)| (group.shard, *key, value.unwrap().to_owned())));
            Ok(())
        };
        reader.each(*group, take).unwrap();
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn spilled_keys_leave_the_rows_that_those_in_memory_do_and_in_their_order(
        batches in prop::collection::vec((prop::collection::vec(0_i64..60, 1..40), 0..3_u8), 1..12),
        memory in 0_usize..4_000,
        (shards, is_open) in prop_oneof![(1_u32..4, Just(false)), (0_u32..4).prop_map(|power| (1 << power, true))],
    ) {
        let (_folder, file) = file(memory);
        let mut stage = stage(shards, true);
        if is_open {
            // Each row is worth being apart once there are some hundred bytes.
            stage = Stage { cut: Cut::Open, fineness: Fineness { rows: 1, bytes: 300 }, ..stage };
        }
        let mut all: Vec<(u32, i64, String)> = Vec::new();
        for (number, (keys, spills)) in batches.iter().enumerate() {
            let version = number.to_string();
            let column: ArrayRef = Arc::new(Int64Array::from(keys.clone()));
            let values = StringArray::from_iter_values(keys.iter().map(|_| &version));
            let batch = RecordBatch::try_from_iter([("k", column), ("v", Arc::new(values))]).unwrap();
            let hashes = key::hash_rows(&batch, &[0]).unwrap();
            all.extend(keys.iter().zip(&hashes).map(|(key, hash)| {
                (key::shard(*hash, shards), *key, version.clone())
            }));
            stage.push(batch, &hashes).unwrap();
            // The second one finds no rows, and moves the keys whatever they take.
            for _ in 0..*spills {
                stage.spill(&file).unwrap();
            }
        }
        // The last row of each key, group after group in the order of their first rows.
        let mut groups: Vec<u32> = Vec::new();
        for (shard, ..) in &all {
            if !groups.contains(shard) {
                groups.push(*shard);
            }
        }
        let is_last = |at: usize| all[at + 1..].iter().all(|(_, key, _)| *key != all[at].1);
        let last: Vec<_> = (0..all.len()).filter(|at| is_last(*at)).map(|at| &all[at]).collect();
        let expected: Vec<_> = groups
            .iter()
            .flat_map(|group| last.iter().filter(move |(shard, ..)| shard == group))
            .map(|row| (*row).clone())
            .collect();
        prop_assert_eq!(stage.is_open(), is_open);
        stage.cut(shards).unwrap();
        let (mut found, mut expected) = (in_order(&stage), expected);
        if is_open {
            // Then all objects of a partition come in the order of their numbers.
            found.sort_by_key(|(shard, ..)| *shard);
            expected.sort_by_key(|(shard, ..)| *shard);
        }
        prop_assert_eq!(found, expected);

        let asked: Vec<i64> = (-5..65).chain(-5..65).collect();
        let column: ArrayRef = Arc::new(Int64Array::from(asked.clone()));
        let batch = RecordBatch::try_from_iter([("k", column)]).unwrap();
        let hashes = key::hash_rows(&batch, &[0]).unwrap();
        let expected: Vec<bool> =
            asked.iter().map(|asked| all.iter().any(|(_, key, _)| key == asked)).collect();
        let reader = stage.reader().unwrap();
        if !reader.has_spilled_keys() {
            prop_assert_eq!(&reader.replaces(&hashes).unwrap(), &expected);
        }
        let mut old = OldKeys::new(&file);
        hashes.chunks(9).try_for_each(|hashes| old.add(hashes)).unwrap();
        let found = reader.find(old).unwrap();
        let span = found.span(0, 140, 140).unwrap();
        let found: Vec<bool> = (0..140).map(|row| span.contains(row).unwrap()).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn hashes_are_there_as_often_as_they_came_wherever_they_lie(
        files in prop::collection::vec(prop::collection::vec(hashes(), 0..60), 0..6),
        spills in any::<bool>(),
        memory in 0_usize..20_000,
        comes in prop::collection::vec(prop::collection::vec(hashes(), 0..60), 0..6),
    ) {
        let (_folder, file) = file(memory);
        let mut counts = Counts::default();
        let mut left: Vec<u128> = Vec::new();
        for hashes in &files {
            counts.add(&file, hashes).unwrap();
            left.extend(hashes);
        }
        counts.settle(&file).unwrap();
        if spills {
            counts.spill(&file).unwrap();
            prop_assert!(counts.spillable() == 0);
        }
        let again = files.concat();
        for hashes in comes.iter().chain([&again]) {
            let taken = counts.take(hashes).unwrap();
            for (hash, taken) in hashes.iter().zip(taken) {
                let known = left.iter().position(|left| left == hash);
                prop_assert_eq!(taken, known.is_some(), "{:x}", hash);
                known.map(|at| left.swap_remove(at));
            }
            prop_assert_eq!(counts.is_empty(), left.is_empty());
        }
        prop_assert!(counts.is_empty() && counts.memory() == 0, "all of them have come again");
    }

    #[test]
    fn ranges_have_all_entries_in_order_and_no_more_than_fit(
        runs in prop::collection::vec(prop::collection::btree_map(hashes(), any::<u64>(), 0..50), 0..8),
        memory in 0_usize..10_000,
    ) {
        let (_folder, file) = file(memory);
        let mut spilled = Runs::new(&file);
        let mut expected: Vec<Entry> = Vec::new();
        for run in &runs {
            let entries: Vec<_> =
                run.iter().rev().map(|(hash, number)| Entry::new(*hash, *number)).collect();
            expected.extend(&entries);
            spilled.push(entries).unwrap();
        }
        expected.sort_by_key(|entry| (entry.hash(), entry.number));
        let mut found: Vec<Entry> = Vec::new();
        let most = spilled.most();
        Runs::each_range(&[&spilled], &mut |entries| {
            let (first, last) = (entries.first().unwrap(), entries.last().unwrap());
            assert!(entries.len() <= most || first.hash() == last.hash());
            assert!(found.last().is_none_or(|before| before.hash() < first.hash()));
            found.extend(entries);
            Ok(())
        })
        .unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn bits_in_the_file_are_those_in_memory(
        rows in 1_u64..3_000,
        some in prop::collection::btree_set(0_u64..3_000, 0..300),
        memory in 0_usize..2_000,
        from in 0_u64..3_000,
        length in 1_u64..3_000,
    ) {
        let (_folder, file) = file(memory);
        let some: Vec<u64> = some.into_iter().filter(|row| *row < rows).collect();
        let set = RowSet::collect(rows, Some(&file), |take| {
            some.iter().rev().try_for_each(|row| take(*row))
        })
        .unwrap();
        prop_assert_eq!(matches!(set, RowSet::Spilled(_)), rows / 8 > memory as u64 / 8);
        let (from, to) = (from % rows, (from % rows + length).min(rows));
        // As many as there are, and as few that each is looked up by itself.
        for asked in [3_000, 0] {
            let span = set.span(from, to, asked).unwrap();
            let found: Vec<u64> = (from..to).filter(|row| span.contains(*row).unwrap()).collect();
            let expected: Vec<u64> =
                some.iter().copied().filter(|row| (from..to).contains(row)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

/// A stage with many keys that was spilled whenever it took more than the memory.
fn filled(file: &Arc<SpillFile>, keys: i64) -> Stage {
    let mut stage = stage(1, true);
    for start in (0..keys).step_by(1000) {
        push(&mut stage, rows(start..start + 1000, "x"));
        while stage.memory() > file.memory() {
            stage.spill(file).unwrap();
        }
    }
    stage
}

#[test]
fn keys_stay_within_their_share_of_the_memory_however_many_there_are() {
    let (_folder, file) = file(256 << 10);
    let mut stage = stage(1, true);
    let mut most_after_a_spill = 0;
    for start in (0..300_000).step_by(1000) {
        push(&mut stage, rows(start..start + 1000, "x"));
        if stage.memory() > file.memory() {
            stage.spill(&file).unwrap();
            most_after_a_spill = most_after_a_spill.max(stage.memory());
        }
    }
    // In memory they would take 7 MB or more.
    assert!(most_after_a_spill <= file.memory() / 3, "{most_after_a_spill}");
    let mut found = 0;
    let reader = stage.reader().unwrap();
    let count = |batch: &RecordBatch| {
        found += batch.num_rows();
        Ok(())
    };
    reader.each(stage.groups()[0], count).unwrap();
    assert_eq!(found, 300_000);
}

#[test]
fn hashes_stay_within_their_share_of_the_memory_however_many_there_are() {
    let (_folder, file) = file(256 << 10);
    let mut counts = Counts::default();
    let hash = |number: u64| xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes());
    for start in (0..300_000).step_by(1000) {
        let hashes: Vec<u128> = (start..start + 1000).map(hash).collect();
        counts.add(&file, &hashes).unwrap();
        assert!(counts.memory() <= file.memory() / 4 + 4096, "{}", counts.memory());
    }
    counts.settle(&file).unwrap();
    assert!(counts.memory() < 300_000 / 8, "{}", counts.memory());
    assert_eq!(counts.take(&[hash(299_999), hash(300_000)]).unwrap(), [true, false]);
}

#[test]
fn a_few_keys_stay_in_memory_while_their_rows_go() {
    let (_folder, file) = file(1 << 20);
    let mut stage = stage(1, true);
    push(&mut stage, rows(0..1000, "x"));
    stage.spill(&file).unwrap();
    assert!(stage.memory() > 24 * 1000, "{}", stage.memory());
    stage.spill(&file).unwrap();
    assert!(stage.memory() < 1000, "nothing else was left: {}", stage.memory());
}

#[test]
fn what_was_spilled_gives_its_room_back_when_it_is_forgotten() {
    let (folder, file) = file(64 << 10);
    let mut stage = filled(&file, 50_000);
    let mut counts = Counts::default();
    counts.add(&file, &[7; 10]).unwrap();
    counts.spill(&file).unwrap();
    assert_eq!(in_order(&stage).len(), 50_000);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the file has no name");
    let room = || file.blocks();
    let before = room();
    assert!(before > 2000, "{before}");
    stage.clear();
    drop(counts);
    assert_eq!(room(), 0);
}

#[test]
fn keys_that_cannot_be_spilled_stay_where_they_are() {
    let file = Arc::new(SpillFile::new("/nowhere/at/all".into(), 0));
    let mut stage = stage(1, true);
    push(&mut stage, rows(0..5, "old"));
    push(&mut stage, rows(3..5, "new"));
    for _ in 0..2 {
        let error = stage.spill(&file).unwrap_err();
        assert!(matches!(&error, Error::Spill { path, .. } if path == "/nowhere/at/all"));
    }
    assert_eq!(content(&stage).len(), 5, "the rows are still there");
    let mut counts = Counts::default();
    let mut add = || counts.add(&file, &[1, 2, 2]);
    assert!(matches!(add(), Err(Error::Spill { .. })));
}

#[test]
fn a_file_that_was_cut_is_an_error_and_no_row_less() {
    let (_folder, file) = file(16 << 10);
    let stage = filled(&file, 5_000);
    file.cut(100_000);
    let error = stage.reader().map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Spill { action: "read", .. }), "{error}");
}
