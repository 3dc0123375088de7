//! `target-s3-parquet maintain`: what the files of a lake look like, and how to make them better.
//!
//! [`survey`] judges a table by its listing alone. [`compact`] makes one file of the small ones of an
//! appended table, [`reshard`] moves the rows of an upserted table to another number of objects. Both
//! keep every row whatever kills them; what a reader may find meanwhile stands where they are.
//! [`erase`] removes rows by what they hold. Before any of them, what runs have left half done is brought to
//! its end.

mod check;
mod compact;
mod erase;
#[cfg(not(feature = "iceberg"))]
#[path = "iceberg/absent.rs"]
mod iceberg;
#[cfg(feature = "iceberg")]
mod iceberg;
mod report;
mod reshard;
mod survey;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use wildmatch::WildMatch;

use crate::error::{Error, Result};
use crate::file::encoding::Encoding;
use crate::format::TableFormat;
use crate::lake::Lake;
use crate::table::definition::LoadMethod;
use crate::write::journal::end_replacements;
use crate::write::widen;

pub use check::{Checked, Fault, FaultKind};
pub use report::{Action, Erase, Options, Report, TableReport};
use survey::TableFiles;
pub use survey::{SMALL_BYTES, Survey, Unfinished};

/// The folder of what the lake remembers.
const INTERNAL: &str = "_lake";

/// Surveys the tables of a lake, and does what is asked.
///
/// `encoding` says how the files of a stream's table are written.
pub fn run(
    lake: &Arc<Lake>,
    encoding: &dyn Fn(&str) -> Encoding,
    options: &Options,
) -> Result<Report> {
    let tables = lake.tables()?;
    let mut report = Report { tables: Vec::new(), unknown: Vec::new() };
    let selected = selected(&tables, &options.tables)?;
    erase::check(lake, &selected, &options.erase)?;
    if options.compact && !options.dry_run {
        // One that died may have put together all that was to be.
        end_replacements(lake)?;
    }
    for table in selected {
        report.tables.push(maintain(lake, table, encoding, options)?);
    }
    if options.tables.is_empty() {
        report.unknown = unknown(lake, &tables)?;
    }
    Ok(report)
}

/// Reads all rows of the tables whose names match a pattern, of all without patterns, and compares them with what the tables
/// promise. Nothing is changed.
pub fn check(lake: &Lake, patterns: &[String]) -> Result<Vec<Checked>> {
    let tables = lake.tables()?;
    let mut checked = Vec::new();
    for table in selected(&tables, patterns)? {
        let (_, definition) = survey::definition(lake, table)?;
        checked.push(if definition.is_iceberg() {
            iceberg::checked(lake, &definition)?
        } else {
            check::plain(lake, &definition)?
        });
    }
    Ok(checked)
}

/// The tables whose names match a pattern; all of them without patterns.
fn selected<'a>(tables: &'a [String], patterns: &[String]) -> Result<Vec<&'a String>> {
    if patterns.is_empty() {
        return Ok(tables.iter().collect());
    }
    let matches =
        |table: &&String| patterns.iter().any(|pattern| WildMatch::new(pattern).matches(table));
    let selected: Vec<_> = tables.iter().filter(matches).collect();
    if selected.is_empty() {
        let known = if tables.is_empty() { "none".into() } else { tables.join(", ") };
        return Err(Error::Table {
            table: patterns.join("`, `"),
            reason: format!("the lake has no such table; it has {known}"),
        });
    }
    Ok(selected)
}

fn maintain(
    lake: &Arc<Lake>,
    table: &str,
    encoding: &dyn Fn(&str) -> Encoding,
    options: &Options,
) -> Result<TableReport> {
    let prefix = format!("{table}/");
    let (stored, mut definition) = survey::definition(lake, table)?;
    if definition.is_iceberg() {
        return iceberg::maintain(lake, &definition, encoding(&definition.stream), options);
    }
    let mut objects = lake.store.list(&prefix)?;
    let mut files = TableFiles::new(&definition, &objects)?;
    let survey = survey::survey(&definition, &files);
    let encoding = encoding(&definition.stream);
    if options.to == Some(TableFormat::Iceberg) {
        let done = iceberg::adopt(lake, &(stored, definition), &survey, options.dry_run)?;
        return Ok(TableReport { survey, actions: vec![done] });
    }
    let mut actions = Vec::new();
    if options.compact || options.shards.is_some() || !options.erase.is_empty() {
        actions = mended(&survey);
        if !actions.is_empty() && !options.dry_run {
            (_, definition) = widen::mend(lake, (stored, definition), &encoding)?;
            objects = lake.store.list(&prefix)?;
            files = TableFiles::new(&definition, &objects)?;
        }
    }
    if !options.erase.is_empty() {
        let asked = &options.erase;
        let done = erase::erase(lake, &definition, &encoding, asked, options.dry_run)?;
        actions.extend(done);
        return Ok(TableReport { survey, actions });
    }
    let done = match (definition.load_method, options.compact, options.shards) {
        (LoadMethod::Append, true, _) => {
            compact::compact(lake, &definition, &encoding, &files, options.dry_run)?
        }
        (LoadMethod::Upsert | LoadMethod::Overwrite, _, Some(shards)) => {
            let done = reshard::reshard(lake, table, &encoding, shards, options.dry_run)?;
            done.into_iter().collect()
        }
        (LoadMethod::Append, false, _) | (LoadMethod::Upsert | LoadMethod::Overwrite, _, None) => {
            Vec::new()
        }
    };
    actions.extend(done);
    Ok(TableReport { survey, actions })
}

/// What is brought to its end before anything else is done. A cut goes on as it is asked to.
fn mended(survey: &Survey) -> Vec<Action> {
    let left = survey.unfinished.iter().filter(|left| match left {
        Unfinished::Widening | Unfinished::Obsolete(_) => true,
        Unfinished::Resharding(_) => false,
    });
    left.map(|left| Action::Finish { left: left.clone() }).collect()
}

/// The keys of objects that are neither a table's nor the lake's own.
fn unknown(lake: &Lake, tables: &[String]) -> Result<Vec<String>> {
    let mut keys: Vec<String> = lake.store.list("")?.into_iter().map(|object| object.key).collect();
    keys.retain(|key| match key.split_once('/') {
        Some((first, _)) => first != INTERNAL && !tables.iter().any(|table| table == first),
        None => true,
    });
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintain::testing::{append, upsert};
    use crate::store::Condition;
    use crate::testing::{LakeFolder, objects};

    fn report(lake: &Arc<Lake>, options: &Options) -> Result<Report> {
        run(lake, &|_| Encoding::default(), options)
    }

    fn actions(lake: &Arc<Lake>, options: &Options) -> Vec<Action> {
        let mut report = report(lake, options).unwrap();
        assert_eq!(report.tables.len(), 1);
        report.tables.remove(0).actions
    }

    #[test]
    fn only_what_is_asked_of_a_table_of_its_kind_is_done() {
        let folder = LakeFolder::new();
        append(&folder.lake(), 0..3, "a");
        append(&folder.lake(), 3..6, "b");
        let nothing = Options::default();
        let reshard = Options { shards: Some(2), ..Options::default() };
        let compact = Options { compact: true, ..Options::default() };
        assert_eq!(actions(&folder.lake(), &nothing), []);
        assert_eq!(actions(&folder.lake(), &reshard), []);
        assert_eq!(actions(&folder.lake(), &compact).len(), 3);
        let folder = LakeFolder::new();
        upsert(&folder.lake(), 0..6, "a");
        assert_eq!(actions(&folder.lake(), &nothing), []);
        assert_eq!(actions(&folder.lake(), &compact), []);
        assert_eq!(actions(&folder.lake(), &reshard).len(), 1);
    }

    #[test]
    fn a_dry_run_reports_what_is_done_and_changes_nothing() {
        let folder = LakeFolder::new();
        append(&folder.lake(), 0..3, "a");
        append(&folder.lake(), 3..6, "b");
        let options = Options { compact: true, dry_run: true, ..Options::default() };
        let before = folder.lake().store.list("").unwrap();
        let planned = actions(&folder.lake(), &options);
        assert_eq!(folder.lake().store.list("").unwrap(), before);
        let done = actions(&folder.lake(), &Options { dry_run: false, ..options });
        assert_eq!(done, planned);
        assert_eq!(objects(&folder.lake()).len(), 3);
    }

    #[test]
    fn tables_are_selected_by_name_or_glob_and_a_missing_one_is_named() {
        let tables = ["log".to_owned(), "media".to_owned(), "media_stats".to_owned()];
        let names = |patterns: &[&str]| -> Result<Vec<&String>> {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            selected(&tables, &patterns)
        };
        assert_eq!(names(&[]).unwrap().len(), 3);
        assert_eq!(names(&["media*", "nothing"]).unwrap(), ["media", "media_stats"]);
        let error = names(&["x", "y"]).unwrap_err().to_string();
        assert!(error.contains("`x`, `y`") && error.contains("it has log, media"), "{error}");
        let error = selected(&[], &["x".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("it has none"), "{error}");
    }

    #[test]
    fn objects_of_no_table_are_reported_where_all_tables_are() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        upsert(&lake, 0..3, "a");
        for key in ["stray.txt", "other/x.parquet", "t/notes.json", "_lake/x.json"] {
            lake.store.put(key, b"x", Condition::Always).unwrap();
        }
        let all = report(&lake, &Options::default()).unwrap();
        assert_eq!(all.unknown, ["other/x.parquet", "stray.txt"]);
        assert_eq!(all.tables[0].survey.orphans, ["t/notes.json"]);
        let one = Options { tables: vec!["t".into()], ..Options::default() };
        assert!(report(&lake, &one).unwrap().unknown.is_empty());
    }

    #[test]
    fn a_table_whose_definition_goes_meanwhile_is_an_error() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let error = maintain(&lake, "t", &|_| Encoding::default(), &Options::default());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`t`") && error.contains("definition has gone"), "{error}");
    }
}
