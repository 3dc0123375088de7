//! The sequence of items, and the thread that reads them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use lake::Allowance;

use super::item::Item;
use super::lines::{Blocks, Input};
use super::outlet::{Outlet, Ticket};
use super::protocol::Protocol;
use super::route::Router;
use crate::error::{Error, Result};
use crate::memory::Shares;

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
    /// How much may be on its way.
    pub(crate) shares: Shares,
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
        let (sender, tickets) = bounded(limits.shares.blocks);
        let reader = std::thread::spawn(move || {
            let longest = limits.longest_line.max(limits.shares.block * 2);
            let blocks = Blocks::new(input, longest, limits.shares, limits.stop);
            let outlet = Outlet {
                tickets: sender,
                pool,
                allowance: Allowance::new(limits.shares.on_way),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::plan::Plan;
    use crate::input::outlet::Halt;
    use crate::input::protocol::Messages;
    use crate::memory::BLOCK;
    use crate::testing::{Bare, described, limits, plan, read, registry};
    use serde_json::json;
    use std::sync::atomic::Ordering;

    /// Lines of [`Bare`] are records; others are warnings, or the end by `stop` or `break`.
    #[derive(Debug)]
    struct Words {
        stop: Arc<AtomicBool>,
    }

    impl Messages for Words {
        fn is_record(&self, line: &[u8]) -> Result<bool, String> {
            match line {
                b"break" => Err("it is broken".into()),
                line => Ok(line.starts_with(b"{")),
            }
        }

        fn read(&mut self, line: &[u8], number: u64, outlet: &mut Outlet) -> Result<(), Halt> {
            match line {
                b"stop" => {
                    self.stop.store(true, Ordering::Relaxed);
                    Ok(())
                }
                line => {
                    let text = String::from_utf8_lossy(line);
                    outlet.item(Item::Warning(format!("{number} {text}")))
                }
            }
        }

        fn at_end(&self) -> Vec<String> {
            vec!["the end".into()]
        }
    }

    fn plans() -> Vec<Arc<Plan>> {
        vec![plan("a", &json!({"id": {"type": "integer"}}), &[], json!({}))]
    }

    fn words(stop: &Arc<AtomicBool>) -> Protocol {
        Protocol {
            dialect: &Bare,
            messages: Box::new(Words { stop: Arc::clone(stop) }),
            registry: registry(&plans()),
        }
    }

    #[test]
    fn items_come_in_the_order_of_their_lines_and_the_protocol_has_the_last_word() {
        let input =
            "first\n{\"a\":{\"id\":1}}\n\n{\"a\":{\"id\":2}}\r\nsecond\n\n  third\n{\"a\":{}}";
        let (items, error) = read(input, words(&Arc::default()));
        assert!(error.is_none());
        assert_eq!(
            described(&items),
            [
                "warning 1 first",
                "rows 2 a",
                "warning 5 second",
                // A chunk of a blank line.
                "rows ",
                "warning 7 third",
                "rows 1 a",
                "warning the end",
            ]
        );
    }

    #[test]
    fn records_before_a_broken_line_come_before_its_error_and_nothing_behind_it() {
        let (items, error) = read("{\"a\":{\"id\":1}}\nbreak\nnever", words(&Arc::default()));
        assert_eq!(described(&items), ["rows 1 a"]);
        assert_eq!(error.unwrap().to_string(), "line 2 is not a message: it is broken");
    }

    #[test]
    fn records_before_a_line_that_is_no_text_come_before_its_error() {
        let (items, error) = read(b"{\"a\":{\"id\":1}}\nword \xff\nnever", words(&Arc::default()));
        assert_eq!(described(&items), ["rows 1 a"]);
        assert_eq!(error.unwrap().to_string(), "line 2 is not a message: it is not valid UTF-8");
    }

    #[test]
    fn an_error_in_a_record_comes_with_the_rows_before_it() {
        let (items, error) =
            read("{\"a\":{\"id\":1}}\n{\"a\":{\"id\":\"x\"}}\n", words(&Arc::default()));
        assert!(error.is_none(), "the engine decides what becomes of it");
        let rows = &described(&items)[0];
        assert!(rows.starts_with("rows 1 a, line 2: stream `a`, column `id`"), "{rows}");
    }

    #[test]
    fn an_input_that_was_stopped_ends_before_its_next_block() {
        let stop = Arc::new(AtomicBool::new(false));
        let long = "x".repeat(BLOCK);
        let input = format!("stop\n{long}\nnever\n{long}\nnever\n");
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, input.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let limits = Limits { stop: Arc::clone(&stop), ..limits(0) };
        let items =
            Items::start(Input::File(file, "input".into()), words(&stop), pool.into(), limits);
        let mut found = 0;
        loop {
            match items.next(Duration::from_mins(1)) {
                Next::Item(Ok(Item::Warning(_))) => found += 1,
                Next::End => break,
                other => panic!("{other:?}"),
            }
        }
        items.join().unwrap();
        assert!(found < 5, "all was read");
    }

    #[test]
    fn a_reader_ends_when_nobody_listens_any_more() {
        let input = "word\n".repeat(10_000);
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, input.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let limits = limits(0);
        let protocol = words(&Arc::default());
        let items = Items::start(Input::File(file, "input".into()), protocol, pool.into(), limits);
        assert!(matches!(items.next(Duration::from_mins(1)), Next::Item(Ok(_))));
        // It would wait for ever with its channel full.
        items.join().unwrap();
    }

    #[test]
    fn a_panic_in_the_reader_is_an_error_of_the_run() {
        let (_sender, tickets) = bounded(1);
        let reader = std::thread::spawn(|| panic!("as in a reader"));
        let error = Items { tickets, reader: Some(reader) }.join().unwrap_err();
        assert!(error.to_string().contains("the reader of the input does not panic"));
    }

    #[test]
    fn a_worker_that_ends_without_a_result_is_an_error_and_no_silence() {
        let (sender, tickets) = bounded(1);
        let (result, ticket) = bounded(1);
        drop(result);
        sender.send(Ticket::Decoding(ticket, Allowance::new(1).take(1))).unwrap();
        let items = Items { tickets, reader: None };
        let Next::Item(Err(error)) = items.next(Duration::ZERO) else { panic!("no error") };
        assert!(error.to_string().contains("a decode worker ends with a result"));
        assert!(matches!(items.next(Duration::ZERO), Next::Timeout));
        drop(sender);
        assert!(matches!(items.next(Duration::ZERO), Next::End));
    }
}
