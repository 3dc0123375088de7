//! Lists that come in pages.

use std::fmt;

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesOrdered;

use crate::client::{Answer, Client, PAGE, Page, Request, Resource};
use crate::error::{Error, Result};

/// Times that one and the same full page may come in a row. A server that ignores `page` sends it
/// forever; a list whose rows are alike may send it twice.
const SAME: u32 = 3;

/// How far a list is read ahead. What is asked for beyond its end is asked in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookAhead {
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
pub(crate) struct Pages<'a, T> {
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
    /// Nothing is asked for until the first [`next`](Self::next).
    pub(crate) fn new(client: &'a Client, request: Request, look_ahead: LookAhead) -> Self {
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
    pub(crate) fn read(&self) -> usize {
        self.read
    }

    /// The rows of the next page, or nothing after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>> {
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
        let Some(answer) = self.in_flight.next().await else {
            return Err(Error::internal("a page in flight of a list that has not ended"));
        };
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::testing::{Server, config, ok, rows};

    #[derive(Debug, Deserialize)]
    struct Row {
        id: i64,
    }

    impl Resource for Row {
        const NAME: &'static str = "a row";
        const UNUSED: &'static [&'static str] = &[];
    }

    /// A list of so many rows.
    fn list(length: i64) -> Server {
        Server::new(move |path| {
            let page: i64 = path.split("&page=").nth(1).unwrap().parse().unwrap();
            ok(rows((page - 1) * 100 + 1..=length.min(page * 100), |id| {
                format!(r#"{{"id":{id}}}"#)
            }))
        })
    }

    async fn all(server: &Server, look_ahead: LookAhead) -> Result<Vec<i64>> {
        let client = server.client(&config(r#""concurrency":4"#));
        let mut pages = Pages::<Row>::new(&client, Request::new("/rows"), look_ahead);
        let mut ids = Vec::new();
        while let Some(rows) = pages.next().await? {
            ids.extend(rows.iter().map(|row| row.id));
        }
        assert_eq!(pages.next().await?.map(|rows| rows.len()), None, "the end is the end");
        Ok(ids)
    }

    #[tokio::test]
    async fn a_list_ends_with_the_first_page_that_is_not_full() {
        for (length, requests) in [(0, 1), (1, 1), (99, 1), (100, 2), (101, 2), (250, 3)] {
            let server = list(length);
            let ids = all(&server, LookAhead::Never).await.unwrap();
            assert_eq!(ids, (1..=length).collect::<Vec<_>>());
            assert_eq!(server.asked().len(), requests, "{length} rows");
        }
    }

    #[tokio::test]
    async fn pages_come_in_their_order_however_far_is_read_ahead() {
        for look_ahead in [LookAhead::Never, LookAhead::Little, LookAhead::Much] {
            let server = list(3030);
            let ids = all(&server, look_ahead).await.unwrap();
            assert_eq!(ids, (1..=3030).collect::<Vec<_>>(), "{look_ahead:?}");
            let asked = server.asked().len();
            assert!((31..=37).contains(&asked), "{asked}");
            assert!(look_ahead != LookAhead::Never || asked == 31);
        }
    }

    #[tokio::test]
    async fn a_page_of_empty_rows_is_not_the_end() {
        let server = Server::new(|path| {
            ok(if path.ends_with("&page=1") {
                rows(1..=100, |_| "{}".into())
            } else {
                r#"[{"id":7}]"#.into()
            })
        });
        assert_eq!(all(&server, LookAhead::Never).await.unwrap(), [7]);
    }

    #[tokio::test]
    async fn the_same_full_page_again_and_again_is_an_error() {
        let server = Server::new(|_| ok(rows(1..=100, |id| format!(r#"{{"id":{id}}}"#))));
        let error = all(&server, LookAhead::Never).await.unwrap_err();
        assert!(matches!(&error, Error::EndlessPages { path } if path == "/rows"), "{error}");
        assert_eq!(server.asked().len(), 3);
    }

    #[tokio::test]
    async fn an_error_of_a_page_is_that_of_the_list() {
        let server = Server::of(&[]);
        let error = all(&server, LookAhead::Much).await.unwrap_err();
        assert_eq!(error.to_string(), "GET /rows?per_page=100&page=1 answered 404");
    }
}
