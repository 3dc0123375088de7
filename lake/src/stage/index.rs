//! Numbers by 128-bit hashes, in memory.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use super::entry::Entry;

/// A number for each hash: 24 bytes and what the table leaves free.
#[derive(Debug, Default)]
pub(super) struct HashIndex {
    table: HashTable<Entry>,
}

impl HashIndex {
    /// Gives a hash this number, whatever it had.
    pub(super) fn insert(&mut self, hash: u128, number: u64) {
        self.change(hash, |_| number);
    }

    /// Counts a hash once more.
    pub(super) fn count(&mut self, hash: u128) {
        self.change(hash, |number| number + 1);
    }

    /// Changes the number of a hash, which is 0 to begin with.
    fn change(&mut self, hash: u128, change: impl Fn(u64) -> u64) {
        let entry = Entry::new(hash, change(0));
        match self.table.entry(entry.low(), |other| other.hash() == hash, Entry::low) {
            Slot::Occupied(mut slot) => slot.get_mut().number = change(slot.get().number),
            Slot::Vacant(slot) => {
                slot.insert(entry);
            }
        }
    }

    /// Counts a hash once less, and forgets one that is down to nothing. Whether it was there.
    pub(super) fn take_one(&mut self, hash: u128) -> bool {
        let low = Entry::new(hash, 0).low();
        let Ok(mut slot) = self.table.find_entry(low, |other| other.hash() == hash) else {
            return false;
        };
        slot.get_mut().number -= 1;
        if slot.get().number == 0 {
            slot.remove();
        }
        true
    }

    /// Whether a hash has a number.
    pub(super) fn contains(&self, hash: u128) -> bool {
        let low = Entry::new(hash, 0).low();
        self.table.find(low, |other| other.hash() == hash).is_some()
    }

    /// All of them, in no order.
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.table.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Memory in bytes, as it is after some more hashes: a table that is nearly full is about to double.
    pub(super) fn bytes(&self) -> usize {
        let is_nearly_full = self.table.len() >= self.table.capacity() / 8 * 7;
        self.table.allocation_size() * if is_nearly_full { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_a_hash_is_its_own() {
        let mut index = HashIndex::default();
        index.insert(7 << 64, 0);
        index.insert(8, 1);
        index.insert(7 << 64, 70);
        assert!(index.contains(8) && index.contains(7 << 64) && !index.contains(7));
        let mut entries: Vec<_> = index.entries().copied().collect();
        entries.sort();
        assert_eq!(entries, [Entry::new(8, 1), Entry::new(7 << 64, 70)]);
    }

    #[test]
    fn a_hash_is_there_as_often_as_it_was_counted() {
        let mut index = HashIndex::default();
        for hash in [7, 8, 7] {
            index.count(hash);
        }
        let taken = [7, 7, 7, 8, 9].map(|hash| index.take_one(hash));
        assert_eq!(taken, [true, true, false, true, false]);
        assert!(index.is_empty());
    }

    #[test]
    fn a_table_that_is_about_to_grow_says_so() {
        let mut index = HashIndex::default();
        for key in 0..100_000_u32 {
            let (before, soon) = (index.table.allocation_size(), index.bytes());
            let hash = u128::from(key) << 64 | u128::from(key.wrapping_mul(0x9E37_79B9));
            index.insert(hash, key.into());
            // Small tables grow by other steps, and nobody minds.
            let after = index.table.allocation_size();
            let has_grown = after > before && before > 4096;
            assert!(!has_grown || soon >= after / 10 * 9, "{key}: {before}, {soon}");
        }
    }
}
