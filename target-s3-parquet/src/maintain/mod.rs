//! `maintain`: what is asked of a lake's maintenance, and its report.

mod checked;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lake::maintain::{
    Action, Checked, Erase, Fault, FaultKind, Options, Report, SMALL_BYTES, Survey, TableReport,
    Unfinished,
};
use lake::store::probe;
use lake::table::LoadMethod;
use lake::{Lake, TableFormat};
use program::{report, words};
use serde::Serialize;

use crate::cli::{Maintain, ReportFormat};
use crate::error::{Error, Result};
use crate::run::{self, open};
use crate::settings::config::Config;

/// Objects beyond this are slow to replace, and Redshift Spectrum advises against files beyond 1 GB
/// (<https://docs.aws.amazon.com/redshift/latest/dg/c-spectrum-external-performance.html>).
const LARGE_BYTES: u64 = 512 * 1024 * 1024;

/// Looks at a lake and does what is asked. The report goes to stdout.
pub(crate) fn run(config: &Arc<Config>, arguments: &Maintain) -> Result<()> {
    let lake = open(config, None)?;
    if arguments.check {
        return check(config, &lake, arguments);
    }
    let options = Options {
        tables: arguments.table.clone(),
        compact: arguments.compact,
        shards: arguments.shards,
        expire: arguments.expire,
        to: arguments.to.map(Into::into),
        erase: arguments.erase.iter().map(|text| erase(text)).collect::<Result<_>>()?,
        dry_run: arguments.dry_run,
    };
    if options.may_change() {
        probe::ensure(&**lake.store(), lake.run())?;
    }
    let encoding = |stream: &str| config.stream(stream).encoding();
    let report = lake::maintain::run(&lake, &encoding, &options)?;
    print(&match arguments.format {
        ReportFormat::Text => text(&report, arguments.dry_run),
        ReportFormat::Json => json(&report)?,
    })
}

/// Checks a lake, and the catalog beside it. The report goes to stdout.
fn check(config: &Arc<Config>, lake: &Arc<Lake>, arguments: &Maintain) -> Result<()> {
    let mut tables = lake::maintain::check(lake, &arguments.table)?;
    if let Some(catalog) = run::catalog(config, lake)? {
        for checked in &mut tables {
            let Some((_, definition)) = lake.definition(&checked.table)? else { continue };
            let examples = catalog.differences(&definition)?;
            if !examples.is_empty() {
                let count = examples.len() as u64;
                checked.faults.push(Fault { kind: FaultKind::Catalog, count, examples });
            }
        }
    }
    print(&match arguments.format {
        ReportFormat::Text => checked::text(&tables),
        ReportFormat::Json => json(&BTreeMap::from([("tables", &tables)]))?,
    })?;
    let faulty: Vec<&Checked> =
        tables.iter().filter(|checked| !checked.faults.is_empty()).collect();
    if faulty.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = faulty.iter().map(|checked| format!("`{}`", checked.table)).collect();
    let faults = checked::faults(faulty);
    let faults = words::counted(faults, "fault", "faults");
    Err(Error::Unproven { faults, tables: names.join(", ") })
}

fn print(text: &str) -> Result<()> {
    program::print(text).map_err(|source| Error::Input { name: "standard output".into(), source })
}

/// What `COLUMN=VALUE` or `COLUMN=@FILE` asks for. No value is shown: it may be a person's.
fn erase(text: &str) -> Result<Erase> {
    let fault = |reason: &str| Error::Setting { key: "--erase".into(), reason: reason.into() };
    let Some((column, value)) = text.split_once('=').filter(|(column, _)| !column.is_empty())
    else {
        return Err(fault("name a column and a value, such as `visitor_key=…`"));
    };
    let values: BTreeSet<String> = match value.strip_prefix('@') {
        None => [value.to_owned()].into(),
        Some(file) => {
            let read = std::fs::read_to_string(file);
            let text = read.map_err(|source| Error::Input { name: file.into(), source })?;
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
    };
    if values.iter().all(String::is_empty) {
        return Err(fault("it has no value"));
    }
    Ok(Erase { column: column.into(), values })
}

/// The report for a person.
fn text(report: &Report, dry_run: bool) -> String {
    let header =
        ["table", "loaded by", "partitions", "shards", "files", "bytes", "largest", "small"];
    let rows = report.tables.iter().map(|TableReport { survey, .. }| {
        [
            survey.table.clone(),
            format!("{:?}", survey.load_method).to_lowercase(),
            survey.partitions.to_string(),
            survey.shards.to_string(),
            survey.files.to_string(),
            survey.bytes.to_string(),
            survey.largest.to_string(),
            survey.small_files.to_string(),
        ]
    });
    let mut lines = vec![report::render_table(header, rows)];
    for TableReport { survey, actions } in &report.tables {
        lines.extend(actions.iter().map(|action| describe(action, &survey.table, dry_run)));
        if actions.is_empty() {
            lines.extend(advice(survey));
        }
    }
    for TableReport { survey, .. } in &report.tables {
        lines.extend(survey.orphans.iter().map(|key| stray(key, survey.table_format)));
    }
    lines.extend(report.unknown.iter().map(|key| stray(key, TableFormat::Parquet)));
    lines.push(String::new());
    lines.join("\n")
}

/// What is there and is not of the lake.
fn stray(key: &str, format: TableFormat) -> String {
    let what = match format {
        TableFormat::Parquet => "queries of the table may read it",
        TableFormat::Iceberg => {
            "no snapshot names it, so no query reads it; `--expire` removes data and metadata after 3 days"
        }
    };
    format!("{key}: not written by this program; {what}")
}

/// The report for a program.
fn json(report: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(report)
        .map_err(|error| Error::broken("a report is JSON", error))?;
    text.push('\n');
    Ok(text)
}

/// What was done, or would be.
fn describe(action: &Action, table: &str, dry_run: bool) -> String {
    match action {
        Action::Compact { partition, files, bytes } => {
            let place = if partition.is_empty() { String::new() } else { format!(", {partition}") };
            let verb = if dry_run { "would become" } else { "became" };
            format!("{table}{place}: {files} files of {bytes} bytes together {verb} one")
        }
        Action::Finish { left } => {
            let verb = if dry_run { "would be" } else { "was" };
            let what = match left {
                Unfinished::Widening => "a column that becomes wider".to_owned(),
                Unfinished::Resharding(shards) => format!("a cut into {shards} objects"),
                Unfinished::Obsolete(objects) => format!("the removal of {objects} old objects"),
            };
            format!("{table}: {what}, left half done, {verb} brought to its end")
        }
        Action::Convert { to, files } => {
            let verb = if dry_run { "would become" } else { "became" };
            let to = match to {
                TableFormat::Iceberg => "an Iceberg table",
                TableFormat::Parquet => "a plain table again",
            };
            format!("{table}: it {verb} {to}, of the {files} files that it has")
        }
        Action::Expire { snapshots, orphans } => {
            let verb = if dry_run { "would be" } else { "were" };
            format!(
                "{table}: {snapshots} snapshots {verb} left out, {orphans} files that none names {verb} removed"
            )
        }
        Action::Erase { rows, files } if dry_run => {
            format!("{table}: rows to erase: {rows}, files to write again: {files}")
        }
        Action::Erase { rows, files } => {
            format!("{table}: rows erased: {rows}, files written again: {files}")
        }
        Action::Reshard { from, to, partitions } => {
            let verb = if dry_run { "would be" } else { "were" };
            format!(
                "{table}: {partitions} partitions {verb} cut into {to} objects each, not {from}"
            )
        }
    }
}

/// What would make a table better.
fn advice(survey: &Survey) -> Vec<String> {
    let table = &survey.table;
    let mut advice: Vec<String> = survey
        .unfinished
        .iter()
        .map(|left| match left {
            Unfinished::Widening => format!(
                "{table}: a column becomes wider, and some objects may be of the narrower type; if that run has died, the next one ends it, or `maintain --compact`"
            ),
            Unfinished::Resharding(shards) => format!(
                "{table}: it is being cut into {shards} objects per partition; if that has died, `maintain --table {table} --shards {shards}` ends it"
            ),
            Unfinished::Obsolete(objects) => format!(
                "{table}: {objects} objects of before it was cut are left, whose rows are there twice; if that `maintain` has died, the next run ends it, or `maintain --compact`"
            ),
        })
        .collect();
    if survey.small_files > 0 {
        advice.push(format!(
            "{}: {} small files; `maintain --compact` puts them together",
            survey.table, survey.small_files
        ));
    }
    if survey.load_method != LoadMethod::Append && survey.largest > LARGE_BYTES {
        let shards = u64::from(survey.shards) * survey.largest.div_ceil(SMALL_BYTES * 4);
        advice.push(format!(
            "{}: objects of {} bytes are written again as a whole; `maintain --table {} --shards {shards}` cuts them",
            survey.table, survey.largest, survey.table
        ));
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(load_method: LoadMethod, small_files: usize, largest: u64) -> Survey {
        Survey {
            table: "t".into(),
            table_format: TableFormat::Parquet,
            load_method,
            shards: 2,
            partitions: 1,
            files: 2,
            bytes: 2 * largest,
            smallest: largest,
            largest,
            small_files,
            orphans: vec!["t/stray.csv".into()],
            unfinished: Vec::new(),
        }
    }

    #[test]
    fn small_files_of_an_appended_table_and_large_objects_of_an_upserted_one_are_named() {
        let large = 600 * 1024 * 1024;
        assert_eq!(
            advice(&survey(LoadMethod::Append, 3, large)),
            ["t: 3 small files; `maintain --compact` puts them together"]
        );
        let cut = advice(&survey(LoadMethod::Upsert, 0, large));
        assert!(cut[0].contains("--table t --shards 10`"), "{cut:?}");
        assert_eq!(advice(&survey(LoadMethod::Overwrite, 0, 1)), [""; 0]);
    }

    #[test]
    fn what_a_run_has_left_half_done_is_named_with_what_ends_it() {
        for (left, words, by) in [
            (Unfinished::Widening, "a column", "`maintain --compact`"),
            (Unfinished::Resharding(3), "into 3 objects", "`maintain --table t --shards 3`"),
            (Unfinished::Obsolete(4), "4 ", "`maintain --compact`"),
        ] {
            let unfinished = vec![left.clone()];
            let told = advice(&Survey { unfinished, ..survey(LoadMethod::Upsert, 0, 1) });
            assert!(told[0].contains(words) && told[0].contains(by), "{told:?}");
            let done = describe(&Action::Finish { left: left.clone() }, "t", false);
            assert!(done.contains(words) && done.contains("was brought"), "{done}");
            let planned = describe(&Action::Finish { left }, "t", true);
            assert!(planned.contains("would be brought"), "{planned}");
        }
    }

    #[test]
    fn a_report_has_a_line_for_each_action_and_for_what_belongs_to_no_table() {
        let reshard = Action::Reshard { from: 1, to: 2, partitions: 4 };
        let tables =
            vec![TableReport { survey: survey(LoadMethod::Upsert, 0, 1), actions: vec![reshard] }];
        let report = Report { tables, unknown: vec!["x/y".into()] };
        let shown = text(&report, false);
        for line in [
            "t: 4 partitions were cut into 2 objects each, not 1",
            "t/stray.csv: not written by this program; queries of the table may read it",
            "x/y: not written by this program; queries of the table may read it",
        ] {
            assert!(shown.lines().any(|own| own == line), "{line}: {shown}");
        }
        assert!(text(&report, true).contains("would be cut"));
        let json: serde_json::Value = serde_json::from_str(&json(&report).unwrap()).unwrap();
        assert_eq!(json["tables"][0]["actions"][0]["action"], "reshard");
        assert_eq!(json["tables"][0]["load_method"], "upsert");
    }
}
