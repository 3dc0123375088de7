//! Who may take how much of the memory.
//!
//! | of `memory_mb` | for |
//! |:--|:--|
//! | 20 MB | the program itself |
//! | a quarter of the rest | staged rows, chunks on their way to their files, and open row groups; encoders hold about twice what they say |
//! | at most an eighth of it | blocks of text on their way to the decoders, and about as much again for their rows |
//! | what is left | what each worker keeps to decode into, temporary files being written, requests to S3, the heap's own |
//!
//! The size of a block and all that decides where a row group ends follow the memory alone, so that the
//! number of workers changes nothing in a file. Each worker's thread has a heap of its own, which keeps
//! room: where the memory is not enough for that of as many as there are cores, there are fewer.

use std::num::NonZero;

use crate::settings::units::MIB;

/// What the program takes before it has read anything.
const PROGRAM: usize = 20 * MIB;

/// The memory for which there is one worker: its block, the rows that it makes of it, what it encodes,
/// and its heap.
const WORKER: usize = 16 * MIB;

/// The part of the memory that staged rows and open files may take.
const STAGE_PART: usize = 4;

/// The least that staged rows and open files may take, in bytes.
const LEAST_STAGE: usize = 8 * MIB;

/// The part of the memory of one block of input.
const BLOCK_PART: usize = 256;

/// The part of the memory of the largest block, where records of very many streams stand among each
/// other.
const LARGEST_BLOCK_PART: usize = 32;

/// The smallest block: below it a chunk's fixed costs count.
const SMALLEST_BLOCK: usize = MIB / 4;

/// The largest block but for that of many streams: more gains nothing.
pub(crate) const BLOCK: usize = 2 * MIB;

/// The part of the memory that blocks on their way may take.
const ON_WAY_PART: usize = 8;

/// The part of the memory that all heaps together may keep of what was freed.
const KEPT_PART: usize = 16;

/// Blocks beside those that workers have, and their next: one is being read, and one staged.
const SPARE_BLOCKS: usize = 2;

/// What a stream takes beside its rows: its plan, its table, and what each worker keeps of it.
const STREAM: usize = 128 * 1024;

/// What a column takes beside its values while a file is written: encoders, and an array in each batch of
/// rows on its way.
const COLUMN: usize = 40 * 1024;

/// The least memory, in bytes, for so many streams, the widest of which has so many columns. With less
/// the run would take more than it was given.
pub(crate) fn least(streams: usize, widest: usize) -> usize {
    PROGRAM + streams * STREAM + widest * COLUMN
}

/// Shares of the memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// A block of input.
    pub(crate) block: usize,
    /// A block of input where many streams stand among each other.
    pub(crate) largest_block: usize,
    /// How many blocks may be on their way.
    pub(crate) blocks: usize,
    /// How large they may be together.
    pub(crate) on_way: usize,
    /// Staged rows and open files.
    pub(crate) stage: usize,
    /// What a heap keeps of what was freed.
    pub(crate) kept: usize,
}

/// How many workers there are: as many as were asked for, or as there are cores, and no more than there
/// is memory for.
pub(crate) fn workers(memory: usize, asked: usize) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let wanted = if asked == 0 { cores() } else { asked };
    wanted.min(memory / WORKER).max(1)
}

impl Shares {
    /// The shares of so much memory among so many workers.
    pub(crate) fn new(memory: usize, workers: usize) -> Self {
        let block = (memory / BLOCK_PART).clamp(SMALLEST_BLOCK, BLOCK);
        let largest_block = (memory / LARGEST_BLOCK_PART).clamp(block, 2 * BLOCK);
        let rest = memory.saturating_sub(PROGRAM);
        let blocks = 2 * workers + SPARE_BLOCKS;
        let on_way = (blocks * block).max(3 * largest_block).min(rest / ON_WAY_PART);
        let stage = (rest / STAGE_PART).max(LEAST_STAGE);
        let kept = memory / KEPT_PART / workers.max(1);
        Self { block, largest_block, blocks, on_way, stage, kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_streams_and_columns_take_whatever_the_memory_fits_into_the_usual_memory_for_most() {
        for (streams, widest, mb, fits) in [
            (1, 100, 32, true),
            (1_000, 26, 64, false),
            (1_000, 26, 256, true),
            (1, 2_000, 64, false),
            (1, 5_000, 256, true),
            (1, 9_900, 256, false),
            (1, 9_900, 512, true),
        ] {
            assert_eq!(least(streams, widest) <= mb * MIB, fits, "{streams}, {widest}, {mb}");
        }
    }

    #[test]
    fn what_decides_about_files_follows_the_memory_and_not_the_workers() {
        for memory in [32, 64, 256, 4096] {
            let all = [1, 2, 16, 256].map(|workers| Shares::new(memory * MIB, workers));
            for shares in all {
                let of_files = |shares: &Shares| (shares.block, shares.largest_block, shares.stage);
                assert_eq!(of_files(&shares), of_files(&all[0]));
            }
        }
    }

    #[test]
    fn every_worker_has_a_block_and_its_next_where_the_memory_allows_it() {
        for (memory, workers, blocks) in
            [(256, 1, 4), (256, 2, 6), (256, 12, 26), (64, 2, 6), (64, 4, 10)]
        {
            let shares = Shares::new(memory * MIB, workers);
            assert_eq!(shares.blocks, blocks);
            assert!(shares.on_way >= blocks * shares.block, "{shares:?}");
        }
    }

    #[test]
    fn the_shares_are_within_the_memory_for_any_number_of_workers() {
        for memory in [32, 64, 100, 256, 1024, 65536] {
            for workers in [1, 2, 8, 16, 64, 1000] {
                let shares = Shares::new(memory * MIB, workers);
                let spoken_for = 2 * shares.on_way + 2 * shares.stage + workers * shares.kept;
                assert!(spoken_for <= memory * MIB * 7 / 8, "{shares:?}");
            }
        }
    }

    #[test]
    fn there_are_as_many_workers_as_were_asked_for_or_as_there_are_cores_and_memory_for() {
        for (memory, asked, expected) in
            [(256, 2, 2), (256, 16, 16), (256, 64, 16), (64, 16, 4), (32, 16, 2), (1024, 64, 64)]
        {
            assert_eq!(workers(memory * MIB, asked), expected, "{memory} and {asked}");
        }
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(workers(65536 * MIB, 0), cores);
    }
}
