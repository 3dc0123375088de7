//! Text of a server, made fit for a person: on one line, without control characters, never long, and
//! without the token.

use program::Secret;

/// Characters of a text that are shown.
const CHARACTERS: usize = 200;

/// Bytes of a text that are looked at.
const BYTES: usize = 8 * 1024;

/// Tokens that are shorter are words of the language, and no secrets.
const SHORTEST_TOKEN: usize = 4;

/// What stands in the place of a token.
const HIDDEN: &str = "***";

/// Shows what a server says.
#[derive(Clone, Default)]
pub(crate) struct Shown {
    /// The token, in every form in which it might come back. The longest stand first.
    tokens: Vec<String>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Shown")
    }
}

impl Shown {
    /// Hides this token.
    pub(crate) fn hiding(token: &Secret) -> Self {
        let token = token.expose().trim();
        if token.len() < SHORTEST_TOKEN {
            return Self::default();
        }
        let escaped: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let mut tokens = vec![token.to_owned(), escaped];
        // As a gateway might pass it on: https://docs.wistia.com/docs/authentication had it so.
        for credentials in [format!("api:{token}"), format!("{token}:"), format!(":{token}")] {
            tokens.push(base64(credentials.as_bytes()));
        }
        tokens.push(base64(token.as_bytes()));
        for form in &mut tokens {
            let unpadded = form.trim_end_matches('=').len();
            form.truncate(unpadded);
        }
        tokens.sort_by_key(|form| std::cmp::Reverse(form.len()));
        tokens.dedup();
        Self { tokens }
    }

    /// A text of a server on one line.
    pub(crate) fn line(&self, text: &str) -> String {
        let mut end = text.len().min(BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut known = self.without_token(&text[..end]);
        if end < text.len() {
            // The cut may have gone through a token.
            let longest = self.tokens.first().map_or(0, String::len);
            let mut kept = known.len().saturating_sub(longest);
            while !known.is_char_boundary(kept) {
                kept -= 1;
            }
            known.truncate(kept);
        }
        let mut line = String::new();
        let mut shown = 0;
        for word in known.split_whitespace() {
            if shown > 0 {
                line.push(' ');
                shown += 1;
            }
            for character in word.chars() {
                if shown >= CHARACTERS {
                    line.push('…');
                    return line;
                }
                if misleads(character) {
                    line.extend(character.escape_unicode());
                } else {
                    line.push(character);
                }
                shown += 1;
            }
        }
        if end < text.len() {
            line.push('…');
        }
        line
    }

    /// The start of a body of a server on one line.
    pub(crate) fn bytes(&self, body: &[u8]) -> String {
        // Longer than what is looked at, so that a token at the cut is seen to be cut.
        self.line(&String::from_utf8_lossy(&body[..body.len().min(2 * BYTES)]))
    }

    fn without_token(&self, text: &str) -> String {
        self.tokens.iter().fold(text.to_owned(), |text, token| {
            if text.contains(token.as_str()) { text.replace(token.as_str(), HIDDEN) } else { text }
        })
    }
}

/// Whether a terminal would act on a character, or show the text in another order than it is.
fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text of bytes as `Authorization: Basic` has it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | usize::from(chunk.get(at).copied().unwrap_or_default())
        });
        // Each byte of the input begins another digit; the rest is padding, which is left out.
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[bits >> (18 - 6 * digit) & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Shown::hiding(&Secret::new("simulated+token")).line(text)
    }

    #[test]
    fn the_token_is_hidden_in_every_form() {
        assert_eq!(shown("Bearer simulated+token, or"), "Bearer ***, or");
        assert_eq!(shown("?access_token=simulated%2Btoken"), "?access_token=***");
        // printf 'api:simulated+token' | base64
        assert_eq!(shown("Basic YXBpOnNpbXVsYXRlZCt0b2tlbg=="), "Basic ***==");
        assert_eq!(shown("c2ltdWxhdGVkK3Rva2Vu"), "***");
        assert_eq!(format!("{:?}", Shown::hiding(&Secret::new("simulated"))), "Shown");
    }

    #[test]
    fn a_cut_never_leaves_a_part_of_the_token() {
        for before in BYTES - 20..BYTES + 2 {
            let text = format!("a{}simulated+token {}", " ".repeat(before), "x".repeat(99));
            let shown = Shown::hiding(&Secret::new("simulated+token"));
            for line in [shown.line(&text), shown.bytes(text.as_bytes())] {
                assert!(!line.contains("simu"), "{before}: {line}");
            }
        }
    }

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(shown("a\u{1b}[31mb"), r"a\u{1b}[31mb");
        assert_eq!(shown("a\u{202e}b\u{9b}c\0d\u{7f}"), r"a\u{202e}b\u{9b}c\u{0}d\u{7f}");
        assert_eq!(shown("grüße\u{feff} 日本 🎬"), r"grüße\u{feff} 日本 🎬");
    }

    #[test]
    fn a_text_is_one_line_and_never_long() {
        assert_eq!(shown("<html>\n  <h1>Bad\tGateway\r\n"), "<html> <h1>Bad Gateway");
        assert_eq!(shown(&"é".repeat(300)).chars().count(), CHARACTERS + 1);
        assert_eq!(shown(&"é".repeat(200)).chars().count(), CHARACTERS);
        assert!(shown(&"é".repeat(BYTES)).ends_with('…'));
        assert!(shown(&format!("a{}b", "\n".repeat(BYTES))).ends_with('…'));
    }

    #[test]
    fn a_word_is_no_token() {
        assert_eq!(Shown::hiding(&Secret::new("t")).line("the text"), "the text");
    }
}
