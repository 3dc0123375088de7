//! Which staged rows count: one bit a row.

use std::sync::Arc;

use super::entry::Entry;
use super::runs::Runs;
use super::temporary::{Extent, SpillFile};
use crate::error::{Error, Result};

/// The part of the memory that the bits may take before they go to the temporary file.
const SHARE: u64 = 8;

/// Bits of a word.
const WORD: u64 = u64::BITS as u64;

/// Bytes of a word.
const WORD_BYTES: u64 = WORD / 8;

/// Bits of some rows that follow each other.
#[derive(Debug, Clone)]
pub(crate) struct Bits {
    /// The row of the first bit, a multiple of [`WORD`].
    from: u64,
    words: Vec<u64>,
}

impl Bits {
    /// No row counts of those from one up to another.
    pub(super) fn none(from: u64, to: u64) -> Self {
        let from = from / WORD * WORD;
        let words = usize::try_from((to - from).div_ceil(WORD)).unwrap_or(usize::MAX);
        Self { from, words: vec![0; words] }
    }

    fn place(&self, row: u64) -> Option<usize> {
        usize::try_from(row.checked_sub(self.from)? / WORD).ok()
    }

    /// A row counts. Whether it is one of these.
    pub(super) fn set(&mut self, row: u64) -> bool {
        let word = self.place(row).and_then(|place| self.words.get_mut(place));
        let is_inside = word.is_some();
        if let Some(word) = word {
            *word |= 1 << (row % WORD);
        }
        is_inside
    }

    fn contains(&self, row: u64) -> bool {
        let word = self.place(row).and_then(|place| self.words.get(place));
        word.is_some_and(|word| word >> (row % WORD) & 1 == 1)
    }
}

/// Which rows count.
#[derive(Debug)]
pub(crate) enum RowSet {
    /// Every row does.
    All,
    /// These do.
    Of(Bits),
    /// These do, whose bits are in the temporary file.
    Spilled(Extent),
}

impl RowSet {
    /// Of so many rows those that `each` hands on, in any order. What does not fit into memory goes to
    /// the file, if there is one.
    pub(super) fn collect(
        rows: u64,
        file: Option<&Arc<SpillFile>>,
        each: impl FnOnce(&mut dyn FnMut(u64) -> Result<()>) -> Result<()>,
    ) -> Result<Self> {
        let is_large = |file: &&Arc<SpillFile>| rows / 8 > file.memory() as u64 / SHARE;
        if let Some(file) = file.filter(is_large) {
            return Self::spill(rows, file, each).map(Self::Spilled);
        }
        let mut bits = Bits::none(0, rows);
        each(&mut |row| if bits.set(row) { Ok(()) } else { Err(no_row(row, rows)) })?;
        Ok(Self::Of(bits))
    }

    fn spill(
        rows: u64,
        file: &Arc<SpillFile>,
        each: impl FnOnce(&mut dyn FnMut(u64) -> Result<()>) -> Result<()>,
    ) -> Result<Extent> {
        // In the order of the rows the bits follow each other.
        let mut ordered = Runs::new(file);
        let mut waiting = Vec::new();
        each(&mut |row| {
            waiting.push(Entry::new(row.into(), 0));
            if waiting.len() < ordered.most() {
                return Ok(());
            }
            ordered.push(std::mem::take(&mut waiting))
        })?;
        ordered.push(waiting)?;
        let extent = Extent::reserve(file, rows.div_ceil(WORD) * WORD_BYTES);
        let window = (file.memory() as u64 / SHARE * 8).max(WORD) / WORD * WORD;
        let mut bits = Bits::none(0, window.min(rows));
        let advance = |bits: &mut Bits| -> Result<bool> {
            let bytes: Vec<u8> = bits.words.iter().flat_map(|word| word.to_le_bytes()).collect();
            extent.write(bits.from / 8, &bytes)?;
            let from = bits.from + bits.words.len() as u64 * WORD;
            *bits = Bits::none(from, (from + window).min(rows).max(from));
            Ok(from < rows)
        };
        Runs::each_range(&[&ordered], &mut |entries| {
            for entry in entries {
                let row = u64::try_from(entry.hash()).unwrap_or(u64::MAX);
                while !bits.set(row) {
                    if !advance(&mut bits)? {
                        return Err(no_row(row, rows));
                    }
                }
            }
            Ok(())
        })?;
        while advance(&mut bits)? {}
        Ok(extent)
    }

    /// Which of the rows from one up to another count, to ask for about so many of them.
    pub(crate) fn span(&self, from: u64, to: u64, rows: usize) -> Result<Span<'_>> {
        match self {
            Self::All => Ok(Span::All),
            Self::Of(bits) => Ok(Span::Borrowed(bits)),
            // Rather word by word than all between rows that lie far apart.
            Self::Spilled(extent) if (to - from) / WORD > 8 * rows as u64 => Ok(Span::Far(extent)),
            Self::Spilled(extent) => {
                let mut bits = Bits::none(from, to);
                let mut bytes = vec![0; bits.words.len() * size_of::<u64>()];
                extent.read(bits.from / 8, &mut bytes)?;
                let words = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
                bits.words = words.collect();
                Ok(Span::Read(bits))
            }
        }
    }
}

/// Which of some rows count.
#[derive(Debug)]
pub(crate) enum Span<'a> {
    All,
    Borrowed(&'a Bits),
    Read(Bits),
    Far(&'a Extent),
}

impl Span<'_> {
    pub(crate) fn contains(&self, row: u64) -> Result<bool> {
        match self {
            Self::All => Ok(true),
            Self::Borrowed(bits) => Ok(bits.contains(row)),
            Self::Read(bits) => Ok(bits.contains(row)),
            Self::Far(extent) => {
                let mut word = [0; size_of::<u64>()];
                extent.read(row / WORD * WORD_BYTES, &mut word)?;
                Ok(u64::from_le_bytes(word) >> (row % WORD) & 1 == 1)
            }
        }
    }
}

fn no_row(row: u64, rows: u64) -> Error {
    Error::internal(format!("row {row} of a key is one of {rows} staged rows"))
}
