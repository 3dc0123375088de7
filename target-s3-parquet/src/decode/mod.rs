//! Record lines to Arrow columns, in one pass and without a tree between.
//!
//! ```text
//! chunk of lines ─► decoder ─► dialect (the envelope) ─► reader ─► stream ─► column ─► scalar
//! ```
//!
//! [`scan`] walks the JSON text, [`mod@column`] and [`scalar`] fill typed buffers, [`context`] has the
//! rules and what is counted, [`stream`] holds the buffers of one stream. A [`dialect`] reads the
//! envelope of a record and knows, with the [`conventions`] of a plan, all that is peculiar to a
//! protocol. Everything here is a pure function of bytes, plans and a scratch space: no IO, no clock,
//! no allocation per record once buffers have grown.

pub(crate) mod chunk;
mod column;
pub(crate) mod context;
pub(crate) mod conventions;
pub(crate) mod decoder;
pub(crate) mod derive;
pub(crate) mod dialect;
pub(crate) mod facts;
pub(crate) mod fault;
mod field_names;
mod filtered;
pub(crate) mod number;
pub(crate) mod plan;
pub(crate) mod reader;
pub(crate) mod rows;
mod scalar;
pub(crate) mod scan;
pub(crate) mod stream;
pub(crate) mod text;
mod validity;

#[cfg(test)]
mod oracle;
