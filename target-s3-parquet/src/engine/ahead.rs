//! Items that have come and whose turn is yet to come.
//!
//! A tap sends the schemas of its streams one by one, each with its records behind it, and what the lake has of
//! each table is an answer that is waited for. So the engine looks further when it meets a schema: those that
//! have come by then are looked up together. Each item still has its effect in its turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;

use crate::decode::plan::Plan;
use crate::error::Result;
use crate::input::item::Item;
use crate::input::items::Next;

/// How long an item is waited for that is about to come, if it is.
const PATIENCE: Duration = Duration::from_millis(2);

/// Items that are kept at most.
const MOST: usize = 10_000;

/// Items that have come before their turn.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    items: VecDeque<Result<Item>>,
    /// Bytes of their rows.
    bytes: usize,
}

impl Ahead {
    /// The item whose turn it is, if it has come.
    pub(super) fn next(&mut self) -> Option<Result<Item>> {
        let item = self.items.pop_front()?;
        self.bytes -= item.as_ref().map_or(0, bytes);
        Some(item)
    }

    /// Takes in what has come, as long as its rows take fewer bytes than this.
    pub(super) fn look(&mut self, next: &impl Fn(Duration) -> Next, most: usize) {
        while self.bytes < most && self.items.len() < MOST {
            // At the end of the input the next look finds it again.
            let Next::Item(item) = next(PATIENCE) else { return };
            let is_last = item.is_err();
            self.bytes += item.as_ref().map_or(0, bytes);
            self.items.push_back(item);
            if is_last {
                return;
            }
        }
    }

    /// The plans of the schemas among them.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.items.iter().filter_map(|item| match item {
            Ok(Item::Schema(plan)) => Some(plan),
            Ok(
                Item::Rows(_)
                | Item::State(_)
                | Item::Ended { .. }
                | Item::ActivateVersion { .. }
                | Item::Warning(_),
            )
            | Err(_) => None,
        })
    }
}

/// Bytes of the rows in an item.
fn bytes(item: &Item) -> usize {
    match item {
        Item::Rows(decoded) => {
            let batches = decoded.rows.iter().map(|rows| &rows.batch);
            batches.map(RecordBatch::get_array_memory_size).sum()
        }
        Item::Schema(_)
        | Item::State(_)
        | Item::Ended { .. }
        | Item::ActivateVersion { .. }
        | Item::Warning(_) => 0,
    }
}
