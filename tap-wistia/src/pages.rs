//! Lists that come in pages: where they end, and how they are read to there.
//!
//! Wistia tells neither a total nor whether a page follows:
//! <https://docs.wistia.com/docs/making-api-requests>. A page of no rows is the end. A page that is not
//! full is the end too where the server fills its pages, but a server may cap them, or take rows out of
//! a page that the token must not see. So a short page is asked beyond wherever it might be cut, which
//! for most lists is one request.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesOrdered;
use hashbrown::{DefaultHashBuilder, HashSet};

use crate::client::{Answer, Client, PAGE, Page, Request, Resource};
use crate::error::{Error, Result};

/// Full pages in a row that bring nothing new. A server that ignores `page` sends the first page for
/// ever; a list that grows at its head may send a page twice.
const STALE: u32 = 3;

/// Rows of the longest page of a list that trickles. A server may cap its pages so low, and then all have
/// one length but the last. Where they have not, the rows are made up, as those of mocks are, and will
/// never end.
const TRICKLE: usize = 20;

/// Pages of other lengths than the first, in a row, with which a list that trickles has ended.
const UNEVEN: u32 = 2;

/// Pages of a list that trickles.
const TRICKLING: u32 = 1000;

/// A row of a list, which no other row of it shares its identity with.
pub(crate) trait Listed: Resource {
    /// What tells it from all others.
    fn identity(&self) -> impl Hash;
}

/// What is known of the ends of lists of one kind, such as the slices of one list.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Rows of the longest page that was seen to be the last though it was not full.
    proven: Cell<usize>,
    /// A page that was not full was seen not to be the last.
    short_pages_go_on: Cell<bool>,
}

/// What comes after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another page.
    Page,
    /// Nothing: the list has ended.
    End,
    /// The same page again, and it always will.
    Endless,
}

/// The pages of one list so far.
#[derive(Debug)]
pub(crate) struct Listing<'e> {
    ends: &'e Ends,
    known: HashSet<u64>,
    hasher: DefaultHashBuilder,
    /// Rows of the longest page.
    longest: usize,
    /// Rows of the first page.
    first: Option<usize>,
    /// Pages of another length in a row.
    uneven: u32,
    /// Pages so far.
    pages: u32,
    /// Rows of the last page, where it was short and the next one tells whether it was the last.
    doubtful: Option<usize>,
    stale: u32,
    /// Whether the last page had a row that none before it had.
    is_new: bool,
}

impl<'e> Listing<'e> {
    /// A list of which nothing was read.
    pub(crate) fn new(ends: &'e Ends) -> Self {
        Self {
            ends,
            known: HashSet::new(),
            hasher: DefaultHashBuilder::default(),
            longest: 0,
            first: None,
            uneven: 0,
            pages: 0,
            doubtful: None,
            stale: 0,
            is_new: true,
        }
    }

    /// What comes after the page that was read last.
    pub(crate) fn next<R: Listed>(&mut self, page: &Page<R>) -> Next {
        let before = self.known.len();
        let hash = |row: &R| self.hasher.hash_one(row.identity());
        self.known.extend(page.rows.iter().map(hash));
        let is_new = self.known.len() > before;
        self.is_new = is_new;
        if let Some(rows) = self.doubtful.take() {
            if is_new {
                self.ends.short_pages_go_on.set(true);
            } else if page.received < PAGE {
                self.ends.proven.set(self.ends.proven.get().max(rows));
            }
        }
        self.longest = self.longest.max(page.received);
        self.pages += 1;
        if page.received >= PAGE {
            self.stale = if is_new { 0 } else { self.stale + 1 };
            return if self.stale >= STALE { Next::Endless } else { Next::Page };
        }
        // Rows without a key are no sign of a list that repeats itself.
        if !is_new && (page.received == 0 || !page.rows.is_empty()) {
            return Next::End;
        }
        let is_even = *self.first.get_or_insert(page.received) == page.received;
        self.uneven = if is_even { 0 } else { self.uneven + 1 };
        let trickles = self.longest <= TRICKLE;
        if trickles && self.pages >= TRICKLING {
            return Next::Endless;
        }
        let may_be_cut = self.ends.short_pages_go_on.get()
            || self.longest >= PAGE
            || page.received > self.ends.proven.get();
        if !may_be_cut || (trickles && self.uneven >= UNEVEN) {
            return Next::End;
        }
        self.doubtful = Some(page.received);
        Next::Page
    }
}

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
    listing: Listing<'a>,
    asked: usize,
    read: usize,
    was_full: bool,
    ended: bool,
    in_flight: FuturesOrdered<LocalBoxFuture<'a, Result<Answer<Page<T>>>>>,
}

impl<T> fmt::Debug for Pages<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pages").field("request", &self.request).finish_non_exhaustive()
    }
}

impl<'a, T: Listed> Pages<'a, T> {
    /// Nothing is asked for until the first [`next`](Self::next).
    pub(crate) fn new(
        client: &'a Client,
        request: Request,
        look_ahead: LookAhead,
        ends: &'a Ends,
    ) -> Self {
        Self {
            client,
            request,
            look_ahead,
            listing: Listing::new(ends),
            asked: 0,
            read: 0,
            was_full: false,
            ended: false,
            in_flight: FuturesOrdered::new(),
        }
    }

    /// Whether the last page was full.
    pub(crate) fn was_full(&self) -> bool {
        self.was_full
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
        let page = answer?.value;
        self.read += 1;
        self.was_full = page.received >= PAGE;
        match self.listing.next(&page) {
            Next::Page => {}
            Next::End => {
                self.ended = true;
                self.in_flight.clear();
                if !self.listing.is_new {
                    return Ok(None);
                }
            }
            Next::Endless => {
                let path = self.request.to_string();
                let endless = Error::EndlessPages { path, host: String::new() };
                return Err(self.client.told(endless));
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
        const TABLE: &'static str = "rows";
        const UNUSED: &'static [&'static str] = &[];
    }

    impl Listed for Row {
        fn identity(&self) -> impl Hash {
            self.id
        }
    }

    fn row(id: i64) -> String {
        format!(r#"{{"id":{id}}}"#)
    }

    fn page_of(path: &str) -> i64 {
        path.split("&page=").nth(1).unwrap().parse().unwrap()
    }

    /// A list of so many rows, in pages of so many.
    fn list(length: i64, size: i64) -> Server {
        Server::new(move |path| {
            let page = page_of(path);
            ok(rows((page - 1) * size + 1..=length.min(page * size), row))
        })
    }

    async fn all(server: &Server, look_ahead: LookAhead) -> Result<Vec<i64>> {
        let client = server.client(&config(r#""concurrency":4"#));
        let ends = Ends::default();
        let mut pages = Pages::<Row>::new(&client, Request::new("/rows"), look_ahead, &ends);
        let mut ids = Vec::new();
        while let Some(rows) = pages.next().await? {
            ids.extend(rows.iter().map(|row| row.id));
        }
        assert_eq!(pages.next().await?.map(|rows| rows.len()), None, "the end is the end");
        Ok(ids)
    }

    #[tokio::test]
    async fn a_list_costs_one_request_more_than_it_has_pages() {
        for (length, requests) in [(0, 1), (1, 2), (99, 2), (100, 2), (101, 3), (250, 4)] {
            let server = list(length, 100);
            let ids = all(&server, LookAhead::Never).await.unwrap();
            assert_eq!(ids, (1..=length).collect::<Vec<_>>());
            assert_eq!(server.asked().len(), requests, "{length} rows");
        }
    }

    #[tokio::test]
    async fn pages_come_in_their_order_however_far_is_read_ahead() {
        for look_ahead in [LookAhead::Never, LookAhead::Little, LookAhead::Much] {
            let server = list(3030, 100);
            let ids = all(&server, look_ahead).await.unwrap();
            assert_eq!(ids, (1..=3030).collect::<Vec<_>>(), "{look_ahead:?}");
            let asked = server.asked().len();
            assert!((32..=38).contains(&asked), "{asked}");
            assert!(look_ahead != LookAhead::Never || asked == 32);
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
    async fn pages_that_the_server_caps_are_all_read() {
        for size in [5, 10, 20, 50, 99] {
            let ids = all(&list(250, size), LookAhead::Never).await.unwrap();
            assert_eq!(ids.len(), 250, "{size}");
        }
    }

    #[tokio::test]
    async fn a_short_page_in_the_middle_is_not_the_end() {
        let server = Server::new(|path| {
            ok(match page_of(path) {
                page @ (1 | 3) => rows(page * 100..(page + 1) * 100, row),
                2 => rows(200..260, row),
                4 => rows(400..450, row),
                _ => "[]".into(),
            })
        });
        assert_eq!(all(&server, LookAhead::Never).await.unwrap().len(), 310);
    }

    #[tokio::test]
    async fn a_short_list_that_ignores_its_pages_ends_when_it_comes_again() {
        let server = Server::new(|_| ok(rows(1..=50, row)));
        assert_eq!(all(&server, LookAhead::Never).await.unwrap().len(), 50);
        assert_eq!(server.asked().len(), 2);
    }

    #[tokio::test]
    async fn a_server_that_makes_up_its_rows_comes_to_an_end() {
        let server = Server::new(|path| {
            let page = page_of(path);
            ok(rows(page * 100..page * 100 + 1 + page * 7 % 20, row))
        });
        all(&server, LookAhead::Never).await.unwrap();
        assert_eq!(server.asked().len(), 3);
        let server = Server::new(|path| ok(rows(page_of(path) * 10..page_of(path) * 10 + 3, row)));
        let error = all(&server, LookAhead::Never).await.unwrap_err();
        assert!(matches!(error, Error::EndlessPages { .. }), "{error}");
    }

    #[tokio::test]
    async fn short_pages_in_the_middle_are_not_the_end_however_many_they_are() {
        for lengths in [&[100, 40, 40, 100][..], &[100, 5, 5, 90], &[60, 25, 25, 60], &[5, 5, 5, 5]]
        {
            let server = Server::new(|path| {
                let page = page_of(path);
                let length = usize::try_from(page - 1).ok().and_then(|at| lengths.get(at));
                ok(rows(page * 100..page * 100 + length.copied().unwrap_or(0), row))
            });
            let ids = all(&server, LookAhead::Never).await.unwrap();
            assert_eq!(i64::try_from(ids.len()).unwrap(), lengths.iter().sum::<i64>());
        }
    }

    #[test]
    fn what_was_seen_to_be_the_end_is_asked_beyond_no_more() {
        let ends = Ends::default();
        let page = |received: usize| Page {
            rows: (0..received).map(|id| Row { id: i64::try_from(id).unwrap() }).collect(),
            received,
        };
        let mut first = Listing::new(&ends);
        assert_eq!((first.next(&page(40)), first.next(&page(0))), (Next::Page, Next::End));
        assert_eq!(Listing::new(&ends).next(&page(40)), Next::End);
        assert_eq!(Listing::new(&ends).next(&page(41)), Next::Page, "it might be capped");
        let mut capped = Listing::new(&ends);
        assert_eq!(capped.next(&page(50)), Next::Page);
        let more = Page { rows: vec![Row { id: 1000 }], received: 1 };
        assert_eq!(capped.next(&more), Next::Page);
        assert_eq!(Listing::new(&ends).next(&page(3)), Next::Page, "short pages go on");
    }

    #[tokio::test]
    async fn the_same_full_page_again_and_again_is_an_error() {
        let server = Server::new(|_| ok(rows(1..=100, row)));
        let error = all(&server, LookAhead::Never).await.unwrap_err();
        assert!(matches!(&error, Error::EndlessPages { path, .. } if path == "/rows"), "{error}");
        assert_eq!(server.asked().len(), 4);
    }

    #[tokio::test]
    async fn an_error_of_a_page_is_that_of_the_list() {
        let server = Server::of(&[]);
        let error = all(&server, LookAhead::Much).await.unwrap_err();
        assert_eq!(error.to_string(), "GET /rows?per_page=100&page=1 answered 404");
    }
}
