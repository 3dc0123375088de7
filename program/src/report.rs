//! How a run ends: exit codes, and the one place that prints an error.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use comfy_table::{CellAlignment, Table};

use crate::log::CLEAR_LINE;

/// Exit codes of both binaries. They are part of the contract with shells and orchestrators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Success = 0,
    /// Something failed; what was committed stays, and its state has been given back.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The data is committed and its state given back, but the catalog could not be brought up to it.
    CatalogBehind = 3,
    /// Ended by SIGINT after what was safe had been committed.
    Interrupted = 130,
    /// Ended by SIGTERM after what was safe had been committed.
    Terminated = 143,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::CatalogBehind,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// What it says, for documentation.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "Everything asked for was done.",
            Self::Failure => {
                "Something failed; what was committed stays, and its state has been given back."
            }
            Self::Usage => "The command line is wrong, or a file that it names cannot be read.",
            Self::CatalogBehind => {
                "The data is committed and its state given back, but the catalog could not be brought up to it."
            }
            Self::Interrupted => "Ended by SIGINT after what was safe had been committed.",
            Self::Terminated => "Ended by SIGTERM after what was safe had been committed.",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Renders an error with its causes and, when there is one, what to do about it.
///
/// Each cause is told once: errors keep the text of their `source` out of their own.
pub fn render(error: &dyn Error, hint: Option<&str>) -> String {
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(inner) = cause {
        _ = writeln!(text, "  caused by: {inner}");
        cause = inner.source();
    }
    if let Some(hint) = hint {
        _ = write!(text, "\nhint: {hint}\n");
    }
    text
}

/// An error and its causes in one line, and what to do about it.
pub fn sentence(error: &dyn Error, hint: Option<&str>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    match hint {
        Some(hint) => format!("{text}. To do: {hint}"),
        None => text,
    }
}

/// Prints an error to stderr as [`render`] words it.
pub fn print(error: &dyn Error, hint: Option<&str>) {
    to_stderr(&render(error, hint));
}

/// Writes to stderr. On a terminal a line that shows progress gives way.
fn to_stderr(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let clear = if stderr.is_terminal() { CLEAR_LINE } else { "" };
    // A closed stderr leaves nobody to tell.
    _ = stderr.write_all(format!("{clear}{text}").as_bytes());
}

/// Prints an event to stderr as one line of JSON, whatever the form of the log, for an orchestrator
/// to act on.
pub fn event(event: &impl serde::Serialize) {
    if let Ok(mut text) = serde_json::to_string(event) {
        text.push('\n');
        // Whoever has closed stderr does not want it.
        _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// A table as text: figures to the right, and words to the left.
pub fn render_table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    let rows: Vec<_> = rows.into_iter().collect();
    let is_figure = |text: &String| text.starts_with(|first: char| first.is_ascii_digit());
    let of_figures: Vec<bool> =
        (0..COLUMNS).map(|at| rows.iter().all(|row| row.get(at).is_some_and(is_figure))).collect();
    table.load_style(comfy_table::presets::NOTHING).set_header(header).add_rows(rows);
    for (column, _) in table.column_iter_mut().zip(of_figures).filter(|(_, figures)| *figures) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    // Empty cells at the end of a line are nothing to select and copy.
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Prints a table to stderr.
pub fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) {
    to_stderr(&format!("\n{}\n\n", render_table(header, rows)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not read page 14 of stream `medias`")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_fits_in_a_line() {
        let error = Outer(std::io::Error::other("the connection was reset"));
        let line = "could not read page 14 of stream `medias`: the connection was reset";
        assert_eq!(sentence(&error, None), line);
        assert_eq!(sentence(&error, Some("try again")), format!("{line}. To do: try again"));
    }

    #[test]
    fn an_error_is_told_with_its_cause_and_a_hint() {
        let error = Outer(std::io::Error::other("the connection was reset"));
        assert_eq!(
            render(&error, Some("try again")),
            "error: could not read page 14 of stream `medias`\n  caused by: the connection was reset\n\nhint: try again\n"
        );
    }
}
