//! What a run advises of a new table.

use lake::schema::Column;
use lake::table::LoadMethod;

use crate::decode::plan::Plan;

/// Says of a new table what becomes of a key whose partition changes, where that may be and no setting decides
/// it: later nobody would know by which version a key was left behind.
pub(super) fn ask_to_move_keys(plan: &Plan) {
    let Some(by) = plan.spec.partition_by.as_ref() else { return };
    let is_called = |column: &Column| column.source == by.column || column.name == by.column;
    let Some(column) = plan.spec.columns.iter().find(|column| is_called(column)) else { return };
    if plan.spec.load != LoadMethod::Upsert || plan.spec.keys.contains(&column.name) {
        return;
    }
    let (stream, column) = (&plan.stream, &by.column);
    tracing::warn!(
        stream,
        column,
        "{stream}: where `{column}` of a row changes, the row stays in its old partition as well, and its key is \
         in the table twice: set `move_keys` to true where that may be, or to false where it never changes"
    );
}
