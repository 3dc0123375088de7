//! The sequence of items, and the thread that reads them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::allowance::{Allowance, IN_FLIGHT};
use super::item::Item;
use super::lines::{BLOCK, Blocks, Input};
use super::outlet::{Outlet, Ticket};
use super::protocol::Protocol;
use super::route::Router;
use crate::error::{Error, Result};

/// Bytes that may be read ahead, where blocks are large.
const BYTES_IN_FLIGHT: usize = IN_FLIGHT * BLOCK;

/// The sequence of items. Dropping it stops the reader.
#[derive(Debug)]
pub(crate) struct Items {
    tickets: Receiver<Ticket>,
    reader: Option<JoinHandle<()>>,
}

/// What [`Items::next`] finds.
#[derive(Debug)]
pub(crate) enum Next {
    /// An item, or the error that ends the input.
    Item(Result<Item>),
    /// Nothing came in time.
    Timeout,
    /// The input ended.
    End,
}

/// What bounds and ends the reading.
#[derive(Debug)]
pub(crate) struct Limits {
    /// The longest line in bytes; a block may always be as long as two.
    pub(crate) longest_line: usize,
    /// Ends the input early, as if the source had ended.
    pub(crate) stop: Arc<AtomicBool>,
    /// When the run began, in microseconds since 1970.
    pub(crate) started_at: i64,
}

impl Items {
    /// Starts reading messages of a protocol. Records are decoded by the workers of `pool`.
    pub(crate) fn start(
        input: Input,
        protocol: Protocol,
        pool: Arc<rayon::ThreadPool>,
        limits: Limits,
    ) -> Self {
        let (sender, tickets) = bounded(IN_FLIGHT);
        let reader = std::thread::spawn(move || {
            let longest = limits.longest_line.max(BLOCK * 2);
            let blocks = Blocks::new(input, longest, limits.stop);
            let outlet = Outlet {
                tickets: sender,
                pool,
                allowance: Allowance::new(BYTES_IN_FLIGHT),
                dialect: protocol.dialect,
                registry: Arc::new(protocol.registry),
                started_at: limits.started_at,
            };
            Router::new(protocol.messages, outlet).run(blocks);
        });
        Self { tickets, reader: Some(reader) }
    }

    /// The next item, or nothing at the end of the input. [`Next::Timeout`] after `patience`.
    pub(crate) fn next(&self, patience: Duration) -> Next {
        match self.tickets.recv_timeout(patience) {
            Ok(Ticket::Ready(item)) => Next::Item(item),
            Ok(Ticket::Decoding(decoded, _permit)) => Next::Item(match decoded.recv() {
                Ok(decoded) => Ok(Item::Rows(decoded)),
                Err(error) => Err(Error::broken("a decode worker ends with a result", error)),
            }),
            Err(RecvTimeoutError::Timeout) => Next::Timeout,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    /// Waits for the reader's end, so that a panic in it is not lost.
    pub(crate) fn join(mut self) -> Result<()> {
        let reader = self.reader.take();
        drop(self);
        match reader.map(JoinHandle::join) {
            Some(Err(_)) => Err(Error::internal("the reader of the input does not panic")),
            Some(Ok(())) | None => Ok(()),
        }
    }
}
