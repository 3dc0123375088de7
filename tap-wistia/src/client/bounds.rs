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

/// Bytes of all texts of a body: they are in memory as columns too, beside the body.
const TEXTS: usize = 32 * 1024 * 1024;

/// Bytes of one text: its record is in memory once more.
const TEXT: usize = 8 * 1024 * 1024;

/// What there is too much of in a body, in words.
pub(super) fn excess(body: &[u8]) -> Option<&'static str> {
    // Those within texts count too: it is not worth a parser.
    if memchr::memchr_iter(b'{', body).count() > OBJECTS {
        return Some("20,000 objects");
    }
    if memchr::memchr_iter(b',', body).count() > VALUES {
        return Some("500,000 values");
    }
    if body.len() <= TEXT {
        return None;
    }
    let (mut all, mut began) = (0, None);
    for quote in memchr::memchr_iter(b'"', body) {
        let Some(begin) = began else {
            began = Some(quote + 1);
            continue;
        };
        let text = &body[begin..quote];
        if text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
            // The quote is a part of the text.
            continue;
        }
        began = None;
        all += text.len();
        if text.len() > TEXT {
            return Some("8 MiB in one text");
        }
    }
    (all > TEXTS).then_some("32 MiB of text")
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

    #[test]
    fn texts_are_bounded_one_by_one_and_together() {
        let mib = 1024 * 1024;
        let text = |length: usize| format!("\"{}\"", "x".repeat(length));
        assert_eq!(excess(text(TEXT).as_bytes()), None);
        assert_eq!(excess(text(TEXT + 1).as_bytes()), Some("8 MiB in one text"));
        assert_eq!(excess(format!("[1,{}]", " ".repeat(60 * mib)).as_bytes()), None);
        assert_eq!(excess(vec![text(mib); 32].join(",").as_bytes()), None);
        assert_eq!(excess(vec![text(mib); 33].join(",").as_bytes()), Some("32 MiB of text"));
        let quotes = format!("\"{}\\\\\"", r#"\""#.repeat(5 * mib));
        assert_eq!(excess(quotes.as_bytes()), Some("8 MiB in one text"));
        let ends = [r#""\\""#, &" ".repeat(9 * mib), &text(7)].join(",");
        assert_eq!(excess(ends.as_bytes()), None, "a backslash ends the first");
    }
}
