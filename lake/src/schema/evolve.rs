//! What happens to a table's columns when the schema of its stream changes.
//!
//! New columns come last, lost ones stay. `int` widens to `bigint`, and that to `double` or to a decimal
//! that holds all its digits and has no fraction; a decimal widens to one of more digits and the same
//! fraction. So a value keeps its text, by which keys and partitions go. Anything else would leave files of
//! two physical types under one column, so it is refused.

use std::collections::{HashMap, HashSet};

use super::column::{Column, Kind};
use super::names;

/// The columns after a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Evolution {
    /// All columns of the table, old and new.
    pub columns: Vec<Column>,
    /// Whether a column has another physical type than before.
    pub widened: bool,
}

/// A change that cannot be made: dotted column name, type in the table, type in the schema.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Incompatible {
    /// The column.
    pub column: String,
    /// Its type in the table.
    pub old: String,
    /// Its type in the schema.
    pub new: String,
}

/// Brings the columns of a table up to the columns of a schema.
pub(crate) fn evolve(old: &[Column], new: &[Column]) -> Result<Evolution, Incompatible> {
    let mut columns = old.to_vec();
    let mut widened = false;
    // A column is the same when its source is.
    let known = columns.iter().enumerate().map(|(at, column)| (column.source.clone(), at));
    let mut known: HashMap<String, usize> = known.collect();
    let mut taken: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    for column in new {
        let position = known.get(&column.source).copied();
        match position.and_then(|at| columns.get_mut(at)) {
            Some(existing) => {
                widened |= merge(existing, column)?;
            }
            None => {
                let name = if taken.contains(&column.name) {
                    names::unique(&column.source, &taken)
                } else {
                    column.name.clone()
                };
                taken.insert(name.clone());
                known.insert(column.source.clone(), columns.len());
                columns.push(Column { name, ..column.clone() });
            }
        }
    }
    Ok(Evolution { columns, widened })
}

fn merge(existing: &mut Column, new: &Column) -> Result<bool, Incompatible> {
    if new.description.is_some() {
        existing.description.clone_from(&new.description);
    }
    // Its older rows are what they were, whatever a later schema says.
    existing.personal |= new.personal;
    let (kind, widened) =
        widen(&existing.kind, &new.kind).map_err(|fault| fault.under(&existing.name))?;
    existing.kind = kind;
    Ok(widened)
}

impl Incompatible {
    fn under(mut self, name: &str) -> Self {
        self.column = if self.column.is_empty() {
            name.to_owned()
        } else {
            format!("{name}.{}", self.column)
        };
        self
    }
}

/// Digits of the longest `int`.
const INT_DIGITS: u8 = 10;

/// Digits of the longest `bigint`.
const BIGINT_DIGITS: u8 = 19;

fn widen(old: &Kind, new: &Kind) -> Result<(Kind, bool), Incompatible> {
    use Kind::{Bigint, Decimal, Double, Int, Json, List, String, Struct};
    Ok(match (old, new) {
        (old, new) if old == new => (old.clone(), false),
        (Int, Bigint | Double) | (Bigint, Double) => (new.clone(), true),
        (Bigint | Double, Int) | (Double, Bigint) => (old.clone(), false),
        (Int, Decimal(INT_DIGITS.., 0)) | (Bigint, Decimal(BIGINT_DIGITS.., 0)) => {
            (new.clone(), true)
        }
        (Decimal(INT_DIGITS.., 0), Int) | (Decimal(BIGINT_DIGITS.., 0), Bigint) => {
            (old.clone(), false)
        }
        (Decimal(digits, scale), Decimal(more, same)) if scale == same => {
            (Decimal(*digits.max(more), *scale), more > digits)
        }
        (String | Json, String | Json) => (new.clone(), false),
        (Struct(left), Struct(right)) => {
            let Evolution { columns, widened } = evolve(left, right)?;
            (Struct(columns), widened)
        }
        (List(left), List(right)) => {
            let (element, widened) = widen(left, right).map_err(|fault| fault.under("element"))?;
            (List(Box::new(element)), widened)
        }
        (old, new) => {
            return Err(Incompatible {
                column: std::string::String::new(),
                old: old.to_string(),
                new: new.to_string(),
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(source: &str, kind: Kind) -> Column {
        Column { source: source.into(), name: names::fold(source), ..Column::same(source, kind) }
    }

    fn hive(columns: &[Column]) -> String {
        Kind::Struct(columns.to_vec()).to_string()
    }

    #[test]
    fn new_columns_come_last_and_lost_ones_stay() {
        let old = [column("a", Kind::Bigint), column("b", Kind::String)];
        let new = [column("c", Kind::Date), column("a", Kind::Bigint)];
        let evolution = evolve(&old, &new).unwrap();
        assert_eq!(hive(&evolution.columns), "struct<a:bigint,b:string,c:date>");
        assert!(!evolution.widened);
    }

    #[test]
    fn numbers_widen_and_never_narrow() {
        let old = [column("a", Kind::Int), column("b", Kind::Double)];
        let new = [column("a", Kind::Bigint), column("b", Kind::Bigint)];
        let evolution = evolve(&old, &new).unwrap();
        assert_eq!(hive(&evolution.columns), "struct<a:bigint,b:double>");
        assert!(evolution.widened);
    }

    #[test]
    fn integers_and_decimals_widen_to_decimals_that_hold_all_their_digits() {
        use Kind::{Bigint, Decimal, Double, Int};
        for (old, new, wide, is_widened) in [
            (Bigint, Decimal(20, 0), Some("decimal(20,0)"), true),
            (Int, Decimal(10, 0), Some("decimal(10,0)"), true),
            (Decimal(20, 0), Bigint, Some("decimal(20,0)"), false),
            (Decimal(10, 0), Int, Some("decimal(10,0)"), false),
            (Decimal(10, 2), Decimal(38, 2), Some("decimal(38,2)"), true),
            (Decimal(38, 2), Decimal(10, 2), Some("decimal(38,2)"), false),
            (Bigint, Decimal(18, 0), None, false),
            (Bigint, Decimal(38, 2), None, false),
            (Decimal(18, 0), Bigint, None, false),
            (Decimal(10, 2), Decimal(38, 10), None, false),
            (Double, Decimal(38, 10), None, false),
            (Decimal(38, 10), Double, None, false),
        ] {
            let found = evolve(&[column("a", old.clone())], &[column("a", new.clone())]);
            let found = found.ok().map(|found| (found.columns[0].kind.to_string(), found.widened));
            let expected = wide.map(|wide| (wide.to_owned(), is_widened));
            assert_eq!(found, expected, "{old} to {new}");
        }
    }

    #[test]
    fn nested_fields_follow_the_same_rules() {
        let inner = |kind| vec![column("x", kind)];
        let list = |kind| Kind::List(Box::new(Kind::Struct(inner(kind))));
        let evolution =
            evolve(&[column("l", list(Kind::Int))], &[column("l", list(Kind::Double))]).unwrap();
        assert_eq!(hive(&evolution.columns), "struct<l:array<struct<x:double>>>");
        let fault = evolve(&[column("l", list(Kind::Int))], &[column("l", list(Kind::String))])
            .unwrap_err();
        assert_eq!(fault.column, "l.element.x");
        assert_eq!((fault.old.as_str(), fault.new.as_str()), ("int", "string"));
    }

    #[test]
    fn a_column_that_was_personal_stays_so() {
        let plain = column("a", Kind::String);
        let personal = Column { personal: true, ..plain.clone() };
        for (old, new) in [(&plain, &personal), (&personal, &plain)] {
            let evolution = evolve(std::slice::from_ref(old), std::slice::from_ref(new)).unwrap();
            assert_eq!(evolution.columns, std::slice::from_ref(&personal));
        }
        let inner = |column: &Column| vec![Column::same("s", Kind::Struct(vec![column.clone()]))];
        let evolution = evolve(&inner(&plain), &inner(&personal)).unwrap();
        assert!(evolution.columns[0].is_personal() && !evolution.columns[0].personal);
    }

    #[test]
    fn a_name_that_collides_later_keeps_both_columns() {
        let old = [column("Name", Kind::String)];
        let evolution = evolve(&old, &[column("name", Kind::Bigint)]).unwrap();
        assert_eq!(evolution.columns[0].name, "name");
        assert!(evolution.columns[1].name.starts_with("name_"));
    }
}
