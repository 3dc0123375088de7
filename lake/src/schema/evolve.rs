//! What happens to a table's columns when the schema of its stream changes.
//!
//! New columns come last, lost ones stay, `int` widens to `bigint` and that to `double`. Anything
//! else would leave files of two physical types under one column, so it is refused.

use std::collections::HashSet;

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
    for column in new {
        let position = position_of(&columns, column);
        match position.and_then(|at| columns.get_mut(at)) {
            Some(existing) => {
                widened |= merge(existing, column)?;
            }
            None => {
                let taken: HashSet<String> =
                    columns.iter().map(|column| column.name.clone()).collect();
                let name = if taken.contains(&column.name) {
                    names::unique(&column.source, &taken)
                } else {
                    column.name.clone()
                };
                columns.push(Column { name, ..column.clone() });
            }
        }
    }
    Ok(Evolution { columns, widened })
}

/// A column is the same when its source is; one whose source is gone may be taken over by name.
fn position_of(columns: &[Column], wanted: &Column) -> Option<usize> {
    columns.iter().position(|column| column.source == wanted.source)
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

fn widen(old: &Kind, new: &Kind) -> Result<(Kind, bool), Incompatible> {
    use Kind::{Bigint, Double, Int, Json, List, String, Struct};
    Ok(match (old, new) {
        (old, new) if old == new => (old.clone(), false),
        (Int, Bigint | Double) | (Bigint, Double) => (new.clone(), true),
        (Bigint | Double, Int) | (Double, Bigint) => (old.clone(), false),
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
