//! A cursor over JSON text.
//!
//! It finds where values begin and end and leaves their meaning to the columns. Text has been
//! checked to be UTF-8 before it comes here.

use memchr::memchr2;

/// Deeper nesting is refused, so that no input exhausts the stack.
const MAX_DEPTH: usize = 1024;

/// Where JSON text breaks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// Offset in the line.
    pub(crate) at: usize,
    /// What was expected.
    pub(crate) expected: &'static str,
}

/// The text between two quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// Its bytes as they stand in the line.
    pub(crate) raw: &'a [u8],
    /// Whether a backslash is among them.
    pub(crate) escaped: bool,
}

/// A position in a line.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    fn fault(&self, expected: &'static str) -> Syntax {
        Syntax { at: self.at, expected }
    }

    /// The next byte that is no white space, left in place; 0 at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return *byte;
            }
            self.at += 1;
        }
        0
    }

    /// Takes `byte` if it comes next.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte && self.at < self.bytes.len();
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(crate) fn require(&mut self, byte: u8, expected: &'static str) -> Result<(), Syntax> {
        if self.take(byte) { Ok(()) } else { Err(self.fault(expected)) }
    }

    /// Only white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Syntax> {
        if self.peek() == 0 && self.at >= self.bytes.len() {
            Ok(())
        } else {
            Err(self.fault("the end of the line"))
        }
    }

    /// A string, from quote to quote.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Text<'a>, Syntax> {
        self.require(b'"', "a string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(offset) = memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return Err(self.fault("the end of a string"));
            };
            self.at += offset;
            if self.bytes.get(self.at) == Some(&b'"') {
                let raw = self.since(start);
                self.at += 1;
                return Ok(Text { raw, escaped });
            }
            // The byte after a backslash belongs to it.
            escaped = true;
            self.at += 2;
        }
    }

    /// A key and its colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Text<'a>, Syntax> {
        let key = self.text()?;
        self.require(b':', "a colon after a key")?;
        Ok(key)
    }

    /// The bytes of a number, `true`, `false`, `null` or one of Python's `NaN` and `Infinity`.
    #[inline]
    pub(crate) fn word(&mut self) -> Result<&'a [u8], Syntax> {
        self.peek();
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.'))
            .unwrap_or(rest.len());
        if length == 0 {
            return Err(self.fault("a value"));
        }
        self.at += length;
        Ok(self.since(start))
    }

    /// Takes `null` if it comes next.
    #[inline]
    pub(crate) fn null(&mut self) -> Result<bool, Syntax> {
        if self.peek() != b'n' {
            return Ok(false);
        }
        let at = self.at;
        if self.word()? == b"null" { Ok(true) } else { Err(Syntax { at, expected: "a value" }) }
    }

    /// Passes over one value of any kind.
    pub(crate) fn skip(&mut self) -> Result<(), Syntax> {
        self.skip_nested(0)
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), Syntax> {
        if depth > MAX_DEPTH {
            return Err(self.fault("at most 1024 levels of nesting"));
        }
        match self.peek() {
            b'"' => self.text().map(|_| ()),
            b'{' => {
                let mut members = Members::open(self)?;
                while members.next(self)?.is_some() {
                    self.skip_nested(depth + 1)?;
                }
                Ok(())
            }
            b'[' => {
                let mut elements = Elements::open(self)?;
                while elements.next(self)? {
                    self.skip_nested(depth + 1)?;
                }
                Ok(())
            }
            _ => {
                let at = self.at;
                let word = self.word()?;
                if is_scalar(word) { Ok(()) } else { Err(Syntax { at, expected: "a value" }) }
            }
        }
    }
}

fn is_scalar(word: &[u8]) -> bool {
    matches!(word, b"true" | b"false" | b"null")
        || super::number::is_number(word)
        || super::number::is_python_float(word)
}

/// Walks the members of an object.
#[derive(Debug)]
pub(crate) struct Members {
    first: bool,
}

impl Members {
    #[inline]
    pub(crate) fn open(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.require(b'{', "an object")?;
        Ok(Self { first: true })
    }

    /// The next key, or nothing at the end of the object.
    #[inline]
    pub(crate) fn next<'a>(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<Text<'a>>, Syntax> {
        if self.first {
            self.first = false;
            if cursor.take(b'}') {
                return Ok(None);
            }
        } else if cursor.take(b'}') {
            return Ok(None);
        } else {
            cursor.require(b',', "a comma or the end of an object")?;
        }
        cursor.key().map(Some)
    }

    /// Takes the next key if it is this one, which comes with its quotes and its colon, and stands
    /// as programs write it. Otherwise nothing is taken.
    #[inline]
    pub(crate) fn next_is(&mut self, cursor: &mut Cursor<'_>, quoted: &[u8]) -> bool {
        let rest = cursor.bytes.get(cursor.at..).unwrap_or_default();
        let ((true, key) | (false, [b',', b' ', key @ ..] | [b',', key @ ..])) = (self.first, rest)
        else {
            return false;
        };
        let Some((next, after)) = key.split_at_checked(quoted.len()) else { return false };
        if !is_same(next, quoted) {
            return false;
        }
        self.first = false;
        cursor.at = cursor.bytes.len() - after.len();
        true
    }
}

/// Whether texts of one length are the same: eight bytes at a time, the last eight once more. For a
/// key this is faster than the call that compares texts of any length.
#[inline]
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let ((left_words, _), (right_words, _)) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    match (left.last_chunk::<8>(), right.last_chunk::<8>()) {
        (Some(left_end), Some(right_end)) => {
            left_words.iter().zip(right_words).all(|(left, right)| left == right)
                && left_end == right_end
        }
        _ => left == right,
    }
}

/// Walks the elements of an array.
#[derive(Debug)]
pub(crate) struct Elements {
    first: bool,
}

impl Elements {
    #[inline]
    pub(crate) fn open(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.require(b'[', "an array")?;
        Ok(Self { first: true })
    }

    /// Whether another element follows; the cursor stands before it.
    #[inline]
    pub(crate) fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Syntax> {
        if cursor.take(b']') {
            return Ok(false);
        }
        if self.first {
            self.first = false;
        } else {
            cursor.require(b',', "a comma or the end of an array")?;
        }
        Ok(true)
    }
}

/// The `type` of the message in a line, without reading what stands behind it; nothing where it has
/// none.
pub(crate) fn type_of_message(line: &[u8]) -> Result<Option<&[u8]>, Syntax> {
    let mut cursor = Cursor::new(line);
    let mut members = Members::open(&mut cursor)?;
    while let Some(key) = members.next(&mut cursor)? {
        if key.raw == b"type" && cursor.peek() == b'"' {
            return cursor.text().map(|text| Some(text.raw));
        }
        cursor.skip()?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_are_passed_over() {
        for text in [
            r#"{"a":[1,2,{"b":"\"]}"}],"c":null}"#,
            r#" "a\\\"b" "#,
            "[]",
            "{}",
            "-1.5e+10",
            "NaN",
            "[[[[]]],[ ]]",
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            cursor.skip().unwrap();
            cursor.end().unwrap();
        }
    }

    #[test]
    fn broken_text_is_noticed() {
        for text in [
            "",
            "{",
            "[1,",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "\"abc",
            "\"a\\",
            "tru",
            "01x",
            "{,}",
            "[,]",
            "{\"a\":1,}",
            "1.",
            "--1",
            "nul",
            "]",
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            assert!(cursor.skip().and_then(|()| cursor.end()).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit_and_no_stack_overflow() {
        let deep = "[".repeat(100_000);
        let fault = Cursor::new(deep.as_bytes()).skip().unwrap_err();
        assert_eq!(fault.expected, "at most 1024 levels of nesting");
        let fine = format!("{}{}", "[".repeat(500), "]".repeat(500));
        Cursor::new(fine.as_bytes()).skip().unwrap();
    }

    #[test]
    fn the_type_of_a_message_is_found_wherever_it_stands() {
        for (line, kind) in [
            (r#"{"type": "RECORD", "stream": "x""#, Some(&b"RECORD"[..])),
            (r#"{"stream":"x","record":{"type":"STATE"},"type":"record"}"#, Some(b"record")),
            (r#"{"type":1,"value":{}}"#, None),
            ("{}", None),
        ] {
            assert_eq!(type_of_message(line.as_bytes()).unwrap(), kind, "{line}");
        }
        assert!(type_of_message(b"[1]").is_err());
        assert!(type_of_message(b"hello").is_err());
    }
}
