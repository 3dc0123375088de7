//! From bytes to an ordered sequence of [`Item`]s.
//!
//! One thread reads blocks of lines ([`lines`]) and routes them ([`route`]): records go to the
//! decode workers by the chunk, everything else is read on the spot. Tickets keep the order of the
//! input, so that a STATE comes out exactly behind the rows that stood before it.

mod airbyte;
mod allowance;
mod batch;
mod lines;
pub(crate) mod plan;
mod route;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::value::RawValue;

use crate::decode::{self, Chunk, Decoded, Dialect, Plan, Registry, Scratch};
use crate::error::{Error, Result};
use crate::settings::Config;

use allowance::{Allowance, Permit};
pub use lines::{Blocks, Source};

/// Chunks that may be read ahead of the one being staged. Each holds one block of input and its
/// decoded rows, so this bounds the memory of the pipeline.
const IN_FLIGHT: usize = 6;

/// Bytes that may be read ahead, where blocks are large.
const BYTES_IN_FLIGHT: usize = IN_FLIGHT * lines::BLOCK;

/// One thing that the input says, in its order.
#[derive(Debug)]
pub enum Item {
    /// Rows of one or more streams.
    Rows(Decoded),
    /// A stream has this schema from here on.
    Schema(Arc<Plan>),
    /// A state that covers what stands before it.
    State(State),
    /// The source has said how a stream ended.
    Ended {
        /// The stream.
        stream: String,
        /// Whether it was read to its end.
        complete: bool,
    },
    /// The stream's rows of other versions are obsolete.
    ActivateVersion {
        /// The stream.
        stream: String,
        /// The version that stays.
        version: i64,
    },
    /// A warning about the input.
    Warning(String),
}

/// A state, as it is to be given back.
#[derive(Debug)]
pub struct State {
    /// Its text.
    pub text: Box<RawValue>,
    /// The one stream whose records it covers; without it, those of all.
    pub stream: Option<String>,
}

/// An item that may still be being decoded.
enum Ticket {
    Ready(Result<Item>),
    Decoding(Receiver<Decoded>, Permit),
}

/// The sequence of items. Dropping it stops the reader.
#[derive(Debug)]
pub struct Items {
    tickets: Receiver<Ticket>,
    reader: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Ticket")
    }
}

impl Items {
    /// Starts reading messages of a dialect. `stop` ends the input early, as if the source had ended.
    pub fn start(
        source: Source,
        (dialect, registry): (Dialect, Registry),
        config: Arc<Config>,
        pool: Arc<rayon::ThreadPool>,
        stop: Arc<AtomicBool>,
        started_at: i64,
    ) -> Self {
        let (sender, tickets) = bounded(IN_FLIGHT);
        let reader = std::thread::spawn(move || {
            let longest = (config.memory_bytes() / 2).max(lines::BLOCK * 2);
            let blocks = Blocks::new(source, longest, stop);
            let output = Output { sender, pool, allowance: Allowance::new(BYTES_IN_FLIGHT) };
            let mut router = route::Router::new(config, output, dialect, registry, started_at);
            router.run(blocks);
        });
        Self { tickets, reader: Some(reader) }
    }

    /// The next item, or nothing at the end of the input. `Err(Timeout)` after `patience`.
    pub fn next(&self, patience: std::time::Duration) -> Next {
        match self.tickets.recv_timeout(patience) {
            Ok(Ticket::Ready(item)) => Next::Item(item),
            Ok(Ticket::Decoding(decoded, _permit)) => match decoded.recv() {
                Ok(decoded) => Next::Item(Ok(Item::Rows(decoded))),
                Err(_) => Next::Item(Err(Error::internal("a decode worker ends with a result"))),
            },
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => Next::Timeout,
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    /// Waits for the reader's end, so that a panic in it is not lost.
    pub fn join(mut self) -> Result<()> {
        let reader = self.reader.take();
        drop(self);
        match reader.map(JoinHandle::join) {
            Some(Err(_)) => Err(Error::internal("the reader of the input does not panic")),
            _ => Ok(()),
        }
    }
}

/// What [`Items::next`] gives.
#[derive(Debug)]
pub enum Next {
    /// An item, or the error that ends the input.
    Item(Result<Item>),
    /// Nothing came in time.
    Timeout,
    /// The input ended.
    End,
}

/// Where the router puts what it finds.
struct Output {
    sender: Sender<Ticket>,
    pool: Arc<rayon::ThreadPool>,
    allowance: Allowance,
}

impl Output {
    /// Passes an item on. False once nobody listens any more.
    fn item(&self, item: Result<Item>) -> bool {
        self.sender.send(Ticket::Ready(item)).is_ok()
    }

    /// Has a chunk decoded by a worker, with the schemas as they are now. `file` is where the chunk
    /// is from, if not from the input itself.
    fn chunk(&self, chunk: Chunk, registry: Arc<Registry>, file: Option<Arc<str>>) -> bool {
        thread_local! {
            static SCRATCH: std::cell::RefCell<Scratch> = std::cell::RefCell::default();
        }
        let permit = self.allowance.take(chunk.bytes.len());
        let (result, ticket) = bounded(1);
        self.pool.spawn(move || {
            let mut decoded =
                SCRATCH.with_borrow_mut(|scratch| decode::decode(&chunk, &registry, scratch));
            if let (Some(file), Some(error)) = (file, decoded.error.as_mut()) {
                *error = Error::Batch { file: file.to_string(), reason: error.to_string() };
            }
            // Nobody waits for it after an error before it.
            _ = result.send(decoded);
        });
        self.sender.send(Ticket::Decoding(ticket, permit)).is_ok()
    }
}
