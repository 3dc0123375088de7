//! A 128-bit hash with a number.

/// Bytes of an entry in a file.
pub(super) const BYTES: usize = 24;

/// A 128-bit hash with a number: of a row, or how often it comes. Two things with one hash are so
/// unlikely (one in 10^22 for ten million) that they are taken for the same.
///
/// Entries are in the order of their hashes, and those of one hash in that of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    // Halves, because a whole one would take 32 bytes with its number.
    high: u64,
    low: u64,
    pub(super) number: u64,
}

impl Entry {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the hash")]
    pub(super) fn new(hash: u128, number: u64) -> Self {
        Self { high: (hash >> 64) as u64, low: hash as u64, number }
    }

    pub(super) fn hash(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// Half of the hash, for a table in memory.
    pub(super) fn low(&self) -> u64 {
        self.low
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        for part in [self.high, self.low, self.number] {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
    }

    /// The entries that bytes hold.
    pub(super) fn read(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.as_chunks::<BYTES>().0.iter().map(|bytes| {
            let (parts, _) = bytes.as_chunks::<8>();
            let part = |at: usize| parts.get(at).map_or(0, |part| u64::from_le_bytes(*part));
            Self { high: part(0), low: part(1), number: part(2) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_the_same_after_a_file() {
        let entries = [Entry::new(u128::MAX - 7, 3), Entry::new(1 << 64, u64::MAX)];
        let mut bytes = Vec::new();
        for entry in &entries {
            entry.write(&mut bytes);
        }
        assert_eq!(bytes.len(), 2 * BYTES);
        assert_eq!(Entry::read(&bytes).collect::<Vec<_>>(), entries);
        assert_eq!(entries.map(|entry| entry.hash()), [u128::MAX - 7, 1 << 64]);
        assert!(entries[1] < entries[0]);
    }
}
