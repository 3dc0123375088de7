//! How much an answer may be. What is larger is none of Wistia's, whose largest pages have some hundred
//! kilobytes and some thousand values, and would take the memory of the machine.

/// Bytes of a body, after decompression.
pub(super) const BYTES: usize = 64 * 1024 * 1024;

/// [`BYTES`] in words.
pub(super) const BYTES_IN_WORDS: &str = "64 MiB";

/// Values of a body, as far as there are commas between them. A few bytes of JSON become many in
/// memory.
const VALUES: usize = 500_000;

/// Objects of a body. Each may be a row, whose columns take their place even where it has none.
const OBJECTS: usize = 20_000;

/// What there is too much of in a body, in words.
pub(super) fn excess(body: &[u8]) -> Option<&'static str> {
    // Those within texts count too: it is not worth a parser.
    if memchr::memchr_iter(b'{', body).take(OBJECTS + 1).count() > OBJECTS {
        return Some("20,000 objects");
    }
    if memchr::memchr_iter(b',', body).take(VALUES + 1).count() > VALUES {
        return Some("500,000 values");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_things_are_counted_too() {
        assert_eq!(excess("{},".repeat(20_000).as_bytes()), None);
        assert_eq!(excess("{},".repeat(20_001).as_bytes()), Some("20,000 objects"));
        assert_eq!(excess("1,".repeat(500_000).as_bytes()), None);
        assert_eq!(excess("1,".repeat(500_001).as_bytes()), Some("500,000 values"));
    }
}
