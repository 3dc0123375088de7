//! Where what is read of the input goes, in its order.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use lake::{Allowance, Permit};

use super::item::Item;
use crate::decode::chunk::Chunk;
use crate::decode::decoder::decode;
use crate::decode::dialect::Dialect;
use crate::decode::plan::{Plan, Registry};
use crate::decode::reader::Scratch;
use crate::decode::rows::Decoded;
use crate::error::{Error, Result};

/// An item that may still be being decoded.
pub(super) enum Ticket {
    Ready(Result<Item>),
    Decoding(Receiver<Decoded>, Permit),
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(item) => formatter.debug_tuple("Ready").field(item).finish(),
            Self::Decoding(..) => formatter.write_str("Decoding"),
        }
    }
}

/// Reading ends early.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Nobody listens any more.
    Unheard,
    /// The input is broken.
    Broken(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// Takes items, and has chunks of records decoded by the schemas as they are at that place of the
/// input.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(super) tickets: Sender<Ticket>,
    pub(super) pool: Arc<rayon::ThreadPool>,
    pub(super) allowance: Allowance,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) registry: Arc<Registry>,
    /// When the run began, in microseconds since 1970.
    pub(super) started_at: i64,
}

impl Outlet {
    /// Passes an item on.
    pub(crate) fn item(&self, item: Item) -> Result<(), Halt> {
        self.ticket(Ticket::Ready(Ok(item)))
    }

    /// Passes on the error that ends the input, in its place. That nobody listens any more is no
    /// matter then.
    pub(super) fn error(&self, error: Error) {
        _ = self.ticket(Ticket::Ready(Err(error)));
    }

    /// From here on a stream of the source, by its name, is read by these plans.
    pub(crate) fn define(
        &mut self,
        source: Box<[u8]>,
        plans: &Arc<[Arc<Plan>]>,
    ) -> Result<(), Halt> {
        // Chunks that are being decoded keep the registry that they have.
        Arc::make_mut(&mut self.registry).insert(source, Arc::clone(plans));
        plans.iter().try_for_each(|plan| self.item(Item::Schema(Arc::clone(plan))))
    }

    /// The plans by which a stream of the source is read.
    pub(crate) fn plans(&self, source: &[u8]) -> Option<&Arc<[Arc<Plan>]>> {
        self.registry.get(source)
    }

    /// How many streams of the source are known.
    pub(super) fn streams(&self) -> usize {
        self.registry.len()
    }

    /// Has records decoded by a worker, with the schemas as they are now. `file` is where they are
    /// from, if not from the input itself.
    pub(crate) fn records(
        &self,
        file: Option<Arc<str>>,
        bytes: Bytes,
        first_line: u64,
        received_at: i64,
    ) -> Result<(), Halt> {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let chunk = Chunk { bytes, first_line, received_at, started_at: self.started_at };
        let permit = self.allowance.take(chunk.bytes.len());
        let (result, ticket) = bounded(1);
        let (dialect, registry) = (self.dialect, Arc::clone(&self.registry));
        self.pool.spawn(move || {
            let mut decoded =
                SCRATCH.with_borrow_mut(|scratch| decode(&chunk, dialect, &registry, scratch));
            decoded.error = decoded.error.map(|error| match &file {
                Some(file) => error.in_batch(file),
                None => error,
            });
            // Nobody waits for it after an error before it.
            _ = result.send(decoded);
        });
        self.ticket(Ticket::Decoding(ticket, permit))
    }

    fn ticket(&self, ticket: Ticket) -> Result<(), Halt> {
        self.tickets.send(ticket).map_err(|_| Halt::Unheard)
    }
}
