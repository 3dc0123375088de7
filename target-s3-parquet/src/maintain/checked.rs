//! What a check of a lake has found, for a person.

use lake::maintain::{Checked, Fault, FaultKind};
use program::{report, words};

/// A line for each table that was checked, and one for each example of a fault and each note.
pub(super) fn text(tables: &[Checked]) -> String {
    let header = ["table", "files", "rows", "size", "found"];
    let rows = tables.iter().map(|checked| {
        let found = match faults([checked]) {
            0 => "as promised".to_owned(),
            faults => words::counted(faults, "fault", "faults"),
        };
        [
            checked.table.clone(),
            words::number(checked.files),
            words::number(checked.rows),
            words::size(checked.bytes),
            found,
        ]
    });
    let mut lines = vec![report::render_table(header, rows)];
    for checked in tables {
        for fault in &checked.faults {
            let Fault { kind, count, examples } = fault;
            let what = what(*kind, *count);
            lines.push(format!("{}: {} {what}", checked.table, words::number(*count)));
            lines.extend(examples.iter().map(|example| format!("  {example}")));
            let more = count.saturating_sub(examples.len() as u64);
            if more > 0 && is_each_told(*kind) {
                lines.push(format!("  and {} more", words::number(more)));
            }
        }
        lines.extend(checked.notes.iter().map(|note| format!("{}: {note}", checked.table)));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// How many faults there are.
pub(super) fn faults<'a>(checked: impl IntoIterator<Item = &'a Checked>) -> u64 {
    checked.into_iter().flat_map(|checked| &checked.faults).map(|fault| fault.count).sum()
}

/// Whether an example is of one fault, and not of all the rows of a file.
fn is_each_told(kind: FaultKind) -> bool {
    !matches!(kind, FaultKind::NoKey | FaultKind::Partition | FaultKind::Shard)
}

fn what(kind: FaultKind, count: u64) -> &'static str {
    let (one, many) = match kind {
        FaultKind::KeyTwice => (
            "row has the key of another row of its partition",
            "rows have the key of another row of their partition",
        ),
        FaultKind::NoKey => ("row has no value in its key", "rows have no value in their key"),
        FaultKind::Partition => (
            "row is in a partition where it does not belong",
            "rows are in partitions where they do not belong",
        ),
        FaultKind::Shard => (
            "row is in an object where its key does not belong",
            "rows are in objects where their keys do not belong",
        ),
        FaultKind::Statistics => {
            ("statement of a footer is not true", "statements of footers are not true")
        }
        FaultKind::Manifest => {
            ("statement of a manifest is not true", "statements of manifests are not true")
        }
        FaultKind::Columns => {
            ("file has columns that the table has not", "files have columns that the table has not")
        }
        FaultKind::Unreadable => ("file cannot be read", "files cannot be read"),
        FaultKind::Gone => ("file is gone", "files are gone"),
        FaultKind::Unfinished => {
            ("thing was left half done by a run", "things were left half done by a run")
        }
        FaultKind::Catalog => {
            ("thing is otherwise in the catalog", "things are otherwise in the catalog")
        }
    };
    if count == 1 { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(faults: Vec<Fault>) -> Checked {
        let (files, rows, bytes) = (2, 1234, 2000);
        Checked { table: "t".into(), files, rows, bytes, faults, notes: vec!["a note".into()] }
    }

    #[test]
    fn a_fault_is_counted_named_and_shown_by_its_first_examples() {
        let twice = Fault {
            kind: FaultKind::KeyTwice,
            count: 7,
            examples: vec!["row 1".into(), "row 2".into()],
        };
        let stranger =
            Fault { kind: FaultKind::Partition, count: 1, examples: vec!["f: row 3".into()] };
        let shown = text(&[checked(vec![twice, stranger])]);
        for line in [
            "t: 7 rows have the key of another row of their partition",
            "  row 2",
            "  and 5 more",
            "t: 1 row is in a partition where it does not belong",
            "t: a note",
        ] {
            assert!(shown.lines().any(|own| own == line), "{line}: {shown}");
        }
        assert!(shown.contains("8 faults") && shown.contains("1,234"), "{shown}");
        assert!(text(&[checked(Vec::new())]).contains("as promised"));
    }
}
