//! From bytes to an ordered sequence of items.
//!
//! ```text
//! lines ─► route ─► records ───────────────► outlet ─► decode workers ─► items
//!             └───► protocol (the others) ─► outlet ─────────────────────┘
//! ```
//!
//! One thread reads blocks of [`lines`] and [routes](route) them: records go to the decode workers by
//! the chunk, everything else is read on the spot, by the [`protocol`]. Tickets keep the order of the
//! input in the [`outlet`], so that a STATE comes out of the [`items`] exactly behind the rows that
//! stood before it. An [allowance](lake::Allowance) bounds what is on its way.

pub(crate) mod item;
pub(crate) mod items;
pub(crate) mod lines;
pub(crate) mod outlet;
pub(crate) mod protocol;
mod route;
