//! Strings from JSON text: escapes, truncation, and compact JSON.

use super::scan::Text;

/// Appends a string's characters. Returns how many lone surrogates had to be replaced by U+FFFD.
#[inline]
pub(crate) fn append(text: Text<'_>, into: &mut Vec<u8>) -> Result<u64, &'static str> {
    if text.escaped {
        unescape(text.raw, into)
    } else {
        into.extend_from_slice(text.raw);
        Ok(0)
    }
}

fn unescape(raw: &[u8], into: &mut Vec<u8>) -> Result<u64, &'static str> {
    let mut replaced = 0;
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        into.extend_from_slice(plain);
        let Some((kind, tail)) = escape.get(1..).and_then(<[u8]>::split_first) else {
            return Err("a complete escape");
        };
        rest = tail;
        match kind {
            b'"' | b'\\' | b'/' => into.push(*kind),
            b'b' => into.push(8),
            b'f' => into.push(12),
            b'n' => into.push(b'\n'),
            b'r' => into.push(b'\r'),
            b't' => into.push(b'\t'),
            b'u' => {
                let (character, after, lone) = unicode(rest)?;
                replaced += lone;
                rest = after;
                let mut bytes = [0; 4];
                into.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
            }
            _ => return Err("a known escape"),
        }
    }
    into.extend_from_slice(rest);
    Ok(replaced)
}

/// The character of `\uXXXX`, which may be the first half of a pair.
fn unicode(rest: &[u8]) -> Result<(char, &[u8], u64), &'static str> {
    let (unit, after) = hex4(rest)?;
    if let Some(character) = char::from_u32(unit) {
        return Ok((character, after, 0));
    }
    if (0xd800..0xdc00).contains(&unit)
        && let Some(low) = after.strip_prefix(b"\\u")
    {
        let (second, after) = hex4(low)?;
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
            return Ok((char::from_u32(code).unwrap_or('\u{fffd}'), after, 0));
        }
    }
    Ok(('\u{fffd}', after, 1))
}

fn hex4(rest: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    let fault = "four hexadecimal digits after \\u";
    let (digits, after) = rest.split_at_checked(4).ok_or(fault)?;
    let mut value = 0;
    for digit in digits {
        value = value * 16 + char::from(*digit).to_digit(16).ok_or(fault)?;
    }
    Ok((value, after))
}

/// Truncates what was appended after `start` to at most `limit` bytes, at a character's border.
pub(crate) fn truncate(bytes: &mut Vec<u8>, start: usize, limit: usize) -> bool {
    if bytes.len() - start <= limit {
        return false;
    }
    let mut end = start + limit;
    while end > start && bytes.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    bytes.truncate(end);
    true
}

/// Appends JSON text without the white space between its tokens, and with the characters in its strings
/// that are escaped without need. Returns how many lone surrogates had to be replaced by U+FFFD.
pub(crate) fn append_compact(json: &[u8], into: &mut Vec<u8>) -> Result<u64, &'static str> {
    let mut replaced = 0;
    let mut rest = json;
    while let Some(byte) = rest.first() {
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            b'"' => {
                let (length, is_escaped) = string_length(rest);
                if is_escaped {
                    let (token, after) = rest.split_at(length.min(rest.len()));
                    replaced += append_string(token, into)?;
                    rest = after;
                    continue;
                }
                length
            }
            _ => rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b' ' | b'\t' | b'\r' | b'\n'))
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length.min(rest.len()));
        into.extend_from_slice(token);
        rest = after;
    }
    Ok(replaced)
}

/// The length of a string with its quotes, and whether there is an escape in it.
fn string_length(quoted: &[u8]) -> (usize, bool) {
    let mut at = 1;
    let mut is_escaped = false;
    while let Some(offset) = memchr::memchr2(b'"', b'\\', quoted.get(at..).unwrap_or_default()) {
        at += offset;
        if quoted.get(at) == Some(&b'"') {
            return (at + 1, is_escaped);
        }
        is_escaped = true;
        at += 2;
    }
    (quoted.len(), is_escaped)
}

/// Appends a string in its quotes, with no escapes but those that JSON asks for
/// (<https://www.rfc-editor.org/rfc/rfc8259#section-7>).
fn append_string(quoted: &[u8], into: &mut Vec<u8>) -> Result<u64, &'static str> {
    let raw = quoted.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\""));
    let mut characters = Vec::with_capacity(quoted.len());
    let replaced = unescape(raw.ok_or("a string in quotes")?, &mut characters)?;
    into.push(b'"');
    for byte in characters {
        let short = match byte {
            b'"' | b'\\' => byte,
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => {
                into.extend_from_slice(b"\\u00");
                let digit = |half: u8| char::from_digit(half.into(), 16).map_or(b'0', |c| c as u8);
                into.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                continue;
            }
            _ => {
                into.push(byte);
                continue;
            }
        };
        into.extend_from_slice(&[b'\\', short]);
    }
    into.push(b'"');
    Ok(replaced)
}

/// The start of some text, for an error.
pub(crate) fn shorten(bytes: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(bytes.get(..LONGEST * 4).unwrap_or(bytes));
    let mut short: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < bytes.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unescaped(raw: &str) -> (String, u64) {
        let mut bytes = Vec::new();
        let text = Text { raw: raw.as_bytes(), escaped: true };
        let replaced = append(text, &mut bytes).unwrap();
        (String::from_utf8(bytes).unwrap(), replaced)
    }

    #[test]
    fn escapes_become_characters() {
        assert_eq!(unescaped(r#"a\"b\\c\/d\n\t\u0000"#), ("a\"b\\c/d\n\t\0".into(), 0));
        assert_eq!(unescaped(r"\u00e9 \ud83d\ude00"), ("é 😀".into(), 0));
    }

    #[test]
    fn lone_surrogates_are_replaced_and_counted() {
        assert_eq!(
            unescaped(r"a\ud83db\ude00\ud83d\u0041"),
            ("a\u{fffd}b\u{fffd}\u{fffd}A".into(), 3)
        );
    }

    #[test]
    fn broken_escapes_are_refused() {
        for raw in [r"\x", r"\u12", r"\u12zz", "\\"] {
            let text = Text { raw: raw.as_bytes(), escaped: true };
            assert!(append(text, &mut Vec::new()).is_err(), "{raw}");
        }
    }

    #[test]
    fn strings_are_truncated_between_characters() {
        let mut bytes = "xxaé€".as_bytes().to_vec();
        assert!(truncate(&mut bytes, 2, 4));
        assert_eq!(String::from_utf8(bytes).unwrap(), "xxaé");
    }

    fn compacted(json: &str) -> (String, u64) {
        let mut bytes = Vec::new();
        let replaced = append_compact(json.as_bytes(), &mut bytes).unwrap();
        (String::from_utf8(bytes).unwrap(), replaced)
    }

    #[test]
    fn json_is_compacted_outside_of_strings() {
        let found = compacted(r#"{ "a b" : [1,  2, "c \" d"], "e": null }"#);
        assert_eq!(found, (r#"{"a b":[1,2,"c \" d"],"e":null}"#.into(), 0));
    }

    #[test]
    fn strings_in_json_hold_real_characters_and_escapes_where_json_needs_them() {
        for (json, held) in [
            (r#"{"\u00fc":"Z\u00fcrich \ud83d\ude00 \u20ac"}"#, r#"{"ü":"Zürich 😀 €"}"#),
            (r#"["\u0022","\u005c","a\/b"]"#, r#"["\"","\\","a/b"]"#),
            (
                r#""\u0000\u001f\u000a\b\f\n\r\t\u007f""#,
                "\"\\u0000\\u001f\\n\\b\\f\\n\\r\\t\u{7f}\"",
            ),
            (r#""\\u00fc""#, r#""\\u00fc""#),
        ] {
            assert_eq!(compacted(json), (held.into(), 0), "{json}");
        }
        assert_eq!(
            compacted(r#"["\ud83d","\ude00x"]"#),
            ("[\"\u{fffd}\",\"\u{fffd}x\"]".into(), 2)
        );
        for json in [r#""\x""#, r#""\u12""#, r#""\u12zz""#] {
            assert!(append_compact(json.as_bytes(), &mut Vec::new()).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn json_text_means_what_was_sent_and_escapes_nothing_without_need(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let units = units.concat();
            let (held, replaced) = compacted(&format!("[ \"{units}\" ]"));
            prop_assert_eq!(replaced, 0);
            prop_assert_eq!(&held, &serde_json::to_string(&[&text]).unwrap());
        }
    }
}
