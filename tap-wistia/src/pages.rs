//! Lists that come in pages.

use std::fmt;

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesOrdered;

use crate::client::{Answer, Client, PAGE, Page, Request, Resource};
use crate::error::{Error, Result};

/// Times that one and the same full page may come in a row.
const SAME: u32 = 3;

/// How far a list is read ahead. What is asked for beyond its end is asked in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookAhead {
    /// Not at all: for a list that grows at its head while it is read. Of two pages in flight the
    /// second may be answered first, and rows that move from one to the other in between would be in
    /// neither.
    Never,
    /// A page for each 25 that were read: where other lists are read at the same time.
    Little,
    /// A page for each six: where all else waits for this list.
    Much,
}

impl LookAhead {
    fn after(self, read: usize) -> usize {
        match self {
            Self::Never => 0,
            Self::Little => read / 25,
            Self::Much => read / 6,
        }
    }
}

/// Reads a list page after page.
pub struct Pages<'a, T> {
    client: &'a Client,
    request: Request,
    look_ahead: LookAhead,
    asked: usize,
    read: usize,
    ended: bool,
    in_flight: FuturesOrdered<LocalBoxFuture<'a, Result<Answer<Page<T>>>>>,
    last: Option<u64>,
    same: u32,
}

impl<T> fmt::Debug for Pages<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pages").field("request", &self.request).finish_non_exhaustive()
    }
}

impl<'a, T: Resource + 'a> Pages<'a, T> {
    /// Reads a list.
    pub fn new(client: &'a Client, request: Request, look_ahead: LookAhead) -> Self {
        Self {
            client,
            request,
            look_ahead,
            asked: 0,
            read: 0,
            ended: false,
            in_flight: FuturesOrdered::new(),
            last: None,
            same: 0,
        }
    }

    /// How many pages were read.
    pub fn read(&self) -> usize {
        self.read
    }

    /// The rows of the next page, or nothing after the last one.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>> {
        if self.ended {
            return Ok(None);
        }
        let ahead = self.look_ahead.after(self.read);
        while self.in_flight.len() <= ahead {
            self.asked += 1;
            let request = self.request.clone().with("per_page", PAGE).with("page", self.asked);
            let client = self.client;
            self.in_flight.push_back(Box::pin(async move { client.get(&request).await }));
        }
        let Some(answer) = self.in_flight.next().await else { return Ok(None) };
        let Answer { value: page, digest } = answer?;
        self.read += 1;
        if page.is_last() {
            self.ended = true;
            self.in_flight.clear();
        } else {
            self.same = if self.last == Some(digest) { self.same + 1 } else { 1 };
            self.last = Some(digest);
            if self.same >= SAME {
                return Err(Error::EndlessPages { path: self.request.to_string() });
            }
        }
        Ok(Some(page.rows))
    }
}
