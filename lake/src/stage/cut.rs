//! How the rows of a partition are cut into objects.
//!
//! A table that is new, and whose settings leave it open, is cut by what its first rows are worth. So rows
//! that wait are divided more and more finely, the more of them there are: as many objects as
//! it will be, each reads little that is another's.

use crate::table::key;

/// A partition and a shard of it: what one object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// Number of the partition.
    pub partition: u32,
    /// Number of the shard.
    pub shard: u32,
}

/// How the rows of a partition are cut into objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Into so many.
    Into(u32),
    /// It is open into how many: [`Stage::cut`](super::Stage::cut) says it once all rows are there.
    Open,
}

/// The most objects that a partition is cut into by what its rows are worth.
const MOST: u32 = 1024;

/// The bucket of a key: rows of one bucket are in one object, into whatever power of two they are cut.
pub(super) fn bucket(hash: u128) -> u16 {
    // It is less than MOST.
    u16::try_from(key::shard(hash, MOST)).unwrap_or(0)
}

/// The same of a hash whose rest by a power of two says in which object its row is.
pub(super) fn own_bucket(hash: u32) -> u16 {
    u16::try_from(hash % MOST).unwrap_or(0)
}

/// How finely rows are divided that wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fineness {
    /// The fewest rows that are worth being apart from others.
    pub(super) rows: usize,
    /// Bytes of rows of which an object would be made, at most: encoded they take a fraction of it.
    pub(super) bytes: usize,
}

impl Fineness {
    pub(super) const USUAL: Self = Self { rows: 512, bytes: 64 * 1024 * 1024 };

    /// Into how many parts some rows of a partition are divided, a power of two, when the partition has so
    /// many bytes.
    pub(super) fn parts(self, rows: usize, bytes: usize) -> u32 {
        let parts = (rows / self.rows).min(bytes / self.bytes);
        let parts = u32::try_from(parts).unwrap_or(MOST).clamp(1, MOST);
        1 << parts.ilog2()
    }
}

/// Into how many objects, each of about `object` bytes, the partitions of a new table are cut that are
/// of these sizes: a power of two. A partition counts by its bytes, because most rows are in the large ones.
pub(crate) fn objects(partitions: impl IntoIterator<Item = u64>, object: u64) -> u32 {
    let sums = partitions
        .into_iter()
        .map(u128::from)
        .fold((0, 0), |(sum, squares), bytes| (sum + bytes, squares + bytes * bytes));
    let (sum, squares) = sums;
    let usual = squares / sum.max(1);
    let object = u128::from(object.max(1));
    let mut parts: u32 = 1;
    // The power of two that is next by its factor: 90 MB and 181 MB are as near to 128 MB as can be.
    while parts < MOST
        && usual * usual > object * object * u128::from(parts) * u128::from(parts) * 2
    {
        parts *= 2;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_in_one_object_into_whatever_power_of_two_the_rows_are_cut() {
        for hash in [0, 1, 77, u128::MAX, u128::from(u64::MAX), 1 << 64, 123_456_789_123_456_789] {
            for power in 0..=10 {
                let shards = 1 << power;
                assert_eq!(u32::from(bucket(hash)) % shards, key::shard(hash, shards));
            }
        }
    }

    #[test]
    fn rows_are_divided_the_more_finely_the_more_there_are() {
        let mb = 1 << 20;
        for (rows, bytes, parts) in [
            (0, 0, 1),
            (100_000, 60 * mb, 1),
            (100_000, 130 * mb, 2),
            (100_000, 700 * mb, 8),
            (1_100, 700 * mb, 2),
            (usize::MAX, usize::MAX, 1024),
        ] {
            assert_eq!(Fineness::USUAL.parts(rows, bytes), parts, "{rows}, {bytes}");
        }
    }

    #[test]
    fn objects_come_near_their_size_where_most_rows_are() {
        for (partitions, parts) in [
            (vec![], 1),
            (vec![0], 1),
            (vec![180], 1),
            (vec![182], 2),
            (vec![128 * 8], 8),
            // Small partitions beside a large one, and a large one beside many small ones.
            (vec![1, 2, 128 * 4], 4),
            ([vec![100; 1000], vec![1000]].concat(), 1),
            (vec![u64::MAX], 1024),
        ] {
            assert_eq!(objects(partitions.iter().copied(), 128), parts, "{partitions:?}");
        }
    }
}
