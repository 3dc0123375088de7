//! Who may take how much of the memory.
//!
//! | of `memory_mb` | for |
//! |:--|:--|
//! | a quarter | staged rows, chunks on their way to their files, and open row groups; encoders hold about twice what they say |
//! | at most an eighth | blocks of text on their way to the decoders, and about as much again for their rows |
//! | the rest | what each worker keeps to decode into, temporary files being written, requests to S3, the heap's own |
//!
//! The size of a block and all that decides where a row group ends follow the memory alone, so that the
//! number of workers changes nothing in a file.

use crate::settings::units::MIB;

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

/// Blocks beside those that workers have, and their next: one is being read, and one staged.
const SPARE_BLOCKS: usize = 2;

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
}

impl Shares {
    /// The shares of so much memory among so many workers.
    pub(crate) fn new(memory: usize, workers: usize) -> Self {
        let block = (memory / BLOCK_PART).clamp(SMALLEST_BLOCK, BLOCK);
        let largest_block = (memory / LARGEST_BLOCK_PART).clamp(block, 2 * BLOCK);
        let blocks = 2 * workers + SPARE_BLOCKS;
        let on_way = (blocks * block).max(3 * largest_block).min(memory / ON_WAY_PART);
        let stage = (memory / STAGE_PART).max(LEAST_STAGE);
        Self { block, largest_block, blocks, on_way, stage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            [(256, 1, 4), (256, 2, 6), (256, 15, 32), (64, 2, 6), (64, 15, 32)]
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
                assert!(2 * shares.on_way + 2 * shares.stage <= memory * MIB * 3 / 4, "{shares:?}");
                assert!(shares.largest_block <= shares.on_way, "{shares:?}");
            }
        }
    }
}
