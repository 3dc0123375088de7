//! What a body is, in words that tell nothing of what is in it: how long, of which type, and of which
//! kind. It may be a page of viewers, and logs are read by more people than lakes.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::IgnoredAny;

use super::transport::{REASON, Response};

/// Bytes at the beginning by which a web page is known.
const BEGINNING: usize = 1024;

/// Length, type and kind of a body.
pub(super) fn described(response: &Response) -> String {
    let body = without_mark(&response.body);
    let kind = kind(body, response.is_whole());
    let length = match response.body.len() {
        0 => return kind.into_owned(),
        1 => "1 byte".into(),
        _ if !response.is_whole() => format!("more than {} KiB", REASON >> 10),
        length => format!("{length} bytes"),
    };
    let of_type = response.content_type.as_deref().and_then(media_type);
    let of_type = of_type.map_or_else(String::new, |name| format!(" of {name}"));
    format!("{kind}, {length}{of_type}")
}

/// A body without the byte order mark, which parsers of JSON may ignore:
/// <https://www.rfc-editor.org/rfc/rfc8259#section-8.1>.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Whether it is a web page, which the API never answers.
pub(super) fn is_page(body: &[u8]) -> bool {
    let beginning = without_mark(body).trim_ascii_start();
    let beginning = String::from_utf8_lossy(&beginning[..beginning.len().min(BEGINNING)]);
    let beginning = beginning.to_ascii_lowercase();
    beginning.starts_with('<')
        && ["<html", "<!doctype html", "<title", "<head", "<body", "<h1"]
            .iter()
            .any(|tag| beginning.contains(tag))
}

fn kind(body: &[u8], is_whole: bool) -> Cow<'static, str> {
    let text = body.trim_ascii();
    let Some(first) = text.first() else {
        return if body.is_empty() { "an empty body" } else { "nothing but space" }.into();
    };
    if is_page(text) {
        return "an HTML page".into();
    }
    if matches!(first, b'{' | b'[') && !is_whole {
        return "the beginning of JSON".into();
    }
    match parsed(body) {
        Ok(()) => "JSON".into(),
        Err(error) if matches!(first, b'{' | b'[') => {
            let (line, column) = (error.line(), error.column());
            let what = if error.is_eof() { "breaks off" } else { "is damaged" };
            format!("JSON that {what} at line {line} column {column}").into()
        }
        Err(_) if first == &b'<' => "markup".into(),
        Err(_) if std::str::from_utf8(body).is_ok() => "text".into(),
        Err(_) => "bytes".into(),
    }
}

fn parsed(body: &[u8]) -> serde_json::Result<()> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    parser.deserialize_ignored_any(IgnoredAny)?;
    parser.end()
}

/// The type of a body without parameters, where it has the form of one
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1>). A header may hold anything.
fn media_type(header: &str) -> Option<&str> {
    const LONGEST: usize = 64;
    let name = header.split(';').next().unwrap_or_default().trim();
    let is_token = |text: &str| {
        let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        !text.is_empty() && text.bytes().all(is_of_one)
    };
    let (kind, format) = name.split_once('/')?;
    (name.len() <= LONGEST && is_token(kind) && is_token(format)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &[u8], content_type: Option<&str>) -> String {
        let content_type = content_type.map(str::to_owned);
        described(&Response { content_type, ..Response::new(200, body.to_vec()) })
    }

    #[test]
    fn a_body_is_told_by_its_length_type_and_kind() {
        for (body, expected) in [
            (&b""[..], "an empty body"),
            (b" \n", "nothing but space, 2 bytes"),
            (b"<html>ada@example.com", "an HTML page, 21 bytes"),
            (b"\xef\xbb\xbf  <!DOCTYPE HTML>", "an HTML page, 20 bytes"),
            (b"<title>Ada</title>", "an HTML page, 18 bytes"),
            (b"<?xml version='1.0'?><Error/>", "markup, 29 bytes"),
            (b"192.0.2.1", "text, 9 bytes"),
            (b"7", "JSON, 1 byte"),
            (b"\"Ada\"", "JSON, 5 bytes"),
            (br#"[{"ip":"192.0.2.1"}]"#, "JSON, 20 bytes"),
            (br#"[{"ip":"192.0"#, "JSON that breaks off at line 1 column 13, 13 bytes"),
            (b"[1,\n2 Ada]", "JSON that is damaged at line 2 column 3, 10 bytes"),
            (b"[] []", "JSON that is damaged at line 1 column 4, 5 bytes"),
            (b"\xff\xfe[", "bytes, 3 bytes"),
        ] {
            assert_eq!(of(body, None), expected);
        }
        let mut long = Response::new(500, vec![b'['; REASON]);
        assert_eq!(described(&long), "the beginning of JSON, more than 64 KiB");
        long.status = 200;
        let column = REASON;
        assert_eq!(
            described(&long),
            format!("JSON that breaks off at line 1 column {column}, {column} bytes")
        );
    }

    #[test]
    fn a_type_is_shown_where_it_is_one() {
        for (header, expected) in [
            ("text/html; charset=utf-8", "text, 3 bytes of text/html"),
            ("application/problem+json", "text, 3 bytes of application/problem+json"),
            ("Ada <ada@example.com>", "text, 3 bytes"),
            ("text/ada@example.com", "text, 3 bytes"),
            ("", "text, 3 bytes"),
        ] {
            assert_eq!(of(b"Ada", Some(header)), expected);
        }
    }
}
