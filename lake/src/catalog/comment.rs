//! Comments of columns, as the catalog takes them.

/// Longest comment of a column
/// (<https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html>).
const MAX_COMMENT: usize = 255;

/// A description as a comment: one line, not too long.
pub(crate) fn comment(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty());
    let mut text = words.collect::<Vec<_>>().join(" ");
    text.truncate(text.floor_char_boundary(MAX_COMMENT));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_one_line_and_not_too_long() {
        assert_eq!(comment("a\n\n b\u{7}\tc"), "a b c");
        let long = comment(&"ä".repeat(200));
        assert!(long.len() <= MAX_COMMENT && long.len() > MAX_COMMENT - 2);
    }
}
