//! How many values and rows cleaning took away.

use std::cell::Cell;

/// What cleaning changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Values that became null.
    pub(crate) nulled: u64,
    /// Empty rows that were left out.
    pub(crate) skipped: u64,
}

// serde calls the functions of this file with a deserializer and nothing else, so there is no argument
// that could carry the counts: a `DeserializeSeed` would have to replace every derived `Deserialize`.
// The channel is hidden, but it is short: it opens and closes in `counting`, around one synchronous
// call, during which nothing else runs on this thread.
thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { nulled: 0, skipped: 0 }) };
}

/// Reads something, and counts what cleaning changed in it. Not to be nested.
pub(crate) fn counting<T>(read: impl FnOnce() -> T) -> (T, Counts) {
    COUNTS.take();
    let value = read();
    (value, COUNTS.take())
}

/// Null, because the value is nothing of the kind.
pub(super) fn nulled<T>() -> Option<T> {
    let counts = COUNTS.get();
    COUNTS.set(Counts { nulled: counts.nulled + 1, ..counts });
    None
}

/// Nothing, because the row is empty.
pub(super) fn skipped<T>() -> Option<T> {
    let counts = COUNTS.get();
    COUNTS.set(Counts { skipped: counts.skipped + 1, ..counts });
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_within_is_counted() {
        nulled::<()>();
        let ((), counts) = counting(|| {
            nulled::<()>();
            nulled::<()>();
            skipped::<()>();
        });
        assert_eq!(counts, Counts { nulled: 2, skipped: 1 });
        assert_eq!(counting(|| ()).1, Counts::default());
    }
}
