//! What a value looks like, in words that do not tell the value.

use super::decode::UNDECODABLE;

/// Members and characters that are shown.
const SHOWN: usize = 5;

/// Characters of a text that are shown.
const LENGTH: usize = 24;

/// An object, by the names of its members.
pub(super) fn object(names: &[String]) -> String {
    let rest = if names.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| self::name(name)).collect();
    match names.len() {
        0 => "an empty object".into(),
        _ => format!("an object with {}{rest}", shown.join(", ")),
    }
}

/// A list, by its length.
pub(super) fn list(length: usize) -> String {
    format!("a list of {length}")
}

/// A text, with `a` for each letter and `9` for each digit.
pub(crate) fn text(text: &str) -> String {
    if text == UNDECODABLE {
        return "a value that cannot be decoded".into();
    }
    format!("a text like `{}`", masked(text))
}

/// The name of a member, where it is one. An object may as well list things by their ids, or people by
/// their addresses: of such a name the shape is told. A name is not cut: it may be a token, of which half
/// would not be known any more.
pub(crate) fn name(name: &str) -> String {
    const LONGEST: usize = 64;
    const DIGITS: usize = 4;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    if name.len() <= LONGEST && digits <= DIGITS && name.bytes().all(is_word) {
        name.to_owned()
    } else {
        masked(name)
    }
}

/// The beginning of a text, without what it says.
fn masked(text: &str) -> String {
    let mask = |character: char| match character {
        c if c.is_numeric() => '9',
        c if c.is_alphabetic() => 'a',
        c if c.is_ascii_graphic() || c == ' ' => c,
        _ => '?',
    };
    let shown: String = text.chars().take(LENGTH).map(mask).collect();
    let rest = if text.chars().nth(LENGTH).is_some() { "…" } else { "" };
    format!("{shown}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_does_not_tell_the_value() {
        assert_eq!(text("Ada@example.com 7\n"), "a text like `aaa@aaaaaaa.aaa 9?`");
        assert_eq!(text(&"é".repeat(30)), format!("a text like `{}…`", "a".repeat(24)));
        assert_eq!(list(3), "a list of 3");
    }

    #[test]
    fn an_object_is_told_by_its_first_members() {
        let names: Vec<String> = "abcdefg".chars().map(String::from).collect();
        assert_eq!(object(&names), "an object with a, b, c, d, e, …");
        assert_eq!(object(&["a\u{1b}[1m".into()]), "an object with a?[9a");
        assert_eq!(object(&[]), "an empty object");
    }

    #[test]
    fn a_name_that_is_none_is_told_by_its_shape() {
        for (said, shown) in [
            ("visitor_key", "visitor_key"),
            ("lat-2", "lat-2"),
            ("ada@example.com", "aaa@aaaaaaa.aaa"),
            ("192-0-2-117", "999-9-9-999"),
            ("f00112233445566778899AABB", "a99999999999999999999aaa…"),
            ("Ada Lovelace", "aaa aaaaaaaa"),
        ] {
            assert_eq!(name(said), shown);
        }
    }
}
