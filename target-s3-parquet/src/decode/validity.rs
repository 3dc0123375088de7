//! Which rows of a column have a value.

use arrow::buffer::NullBuffer;

/// The null bitmap of a column. There are bits only once there is a null, and then one a row.
#[derive(Debug, Default)]
pub(super) struct Validity {
    bits: Vec<bool>,
    len: usize,
}

impl Validity {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn push(&mut self, valid: bool) {
        if !valid || !self.bits.is_empty() {
            self.bits.resize(self.len, true);
            self.bits.push(valid);
        }
        self.len += 1;
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.bits.truncate(len);
        self.len = self.len.min(len);
    }

    pub(super) fn take(&mut self) -> Option<NullBuffer> {
        self.len = 0;
        if self.bits.is_empty() {
            return None;
        }
        let nulls = NullBuffer::from(self.bits.as_slice());
        self.bits.clear();
        Some(nulls)
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.bits.get(row) == Some(&false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_before_the_first_null_are_valid_and_taking_back_rows_takes_back_their_nulls() {
        let mut validity = Validity::default();
        validity.push(true);
        validity.push(true);
        assert!(!validity.is_null(1));
        validity.push(false);
        validity.push(true);
        assert_eq!(
            (0..4).map(|row| validity.is_null(row)).collect::<Vec<_>>(),
            [false, false, true, false]
        );
        validity.truncate(2);
        validity.push(true);
        let nulls = validity.take().map_or(0, |nulls| nulls.null_count());
        assert_eq!(nulls, 0);
    }

    #[test]
    fn a_column_without_nulls_has_no_bitmap() {
        let mut validity = Validity::default();
        validity.push(true);
        assert!(validity.take().is_none());
        assert_eq!(validity.len(), 0);
    }
}
