//! What a value looks like, in words that do not tell the value.

use super::decode::UNDECODABLE;

/// Members and characters that are shown.
const SHOWN: usize = 5;

/// Characters of a text that are shown.
const LENGTH: usize = 24;

/// An object, by the names of its members.
pub(super) fn object(names: &[String]) -> String {
    let rest = if names.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| printable(name)).collect();
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
    let mask = |character: char| match character {
        c if c.is_numeric() => '9',
        c if c.is_alphabetic() => 'a',
        c if c.is_ascii_graphic() || c == ' ' => c,
        _ => '?',
    };
    let shown: String = text.chars().take(LENGTH).map(mask).collect();
    let rest = if text.chars().nth(LENGTH).is_some() { "…" } else { "" };
    format!("a text like `{shown}{rest}`")
}

/// A name as it may stand in a line of text. It is not cut: it may be a token, of which half would not be
/// known any more.
fn printable(name: &str) -> String {
    let mask = |character: char| if character.is_control() { '?' } else { character };
    name.chars().map(mask).collect()
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
        assert_eq!(object(&["a\u{1b}[1m".into()]), "an object with a?[1m");
        assert_eq!(object(&[]), "an empty object");
    }
}
