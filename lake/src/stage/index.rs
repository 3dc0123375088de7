//! Which staged row of each key is the newest.

use hashbrown::HashTable;

/// Half a hash in each of the first four words, the row in the last: 20 bytes a key.
type Entry = [u32; 5];

/// Keys by their 128-bit hash. Two keys with one hash are so unlikely (one in 10^22 for ten
/// million keys) that they are taken for the same.
#[derive(Debug, Default)]
pub struct KeyIndex {
    table: HashTable<Entry>,
}

impl KeyIndex {
    /// Notes that `row` is the newest of its key.
    pub fn insert(&mut self, hash: u128, row: u32) {
        let entry = pack(hash, row);
        match self.table.entry(low(&entry), |other| same(other, &entry), low) {
            hashbrown::hash_table::Entry::Occupied(mut occupied) => *occupied.get_mut() = entry,
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert(entry);
            }
        }
    }

    /// Whether a key is known.
    pub fn contains(&self, hash: u128) -> bool {
        let entry = pack(hash, 0);
        self.table.find(low(&entry), |other| same(other, &entry)).is_some()
    }

    /// The newest rows as a bit set over all rows below `rows`.
    pub fn newest(&self, rows: u32) -> Vec<u64> {
        let mut bits = vec![0_u64; (rows as usize).div_ceil(64)];
        for [.., row] in &self.table {
            if let Some(word) = bits.get_mut(*row as usize / 64) {
                *word |= 1 << (row % 64);
            }
        }
        bits
    }

    /// Memory in bytes.
    pub fn bytes(&self) -> usize {
        self.table.allocation_size()
    }

    /// Memory in bytes after some more keys: a table that is nearly full is about to double.
    pub fn bytes_soon(&self) -> usize {
        let is_nearly_full = self.table.len() >= self.table.capacity() / 8 * 7;
        self.bytes() * if is_nearly_full { 2 } else { 1 }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the words of the hash")]
fn pack(hash: u128, row: u32) -> Entry {
    [hash as u32, (hash >> 32) as u32, (hash >> 64) as u32, (hash >> 96) as u32, row]
}

fn low(entry: &Entry) -> u64 {
    u64::from(entry[0]) | u64::from(entry[1]) << 32
}

fn same(left: &Entry, right: &Entry) -> bool {
    left[..4] == right[..4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_of_a_key_is_the_newest() {
        let mut index = KeyIndex::default();
        index.insert(7 << 64, 0);
        index.insert(8, 1);
        index.insert(7 << 64, 70);
        assert!(index.contains(8) && index.contains(7 << 64) && !index.contains(7));
        assert_eq!(index.newest(71), [0b10, 1 << 6]);
    }

    #[test]
    fn a_table_that_is_about_to_grow_says_so() {
        let mut index = KeyIndex::default();
        for key in 0..100_000_u32 {
            let (before, soon) = (index.bytes(), index.bytes_soon());
            index.insert(u128::from(key) << 64 | u128::from(key.wrapping_mul(0x9E37_79B9)), key);
            // Small tables grow by other steps, and nobody minds.
            let has_grown = index.bytes() > before && before > 4096;
            assert!(!has_grown || soon >= index.bytes() / 10 * 9, "{key}: {before}, {soon}");
        }
    }
}
