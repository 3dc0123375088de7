//! Streams in a sentence.

/// Names of streams in a sentence.
pub(super) fn quoted(streams: &[&str]) -> String {
    let quoted: Vec<String> = streams.iter().map(|stream| format!("`{stream}`")).collect();
    quoted.join(", ")
}
