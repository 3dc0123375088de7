//! Bodies that are nearly JSON: a byte that is no UTF-8, half a surrogate pair, a number beyond every
//! double. One such value must not take its whole answer away, so that it is marked and the rest read.

use std::borrow::Cow;

/// What stands in the place of a value that cannot be decoded.
pub(super) const UNDECODABLE: &str = "\u{0}undecodable";

/// [`UNDECODABLE`] as JSON has it.
const MARK: &[u8] = br#""\u0000undecodable""#;

/// Words that some JSON writers put where a number is none.
const WORDS: [&[u8]; 4] = [b"NaN", b"Infinity", b"-Infinity", b"-NaN"];

/// The body with a mark in the place of each scalar that cannot be decoded. Whether the rest is JSON
/// shows when it is parsed.
pub(crate) fn decodable(body: &[u8]) -> Cow<'_, [u8]> {
    let mut decodable = Vec::new();
    // Everything before it is in `decodable` already.
    let mut copied = 0;
    let mut at = 0;
    while at < body.len() {
        let end = scalar(body, at);
        if end > at && !is_decodable(&body[at..end]) {
            decodable.extend_from_slice(&body[copied..at]);
            decodable.extend_from_slice(MARK);
            copied = end;
        }
        at = end.max(at + 1);
    }
    if copied == 0 {
        return Cow::Borrowed(body);
    }
    decodable.extend_from_slice(&body[copied..]);
    Cow::Owned(decodable)
}

/// Where the text, number or word ends that begins at a place; the place itself where none does.
fn scalar(body: &[u8], start: usize) -> usize {
    let rest = &body[start..];
    match rest[0] {
        b'"' => {
            let mut at = 1;
            while at < rest.len() {
                match rest[at] {
                    b'"' => return start + at + 1,
                    b'\\' => at += 2,
                    _ => at += 1,
                }
            }
            start
        }
        b'-' | b'0'..=b'9' | b'N' | b'I' => {
            if let Some(word) = WORDS.into_iter().find(|word| rest.starts_with(word)) {
                return start + word.len();
            }
            let is_of_number = |byte: &u8| {
                byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')
            };
            start + rest.iter().take_while(|byte| is_of_number(byte)).count()
        }
        _ => start,
    }
}

fn is_decodable(scalar: &[u8]) -> bool {
    match scalar[0] {
        b'"' => serde_json::from_slice::<Cow<'_, str>>(scalar).is_ok(),
        _ => serde_json::from_slice::<f64>(scalar).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> String {
        String::from_utf8(decodable(body).into_owned()).unwrap()
    }

    #[test]
    fn what_can_be_decoded_is_left_as_it_is() {
        for body in [
            r#"{"a":"\ud83d\ude00 \" \\","b":[-1.5e3,0,true,null,"é"],"c":{}}"#,
            "",
            "[1,2",
            r#"{"a":"cut"#,
        ] {
            assert!(matches!(decodable(body.as_bytes()), Cow::Borrowed(_)), "{body}");
        }
    }

    #[test]
    fn what_cannot_is_marked_and_the_rest_stays() {
        let mark = r#""\u0000undecodable""#;
        for odd in [
            &b"\"\xff\""[..],
            br#""\ud800""#,
            br#""\udc00 x""#,
            b"1e400",
            b"-1e400",
            b"NaN",
            b"-Infinity",
        ] {
            let body = [b"{\"a\":1,\"b\":", odd, b",\"c\":\"d\"}"].concat();
            assert_eq!(read(&body), format!(r#"{{"a":1,"b":{mark},"c":"d"}}"#));
        }
        assert_eq!(read(b"{\"\xff\":[\"a\xff\",\"b\"]}"), format!(r#"{{{mark}:[{mark},"b"]}}"#));
    }

    #[test]
    fn the_mark_is_the_text_that_cleaning_knows() {
        assert_eq!(serde_json::from_slice::<String>(MARK).unwrap(), UNDECODABLE);
    }
}
