//! The loop over endpoints, with streams that the product does not have: nothing here is named in the
//! product, and nothing of the product is changed for it.

use std::collections::HashSet;
use std::hash::Hash;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clean;
use crate::client::{Page, Request, Resource};
use crate::error::{Error, Result};
use crate::members::Members;
use crate::output::Output;
use crate::pages::Listed;
use crate::privacy::Privacy;
use crate::read::{
    Account, AccountDay, Days, Endpoint, EventRow, Events, List, ListRow, MediaFigures, MediaRow,
    Medias, OfMedia, PerMedia, Read,
};
use crate::state::State;
use crate::stream::{Labels, MediaId, Stream, schema};
use crate::testing::{Reply, Run, Server, TODAY, day, ok, rows, sync, sync_some};

/// A stream, complete: its record, its request, its endpoint.
static WEBINARS: Stream = Stream {
    name: "webinars",
    keys: &["id"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<Webinar>,
};

static WEBINAR_LIST: Endpoint =
    Endpoint { streams: &[&WEBINARS], read: Read::List(List::of::<Webinar>()) };

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Webinar {
    #[serde(deserialize_with = "clean::key")]
    id: String,
    #[serde(default, deserialize_with = "clean::bigint")]
    seats: Option<i64>,
}

impl Resource for Webinar {
    const NAME: &'static str = "a webinar";
    const TABLE: &'static str = "webinars";
    const UNUSED: &'static [&'static str] = &[];
}

impl Listed for Webinar {
    fn identity(&self) -> impl Hash {
        &self.id
    }
}

impl ListRow for Webinar {
    fn request() -> Request {
        Request::new("/webinars")
    }

    fn emit(self, _: &Privacy, output: &mut Output) -> Result<()> {
        output.record(&WEBINARS, &self)
    }
}

/// The list that others are read by.
static FILMS: Stream = Stream { name: "films", schema: schema::<Film>, ..WEBINARS_LIKE };

static FILM_LIST: Endpoint =
    Endpoint { streams: &[&FILMS], read: Read::Medias(Medias::of::<Film>()) };

const WEBINARS_LIKE: Stream = Stream {
    name: "",
    keys: &["id"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<Webinar>,
};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Film {
    #[serde(deserialize_with = "clean::key_bigint")]
    id: i64,
    #[serde(default, deserialize_with = "clean::text")]
    hash: Option<String>,
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    cursor: Option<String>,
}

impl Resource for Film {
    const NAME: &'static str = "a film";
    const TABLE: &'static str = "films";
    const UNUSED: &'static [&'static str] = &[];
}

impl Listed for Film {
    fn identity(&self) -> impl Hash {
        self.id
    }
}

impl MediaRow for Film {
    fn request() -> Request {
        Request::new("/films")
    }

    fn id(&self) -> i64 {
        self.id
    }

    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn media(&self) -> Option<MediaId> {
        Some(MediaId { id: self.id, hashed_id: self.hash.clone()?, created: None })
    }

    fn labels<'a>(&'a self, media: &'a MediaId) -> Labels<'a> {
        Labels {
            hashed_id: &media.hashed_id,
            name: self.hash.as_deref(),
            section: None,
            project: None,
            tags: &[],
        }
    }

    fn emit(&self, output: &mut Output) -> Result<()> {
        output.record(&FILMS, self)
    }
}

/// Two streams of one answer a film.
static LIKES: Stream = Stream { name: "likes", ..WEBINARS_LIKE };
static LIKES_DOUBLED: Stream = Stream { name: "likes_doubled", ..WEBINARS_LIKE };

static LIKES_OF_FILMS: Endpoint =
    Endpoint { streams: &[&LIKES, &LIKES_DOUBLED], read: Read::PerMedia(PerMedia::of::<Likes>()) };

#[derive(Debug, Deserialize)]
struct Likes {
    likes: i64,
}

impl Resource for Likes {
    const NAME: &'static str = "likes";
    const TABLE: &'static str = "likes";
    const UNUSED: &'static [&'static str] = &[];
}

impl MediaFigures for Likes {
    fn request(media_id: &str) -> Request {
        Request::new(format!("/likes/{media_id}"))
    }

    fn rows(&self) -> usize {
        1
    }

    fn emit(self, media_id: &str, today: NaiveDate, output: &mut Output) -> Result<()> {
        output.record(&LIKES, &json!({"id": media_id, "on": today, "likes": self.likes}))?;
        output.record(&LIKES_DOUBLED, &json!({"id": media_id, "likes": 2 * self.likes}))
    }
}

/// A row a day of each film.
static FILM_DAYS: Stream =
    Stream { name: "film_days", replication_key: Some("day"), ..WEBINARS_LIKE };

static DAYS_OF_FILMS: Endpoint =
    Endpoint { streams: &[&FILM_DAYS], read: Read::PerMedia(PerMedia::of::<Page<FilmDay>>()) };

#[derive(Debug, Deserialize, Serialize)]
struct FilmDay {
    day: String,
}

impl Resource for FilmDay {
    const NAME: &'static str = "a day";
    const TABLE: &'static str = "film_days";
    const UNUSED: &'static [&'static str] = &[];
}

impl MediaFigures for Page<FilmDay> {
    const BY_DAY: Option<fn(Request, Days) -> Request> =
        Some(|request, days| request.with("from", days.first).with("to", days.last));

    fn request(media_id: &str) -> Request {
        Request::new(format!("/days/{media_id}"))
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn emit(self, media_id: &str, _: NaiveDate, output: &mut Output) -> Result<()> {
        self.rows
            .iter()
            .try_for_each(|row| output.record(&FILM_DAYS, &json!({"id": media_id, "day": row.day})))
    }
}

/// The account a day.
static TOTALS: Stream = Stream { name: "totals", replication_key: Some("day"), ..WEBINARS_LIKE };

static TOTALS_OF_DAYS: Endpoint =
    Endpoint { streams: &[&TOTALS], read: Read::Account(Account::of::<FilmDay>()) };

impl AccountDay for FilmDay {
    fn request(days: Days) -> Request {
        Request::new("/totals/days").with("from", days.first).with("to", days.last)
    }

    fn date(&self) -> &str {
        &self.day
    }

    fn emit(self, output: &mut Output) -> Result<()> {
        output.record(&TOTALS, &self)
    }
}

/// What a rule makes of films, beside a list of its own.
static SHELVES: Stream = Stream { name: "shelves", ..WEBINARS_LIKE };

static SHELF_LIST: Endpoint = Endpoint {
    streams: &[&SHELVES],
    read: Read::Derived(
        List {
            request: || Request::new("/shelves"),
            read: |context| {
                Box::pin(async move { context.output.record(&SHELVES, &json!({"id": "list"})) })
            },
        },
        OfMedia {
            is_active: |settings| !settings.rules.is_empty(),
            emit: |media, settings, output| {
                let shelf = settings.rules.channel(media);
                output.record(&SHELVES, &json!({"id": media.hashed_id, "shelf": shelf}))
            },
        },
    ),
};

/// A list by date that feeds two streams.
static CLICKS: Stream = Stream { name: "clicks", replication_key: Some("at"), ..WEBINARS_LIKE };
static CLICKERS: Stream = Stream { name: "clickers", ..WEBINARS_LIKE };

static CLICK_LIST: Endpoint =
    Endpoint { streams: &[&CLICKS, &CLICKERS], read: Read::Events(Events::of::<Click>()) };

#[derive(Debug, Deserialize, Serialize)]
struct Click {
    id: String,
    at: String,
    film: Option<String>,
    #[serde(default)]
    weight: i64,
}

impl Resource for Click {
    const NAME: &'static str = "a click";
    const TABLE: &'static str = "clicks";
    const UNUSED: &'static [&'static str] = &[];
}

impl Listed for Click {
    fn identity(&self) -> impl Hash {
        &self.id
    }
}

impl EventRow for Click {
    fn request() -> Request {
        Request::new("/clicks")
    }

    fn key(&self) -> &str {
        &self.id
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        let day: NaiveDate = self.at.parse().ok()?;
        Some(day.and_time(NaiveTime::MIN).and_utc())
    }

    fn media_id(&self) -> Option<&str> {
        self.film.as_deref()
    }

    fn exceeds(&self, other: &Self) -> bool {
        self.weight > other.weight
    }

    fn protect(&mut self, privacy: &Privacy) {
        if let Privacy::Hash(pseudonyms) = privacy {
            pseudonyms.replace(&mut self.film);
        }
    }

    fn emit(slice: &[Self], output: &mut Output) -> Result<()> {
        for click in slice.iter().rev() {
            output.record(&CLICKS, click)?;
            output.record(&CLICKERS, &json!({"id": click.id}))?;
        }
        Ok(())
    }
}

const FILMS_OF_A_PAGE: &str = "/films?per_page=100&cursor[enabled]=1";

fn film(id: i64) -> String {
    format!(r#"{{"id":{id},"hash":"f{id}"}}"#)
}

/// A server with so many films, of each of which everything can be asked.
fn films(count: i64) -> Server {
    Server::new(move |path| answer_of_films(count, path))
}

fn answer_of_films(count: i64, path: &str) -> Reply {
    if let Some(id) = path.strip_prefix("/likes/f") {
        return ok(format!(r#"{{"likes":{id}}}"#));
    }
    if path.starts_with("/days/f") {
        let days = path.split(['=', '&']).collect::<Vec<_>>();
        return ok(format!(r#"[{{"day":"{}"}},{{"day":"{}"}}]"#, days[1], days[3]));
    }
    assert!(path.starts_with("/films?"), "{path}");
    // Cursors are the number of the last film.
    let after = path.split("cursor[after]=").nth(1).map_or(0, |after| after.parse().unwrap());
    let page = after + 1..=count.min(after + 100);
    ok(rows(page, |id| format!(r#"{{"id":{id},"hash":"f{id}","cursor":"{id}"}}"#)))
}

/// The request for the films after one.
fn after(id: i64) -> String {
    format!("{FILMS_OF_A_PAGE}&cursor[after]={id}")
}

fn state(text: &str) -> State {
    State::parse("state.json", text, |_| true).unwrap()
}

fn states(run: &Run) -> Vec<&str> {
    run.lines.iter().filter_map(|line| line.strip_prefix("STATE ")).collect()
}

#[tokio::test]
async fn a_stream_that_the_product_does_not_have_is_synced() {
    let page = |page: i64| format!("/webinars?per_page=100&page={page}");
    let server = Server::of(&[
        (&page(1), ok(rows(1..=100, |id| format!(r#"{{"id":"w{id}","seats":"{id}"}}"#)))),
        (&page(2), ok(r#"[{"id":"more","seats":7},{"id":"last","seats":"many"},{}]"#)),
        (&page(3), ok("[]")),
    ]);
    let run = sync(&server, &[&WEBINAR_LIST], "").await;
    assert!(run.outcome.is_ok(), "{:?}", run.outcome);
    assert_eq!(run.asked, [page(1), page(2), page(3)]);
    let records = run.records("webinars");
    assert_eq!(records.len(), 102);
    assert_eq!(records[6], json!({"id": "w7", "seats": 7}));
    assert_eq!(records[101], json!({"id": "last", "seats": null}));
    // One after the stream, and one at the end, though there is no bookmark.
    assert_eq!(run.lines[102..], ["STATE {}", "STATE {}"]);
}

#[tokio::test]
async fn nothing_is_asked_for_a_stream_that_is_not_selected() {
    let endpoints =
        [&FILM_LIST, &WEBINAR_LIST, &LIKES_OF_FILMS, &TOTALS_OF_DAYS, &CLICK_LIST, &SHELF_LIST];
    let run = sync_some(&films(3), &endpoints, "", State::default(), |_| false).await;
    assert!(run.outcome.is_ok());
    assert_eq!((run.asked.len(), run.lines), (0, vec!["STATE {}".to_owned()]));
}

#[tokio::test]
async fn a_parent_that_is_not_selected_is_read_and_not_written() {
    let run =
        sync_some(&films(2), &[&FILM_LIST, &LIKES_OF_FILMS], "", State::default(), |stream| {
            stream.name == "likes_doubled"
        })
        .await;
    assert_eq!(run.asked, [FILMS_OF_A_PAGE, &after(2), "/likes/f1", "/likes/f2"]);
    assert_eq!(
        run.records("likes_doubled"),
        [json!({"id":"f1","likes":2}), json!({"id":"f2","likes":4})]
    );
    assert!(run.records("films").is_empty() && run.records("likes").is_empty());
}

#[tokio::test]
async fn medias_are_read_by_cursor_and_sorted_for_what_is_asked_for_each() {
    let server = Server::of(&[
        (FILMS_OF_A_PAGE, ok(format!("[{},{},{}]", film(9), film(2), film(9)))),
        ("/films?per_page=100&page=2", ok("[]")),
        ("/likes/f2", ok(r#"{"likes":2}"#)),
        ("/likes/f9", ok(r#"{"likes":9}"#)),
    ]);
    let run = sync(&server, &[&FILM_LIST, &LIKES_OF_FILMS], r#""concurrency":1"#).await;
    let ids = |name: &str| -> Vec<String> {
        run.records(name).iter().map(|record| record["id"].to_string()).collect()
    };
    assert_eq!(ids("films"), ["9", "2"], "as they come, each once");
    assert_eq!(ids("likes"), [r#""f2""#, r#""f9""#], "by number");
}

#[tokio::test]
async fn lists_of_medias_end_with_a_page_that_is_empty() {
    let run = sync(&films(200), &[&FILM_LIST], "").await;
    assert_eq!(run.records("films").len(), 200);
    assert_eq!(run.asked, [FILMS_OF_A_PAGE.to_owned(), after(100), after(200)]);

    let only_numbers = Server::new(|path| {
        let page = path.split("&page=").nth(1).map_or(1, |page| page.parse().unwrap());
        ok(rows((page - 1) * 100 + 1..=(page * 100).min(150), film))
    });
    let run = sync(&only_numbers, &[&FILM_LIST], r#""include_archived":false"#).await;
    assert_eq!(run.records("films").len(), 150);
    assert_eq!(run.asked[1], "/films?per_page=100&archived=false&page=2");
}

#[tokio::test]
async fn a_list_of_medias_that_never_ends_is_an_error() {
    for row in [film as fn(i64) -> String, |id| format!(r#"{{"id":{id},"hash":"f","cursor":"c"}}"#)]
    {
        let server = Server::new(move |_| ok(rows(1..=100, row)));
        let run = sync(&server, &[&FILM_LIST], "").await;
        let [("films", error)] = &run.failed[..] else { panic!("{:?}", run.failed) };
        assert!(error.ends_with("the pages never end"), "{error}");
    }
}

#[tokio::test]
async fn a_media_without_a_hashed_id_is_an_error_before_anything_of_its_page_is_written() {
    let server =
        Server::of(&[(FILMS_OF_A_PAGE, ok(r#"[{"id":1,"hash":"f1"},{"id":2,"hash":""}]"#))]);
    let run = sync(&server, &[&FILM_LIST], "").await;
    let [("films", error)] = &run.failed[..] else { panic!("{:?}", run.failed) };
    assert!(error.contains("a film: the media 2 has no hashed id"), "{error}");
    assert!(run.records("films").is_empty());
}

#[tokio::test]
async fn only_the_medias_that_are_named_are_read() {
    let run = sync(&films(5), &[&FILM_LIST, &LIKES_OF_FILMS], r#""media_ids":["f4","f2"]"#).await;
    assert_eq!(run.records("films").len(), 2);
    assert_eq!(run.asked[2..], ["/likes/f2", "/likes/f4"]);
}

#[tokio::test]
async fn a_media_that_is_named_and_is_not_there_ends_the_sync() {
    for (media_ids, reason) in [
        (r#"["f4","x"]"#, "the account has no media `x`"),
        (r#"["3"]"#, "`3` is the number of a media; its hashed id is `f3`"),
    ] {
        let settings = format!(r#""media_ids":{media_ids}"#);
        // Only the list tells that a media is not there, so that events need it too.
        let run = sync(&films(5), &[&FILM_LIST, &DAYS_OF_FILMS, &CLICK_LIST], &settings).await;
        let error = run.outcome.unwrap_err().to_string();
        assert_eq!(error, format!("the setting `media_ids` is not valid: {reason}"));
        assert_eq!(run.state, State::default(), "no bookmark moves");
    }
}

#[tokio::test]
async fn what_is_derived_of_a_media_stands_beside_it_and_the_list_follows() {
    let rule = r#""channel_rules":[{"channel":"Front","name":"2$"}]"#;
    let run = sync(&films(2), &[&FILM_LIST, &SHELF_LIST], rule).await;
    assert_eq!(
        run.lines,
        [
            r#"films {"id":1,"hash":"f1"}"#,
            r#"shelves {"id":"f1","shelf":null}"#,
            r#"films {"id":2,"hash":"f2"}"#,
            r#"shelves {"id":"f2","shelf":"Front"}"#,
            "STATE {}",
            "STATE {}",
            r#"shelves {"id":"list"}"#,
            "STATE {}",
        ]
    );
    // Without rules the medias are of no use to it.
    let run = sync_some(&films(2), &[&FILM_LIST, &SHELF_LIST], "", State::default(), |stream| {
        stream.name == "shelves"
    })
    .await;
    assert_eq!((run.asked.len(), run.records("shelves").len()), (0, 1));
}

#[tokio::test]
async fn what_depends_on_medias_that_may_not_be_read_fails_and_the_rest_goes_on() {
    let server =
        Server::new(
            |path| {
                if path.starts_with("/films") { (403, String::new()) } else { ok("[]") }
            },
        );
    let endpoints = [&FILM_LIST, &LIKES_OF_FILMS, &SHELF_LIST, &DAYS_OF_FILMS, &WEBINAR_LIST];
    let rule = r#""channel_rules":[{"channel":"Front","name":"2$"}]"#;
    let run = sync(&server, &endpoints, rule).await;
    assert_eq!(
        run.outcome.unwrap_err().to_string(),
        "some streams were not synced: films, likes, likes_doubled, shelves, film_days"
    );
    assert_eq!(run.asked, [FILMS_OF_A_PAGE, "/webinars?per_page=100&page=1"]);
}

#[tokio::test]
async fn a_stream_that_may_not_be_read_fails_alone() {
    let forbidden = r#"{"code":"unauthorized_scope","error":"No."}"#;
    let server = Server::new(move |path| match path {
        path if path.starts_with("/webinars") => (401, forbidden.into()),
        path => answer_of_films(1, path),
    });
    let run = sync(&server, &[&WEBINAR_LIST, &FILM_LIST], "").await;
    let error = run.outcome.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "one stream was not synced: webinars");
    assert_eq!(run.records("films").len(), 1);
}

#[tokio::test]
async fn a_refusal_is_the_trouble_of_one_stream() {
    let server = Server::new(|path| match path {
        path if path.starts_with("/webinars") => (422, r#"{"error":"bad"}"#.into()),
        path => answer_of_films(1, path),
    });
    let run = sync(&server, &[&WEBINAR_LIST, &FILM_LIST], "").await;
    let [("webinars", error)] = &run.failed[..] else { panic!("{:?}", run.failed) };
    assert!(error.starts_with("GET /webinars?per_page=100&page=1 answered 422"), "{error}");
    assert_eq!(run.records("films").len(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_accepted_ends_the_sync_where_it_is() {
    let dead = r#"{"code":"unauthorized_credentials","error":"Invalid credentials."}"#;
    let server = Server::new(move |path| match path {
        path if path.starts_with("/webinars") => (401, dead.into()),
        path => answer_of_films(1, path),
    });
    let run = sync(&server, &[&WEBINAR_LIST, &FILM_LIST], "").await;
    assert!(matches!(run.outcome, Err(Error::Unauthorized { .. })), "{:?}", run.outcome);
    assert_eq!(run.asked.len(), 1);
    assert_eq!(run.lines, ["STATE {}"], "whoever reads the messages gets what was before it");
}

#[tokio::test]
async fn figures_of_medias_that_were_not_read_are_an_internal_error() {
    let run = sync(&films(1), &[&LIKES_OF_FILMS, &FILM_LIST], "").await;
    assert!(matches!(run.outcome, Err(Error::Internal { .. })), "{:?}", run.outcome);
}

#[tokio::test]
async fn output_is_the_same_whatever_the_concurrency() {
    let endpoints = [&FILM_LIST, &LIKES_OF_FILMS, &DAYS_OF_FILMS];
    let one = sync(&films(230), &endpoints, r#""concurrency":1"#).await;
    let many = sync(&films(230), &endpoints, r#""concurrency":16"#).await;
    assert_eq!(one.lines, many.lines);
    assert_eq!(one.asked.len(), 4 + 230 + 230);
}

#[tokio::test]
async fn a_pass_over_medias_has_a_state_every_hundred_and_none_when_it_is_done() {
    let run = sync(&films(230), &[&FILM_LIST, &LIKES_OF_FILMS], "").await;
    let pass = |id: i64| {
        let members = Members::of(1..=id).short();
        let one = format!(
            r#"{{"pass":{{"began":"{TODAY}","media_id":{id},"start":"2024-11-25","members":"{members}"}}}}"#
        );
        format!(r#"{{"likes":{one},"likes_doubled":{one}}}"#)
    };
    assert_eq!(states(&run)[4..], [&pass(100), &pass(200), "{}", "{}"]);
    assert_eq!(run.state, State::default());
}

#[tokio::test]
async fn an_interrupted_pass_goes_on_after_the_last_media_of_its_state() {
    let server = Server::new(|path| match path {
        "/likes/f150" => (401, r#"{"code":"unauthorized_credentials"}"#.into()),
        path => answer_of_films(230, path),
    });
    let run = sync(&server, &[&FILM_LIST, &LIKES_OF_FILMS], r#""concurrency":1"#).await;
    assert!(matches!(run.outcome, Err(Error::Unauthorized { .. })));
    assert_eq!(run.records("likes").len(), 149);

    let resumed = run.state;
    let rest = sync_some(&films(230), &[&FILM_LIST, &LIKES_OF_FILMS], "", resumed, |_| true).await;
    assert!(rest.outcome.is_ok());
    let likes = rest.records("likes");
    assert_eq!((likes.len(), &likes[0]["id"]), (130, &json!("f101")));

    // A stream that is behind takes the others back with it; a pass of another day counts for nothing.
    let behind = state(&format!(
        r#"{{"bookmarks":{{"likes":{{"pass":{{"began":"{TODAY}","media_id":200}}}},
            "likes_doubled":{{"pass":{{"began":"{TODAY}","media_id":100}}}}}}}}"#
    ));
    let run = sync_some(&films(230), &[&FILM_LIST, &LIKES_OF_FILMS], "", behind, |_| true).await;
    assert_eq!(run.records("likes").len(), 130);
    let old = state(r#"{"bookmarks":{"likes":{"pass":{"began":"2026-11-24","media_id":200}}}}"#);
    let run = sync_some(&films(230), &[&FILM_LIST, &LIKES_OF_FILMS], "", old, |_| true).await;
    assert_eq!(run.records("likes").len(), 230);
}

#[tokio::test]
async fn a_media_that_is_not_found_is_left_out() {
    let server = Server::new(|path| match path {
        "/likes/f2" => (404, String::new()),
        path => answer_of_films(3, path),
    });
    let run = sync(&server, &[&FILM_LIST, &LIKES_OF_FILMS], "").await;
    assert!(run.outcome.is_ok());
    let likes: Vec<_> = run.records("likes").iter().map(|like| like["likes"].clone()).collect();
    assert_eq!(likes, [1, 3]);
}

#[tokio::test]
async fn days_of_medias_are_read_from_the_lookback_on_and_of_new_medias_from_the_start() {
    let settings = r#""start_date":"2026-10-01","byday_lookback_days":2"#;
    let endpoints: [&'static Endpoint; 2] = [&FILM_LIST, &DAYS_OF_FILMS];
    let first = sync(&films(1), &endpoints, settings).await;
    assert_eq!(first.asked[2], "/days/f1?from=2026-10-01&to=2026-11-25");
    let members = serde_json::to_string(&Members::of([1])).unwrap();
    let bookmark = format!(
        r#"{{"film_days":{{"day":"2026-11-25","read_on":"2026-11-25","newest_media":1,"start":"2026-10-01","members":{members}}}}}"#
    );
    assert_eq!(states(&first).last(), Some(&bookmark.as_str()));
    let second = sync_some(&films(2), &endpoints, settings, first.state, |_| true).await;
    assert_eq!(
        second.asked[2..],
        ["/days/f1?from=2026-11-23&to=2026-11-25", "/days/f2?from=2026-10-01&to=2026-11-25"]
    );
}

#[tokio::test]
async fn days_of_the_account_are_written_oldest_first_whatever_the_answer() {
    let settings = r#""start_date":"2026-11-20""#;
    let server = Server::of(&[(
        "/totals/days?from=2026-11-20&to=2026-11-25",
        ok(r#"[{"day":"2026-11-22"},{"day":"2026-11-20"},{},{"day":"2026-11-21"}]"#),
    )]);
    let run = sync(&server, &[&TOTALS_OF_DAYS], settings).await;
    assert_eq!(
        run.lines,
        [
            r#"totals {"day":"2026-11-20"}"#,
            r#"totals {"day":"2026-11-21"}"#,
            r#"totals {"day":"2026-11-22"}"#,
            r#"STATE {"totals":{"day":"2026-11-25","read_on":"2026-11-25","start":"2026-11-20"}}"#,
            r#"STATE {"totals":{"day":"2026-11-25","read_on":"2026-11-25","start":"2026-11-20"}}"#,
        ]
    );
}

/// A server with these clicks, newest first, of which it serves those of the days that are asked for.
fn clicks(clicks: &'static [(&'static str, &'static str)]) -> Server {
    Server::new(move |path| {
        let query: Vec<&str> = path.split(['=', '&']).collect();
        let (start, end) = (query[1], query[3]);
        if query[7] != "1" {
            return ok("[]");
        }
        let found = clicks.iter().filter(|(_, at)| (start..=end).contains(at));
        let rows: Vec<String> =
            found.map(|(id, at)| format!(r#"{{"id":"{id}","at":"{at}","film":"f"}}"#)).collect();
        ok(format!("[{}]", rows.join(",")))
    })
}

#[tokio::test]
async fn slices_are_written_oldest_first_and_feed_both_streams_in_one_pass() {
    let server = clicks(&[
        ("f", "2026-11-26"),
        ("e", "2026-11-25"),
        ("d", "2026-11-24"),
        ("c", "2026-11-20"),
        ("b", "2026-11-01"),
        ("a", "2026-10-31"),
    ]);
    let run = sync(&server, &[&CLICK_LIST], r#""start_date":"2026-11-01""#).await;
    assert!(run.outcome.is_ok(), "{:?}", run.outcome);
    let ids: Vec<_> =
        run.records("clicks").iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
    // What arrived after midnight belongs to the sync; what is before the first day does not.
    assert_eq!(ids, ["b", "c", "d", "e", "f"]);
    assert_eq!(run.records("clickers").len(), 5);
    // The outermost days are asked for with one beside them; yesterday and today come last.
    assert_eq!(
        run.asked,
        [
            "/clicks?start_date=2026-10-31&end_date=2026-11-23&per_page=100&page=1",
            "/clicks?start_date=2026-10-31&end_date=2026-11-23&per_page=100&page=2",
            "/clicks?start_date=2026-11-24&end_date=2026-11-26&per_page=100&page=1",
        ]
    );
    let bookmark = |day: &str| {
        let one = format!(
            r#"{{"day":"{day}","read_on":"2026-11-25","start":"2026-11-01","personal_data":"keep"}}"#
        );
        format!(r#"{{"clickers":{one},"clicks":{one}}}"#)
    };
    // Though the slice went on to tomorrow, the bookmark is today.
    let (closed, live) = (bookmark("2026-11-23"), bookmark("2026-11-25"));
    assert_eq!(states(&run), [&closed, &live, &live]);
}

#[tokio::test]
async fn slices_start_the_lookback_before_the_bookmark_that_is_furthest_behind() {
    let bookmarks = state(
        r#"{"bookmarks":{"clicks":{"day":"2026-11-24","read_on":"2026-11-24"},
            "clickers":{"day":"2026-11-10","read_on":"2026-11-24"}}}"#,
    );
    let server = clicks(&[]);
    let run = sync_some(&server, &[&CLICK_LIST], "", bookmarks.clone(), |_| true).await;
    assert!(run.asked[0].starts_with("/clicks?start_date=2026-11-10&"), "{:?}", run.asked);
    // A stream that is not selected is not waited for, and keeps its bookmark.
    let only = |stream: &Stream| stream.name == "clicks";
    let run = sync_some(&server, &[&CLICK_LIST], "", bookmarks, only).await;
    assert!(run.asked[0].starts_with("/clicks?start_date=2026-11-20&"), "{:?}", run.asked);
    assert_eq!(run.state.bookmark(&CLICKERS).day, Some(day("2026-11-10")));
}

#[tokio::test]
async fn doubles_are_one_row_and_other_medias_are_left_out() {
    let server = Server::new(|path| {
        if path.starts_with("/films") {
            return answer_of_films(3, path);
        }
        let page = r#"[{"id":"a","at":"2026-11-25","film":"f1","weight":1},
            {"id":"b","at":"2026-11-25","film":"f2"},{"id":"c","at":"2026-11-25"},
            {"id":"a","at":"2026-11-25","film":"f1","weight":5},{"id":"d","at":"soon","film":"f3"}]"#;
        ok(if path.contains("end_date=2026-11-26") { page } else { "[]" })
    });
    let start = r#""start_date":"2026-11-25""#;
    let run =
        sync(&server, &[&FILM_LIST, &CLICK_LIST], &format!(r#"{start},"media_ids":["f1","f3"]"#))
            .await;
    let clicks: Vec<_> = run
        .records("clicks")
        .iter()
        .map(|click| (click["id"].as_str().unwrap().to_owned(), click["weight"].clone()))
        .collect();
    assert_eq!(clicks, [("d".to_owned(), json!(0)), ("a".to_owned(), json!(5))]);

    // One media can be asked for alone.
    let run =
        sync(&server, &[&FILM_LIST, &CLICK_LIST], &format!(r#"{start},"media_ids":["f1"]"#)).await;
    assert!(run.asked[2].contains("&media_id=f1&"), "{:?}", run.asked);
    assert_eq!(run.records("clicks").len(), 1);
}

#[tokio::test]
async fn personal_data_is_treated_before_it_is_written() {
    let settings = r#""start_date":"2026-11-25","personal_data":"hash","personal_data_salt":"key""#;
    let run = sync(&clicks(&[("a", "2026-11-25")]), &[&CLICK_LIST], settings).await;
    assert_eq!(run.records("clicks")[0]["film"].as_str().map(str::len), Some(64));
}

#[tokio::test]
async fn a_slice_that_is_too_deep_is_cut_and_its_older_days_come_first() {
    // 2,500 rows on each of fourteen days: 350 pages in the first slice, newest first.
    let server = Server::new(|path| {
        let query: Vec<&str> = path.split(['=', '&']).collect();
        let (start, end, page) = (day(query[1]), day(query[3]), query[7].parse::<i64>().unwrap());
        let (first, last) = (start.max(day("2026-10-10")), end.min(day("2026-10-23")));
        let (at, part) = (last - chrono::Duration::days((page - 1) / 25), (page - 1) % 25);
        if at < first {
            return ok("[]");
        }
        ok(rows(1..=100, |row| format!(r#"{{"id":"{at}-{part}-{row}","at":"{at}"}}"#)))
    });
    let run = sync(&server, &[&CLICK_LIST], r#""start_date":"2026-10-08""#).await;
    assert!(run.outcome.is_ok(), "{:?}", run.outcome);
    let clicks = run.records("clicks");
    let ids: HashSet<&str> = clicks.iter().map(|click| click["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 14 * 2500, "nothing is lost");
    assert_eq!(clicks[0]["at"], "2026-10-10", "the older part comes first");
    assert_eq!(clicks[clicks.len() - 1]["at"], "2026-10-23");
    let days: Vec<String> = states(&run)
        .iter()
        .map(|state| {
            serde_json::from_str::<serde_json::Value>(state).unwrap()["clicks"]["day"].to_string()
        })
        .collect();
    assert!(days.is_sorted(), "{days:?}");
    // The older part ends with a day to spare, and what was cut is not read again after it.
    let mut slices: Vec<String> =
        run.asked.iter().map(|path| path.split("&per_page").next().unwrap().to_owned()).collect();
    slices.dedup();
    assert_eq!(slices[0], "/clicks?start_date=2026-10-07&end_date=2026-11-23");
    assert!(slices[1..].iter().any(|slice| slice.ends_with("&end_date=2026-10-13")), "{slices:?}");
}
