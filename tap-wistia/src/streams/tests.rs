//! What each stream asks for and writes, and that the list of them holds together.

use std::collections::{BTreeSet, HashSet};

use protocol::personal;
use serde_json::{Value, json};

use super::{ALL, all, by_name};
use crate::read::Read;
use crate::settings::Settings;
use crate::state::State;
use crate::stream::Stream;
use crate::testing::{Reply, Run, Server, TODAY, config, day, ok, sync_some};

/// An account with one media, of which every answer is known.
fn answer(path: &str) -> Reply {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    ok(match path {
        "/medias" => {
            r#"[{"id":7,"hashed_id":"abc","name":"Launch","project":{"id":1,"name":"Ads"},"x":1}]"#
        }
        "/projects" => r#"[{"id":1,"hashedId":"p","mediaCount":"3","public":false}]"#,
        "/deleted_media" => {
            r#"[{"hashed_id":"old","name":"","type":"Video","duration":"12.5",
                "deleted_at":"2026-11-20T18:47:39+00:00","restore_expires_at":"2026-12-20T18:47:39+00:00",
                "folder":{"hashedId":"p","name":null},"cursor":null},{"hashed_id":"gone","folder":null}]"#
        }
        "/tags" => {
            r#"[{"name":"paid","taggingsCount":"2","created":"2025-08-13T18:47:39+00:00"},
                {"name":"q3","taggings_count":1,"updated_at":"2025-08-19T21:47:00+00:00"},{}]"#
        }
        "/channels" => {
            r#"[{"id":5,"hashedId":"c1","name":"Academy"},{"id":6,"hashedId":"c2"},
                {"id":7,"hashedId":"c3","name":"Academy"}]"#
        }
        "/channel_episodes" => {
            r#"[{"channelHashedId":"c1","mediaHashedId":"abc","published":false},
                {"channelHashedId":"c1","mediaHashedId":"abc","published":true,"publish_at":""},
                {"channelHashedId":"c1","mediaHashedId":"abc","published":false},
                {"channelHashedId":"c2","mediaHashedId":"def","published":false},{},
                {"channelHashedId":"c3","mediaHashedId":"abc","published":"true"},
                {"channelHashedId":"c4","mediaHashedId":"def"}]"#
        }
        "/stats/medias/abc" => {
            r#"{"load_count":4,"play_count":"2","play_rate":0.5,"actions":[
                {"type":"Call to Action","impression_count":10,"action_count":1,"rate":0.1},
                {"type":"Call to Action","impression_count":30,"action_count":3,"rate":0.1}]}"#
        }
        "/stats/medias/abc/by_date" => r#"[{"date":"2026-11-24","play_count":2}]"#,
        "/stats/medias/abc/engagement" => {
            r#"{"engagement":0.5,"engagement_data":[3,"2",null],"rewatch_data":[1]}"#
        }
        "/analytics/medias/abc/timeseries" => {
            r#"[{"timestamp":"2026-11-23 05:00:00.000Z","plays":2,"played_time":1.5}]"#
        }
        "/stats/account/by_date" => r#"[{"date":"2026-11-24","load_count":9}]"#,
        "/stats/events" if query.contains("end_date=2026-11-26") => {
            r#"[{"event_key":"e2","received_at":"2026-11-25T02:00:00Z","visitor_key":"v","country":"US"},
                {"event_key":"e1","received_at":"2026-11-25T01:00:00Z","visitor_key":"v","country":"CA"}]"#
        }
        "/stats/events" => "[]",
        "/stats/visitors" => {
            r#"[{"visitor_key":"v","visitor_identity":{"name":"","email":"a@b.c"}}]"#
        }
        _ => return (404, String::new()),
    })
}

async fn read(streams: &[&str], settings: &str) -> Run {
    let comma = if settings.is_empty() { "" } else { "," };
    let settings = format!(r#""start_date":"2026-11-25"{comma}{settings}"#);
    let is_wanted = |stream: &Stream| streams.contains(&stream.name);
    sync_some(&Server::new(answer), &ALL, &settings, State::default(), is_wanted).await
}

/// The columns of a record that are not null.
fn known(record: &Value) -> Value {
    let members = record.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    members.map(|(name, value)| (name.clone(), value.clone())).collect()
}

async fn only(stream: &str) -> Vec<Value> {
    let run = read(&[stream], "").await;
    assert!(run.outcome.is_ok(), "{:?}", run.outcome);
    run.records(stream).iter().map(known).collect()
}

#[tokio::test]
async fn lists_are_cleaned_row_by_row() {
    assert_eq!(
        only("dim_media").await,
        [json!({"id":7,"name":"Launch","hashed_id":"abc",
            "project":{"id":1,"name":"Ads","hashed_id":null}})]
    );
    assert_eq!(
        only("dim_projects").await,
        [json!({"id":1,"hashed_id":"p","media_count":3,"public":false})]
    );
    assert_eq!(only("dim_channels").await.len(), 3);
    assert_eq!(
        only("dim_tags").await,
        [
            json!({"name":"paid","taggings_count":2,"created":"2025-08-13T18:47:39+00:00"}),
            json!({"name":"q3","taggings_count":1,"updated":"2025-08-19T21:47:00+00:00"})
        ]
    );
    assert_eq!(
        only("dim_deleted_media").await,
        [
            json!({"hashed_id":"old","type":"Video","duration":12.5,
                "deleted_at":"2026-11-20T18:47:39+00:00",
                "restore_expires_at":"2026-12-20T18:47:39+00:00",
                "folder":{"hashed_id":"p","name":null}}),
            json!({"hashed_id":"gone"})
        ]
    );
    assert_eq!(
        only("visitors").await,
        [json!({"visitor_key":"v","visitor_identity":{"name":null,"email":1,"org":null}})]
    );
}

#[tokio::test]
async fn a_media_is_in_a_channel_once_and_rules_stand_beside() {
    // Two channels of one name are two, one without a name and one that the list does not have go by
    // their ids, and of several episodes a published one counts.
    let expected = [
        json!({"media_id":"abc","channel":"Academy","source":"wistia","channel_id":"c1","published":true}),
        json!({"media_id":"def","channel":"c2","source":"wistia","channel_id":"c2","published":false}),
        json!({"media_id":"abc","channel":"Academy","source":"wistia","channel_id":"c3","published":true}),
        json!({"media_id":"def","channel":"c4","source":"wistia","channel_id":"c4","published":null}),
    ];
    let run = read(&["bridge_media_channel"], "").await;
    assert_eq!(run.records("bridge_media_channel"), expected);
    let rules = r#""channel_rules":[{"channel":"Academy","project":"Ads"}]"#;
    let run = read(&["bridge_media_channel"], rules).await;
    let records = run.records("bridge_media_channel");
    let by_rule = json!({"media_id":"abc","channel":"Academy","source":"rule",
        "channel_id":"Academy","published":null});
    assert_eq!(records[0], by_rule);
    assert_eq!(records[1..], expected);
    let keys: HashSet<_> = records
        .iter()
        .map(|record| (&record["media_id"], &record["channel_id"], &record["source"]))
        .collect();
    assert_eq!(keys.len(), records.len());
    let one = read(&["bridge_media_channel"], r#""media_ids":["abc"]"#).await;
    assert_eq!(
        one.records("bridge_media_channel"),
        [expected[0].clone(), expected[2].clone()],
        "a media that is not wanted"
    );
}

#[tokio::test]
async fn the_channels_are_asked_for_once_and_episodes_where_they_are_wanted() {
    let asked = async |streams: &[&str]| read(streams, "").await.asked;
    // Each with the page that shows that the list has ended.
    let channels = [1, 2].map(|page| format!("/channels?per_page=100&page={page}"));
    let episodes = [1, 2].map(|page| format!("/channel_episodes?per_page=100&page={page}"));
    let both = [channels.clone(), episodes].concat();
    assert_eq!(asked(&["dim_channels"]).await, channels);
    assert_eq!(asked(&["bridge_media_channel"]).await, both);
    let run = read(&["dim_channels", "bridge_media_channel"], "").await;
    assert_eq!(run.asked, both);
    assert_eq!(run.records("dim_channels").len(), 3);
    assert_eq!(run.records("bridge_media_channel")[0]["channel"], "Academy");
}

#[tokio::test]
async fn channels_are_complete_where_episodes_may_not_be_read() {
    let server = Server::new(|path| match path {
        path if path.starts_with("/channel_episodes") => (403, String::new()),
        path => answer(path),
    });
    let streams = ["dim_channels", "bridge_media_channel"];
    let is_wanted = |stream: &Stream| streams.contains(&stream.name);
    let run = sync_some(&server, &ALL, "", State::default(), is_wanted).await;
    assert_eq!(run.records("dim_channels").len(), 3);
    assert_eq!(run.records("bridge_media_channel"), [] as [Value; 0]);
    let error = run.outcome.unwrap_err().to_string();
    assert!(error.ends_with(": bridge_media_channel"), "{error}");
}

#[tokio::test]
async fn an_episode_without_its_media_is_an_error_and_not_dropped() {
    let server = Server::new(|path| match path {
        path if path.starts_with("/channel_episodes") => ok(r#"[{"channelHashedId":"c1"}]"#),
        path => answer(path),
    });
    let run = sync_some(&server, &ALL, "", State::default(), |stream| {
        stream.name == "bridge_media_channel"
    });
    let failed = run.await.failed;
    let [("bridge_media_channel", error)] = &failed[..] else { panic!("{failed:?}") };
    assert!(error.contains("missing field `media_hashed_id`"), "{error}");
}

#[tokio::test]
async fn figures_of_a_media_bear_its_hashed_id() {
    assert_eq!(
        only("fact_engagements").await,
        [json!({"media_id":"abc","date":TODAY,"load_count":4,"play_count":2,"play_rate":0.5})]
    );
    assert_eq!(
        only("fact_engagements_byday").await,
        [json!({"media_id":"abc","date":"2026-11-24","play_count":2})]
    );
    assert_eq!(
        only("fact_media_timeseries").await,
        [json!({"media_id":"abc","date":"2026-11-23","played_time":1.5,"plays":2})]
    );
    assert_eq!(only("fact_account_byday").await, [json!({"date":"2026-11-24","load_count":9})]);
}

#[tokio::test]
async fn a_graph_and_its_points_are_of_one_request() {
    let run = read(&["fact_engagement_graph", "fact_engagement_graph_points"], "").await;
    assert_eq!(run.asked[2..], ["/stats/medias/abc/engagement"]);
    assert_eq!(
        run.records("fact_engagement_graph"),
        [
            json!({"media_id":"abc","engagement":0.5,"engagement_data":[3,2,null],"rewatch_data":[1]})
        ]
    );
    let point = |position, engagement: Value, rewatch: Value| json!({"media_id":"abc","position":position,"engagement":engagement,"rewatch":rewatch});
    assert_eq!(
        run.records("fact_engagement_graph_points"),
        [
            point(0, json!(3), json!(1)),
            point(1, json!(2), Value::Null),
            point(2, Value::Null, Value::Null),
        ]
    );
}

#[tokio::test]
async fn actions_are_of_the_answer_that_has_the_figures() {
    let expected = json!({"media_id":"abc","date":TODAY,"type":"Call to Action",
        "impression_count":40,"action_count":4,"rate":0.1});
    for streams in [&["fact_media_actions"][..], &["fact_engagements", "fact_media_actions"]] {
        let run = read(streams, "").await;
        assert_eq!(run.asked[2..], ["/stats/medias/abc"]);
        assert_eq!(run.records("fact_media_actions"), std::slice::from_ref(&expected));
        assert_eq!(run.records("fact_engagements").len(), streams.len() - 1);
    }
    assert_eq!(read(&["fact_engagements"], "").await.records("fact_media_actions").len(), 0);
}

#[tokio::test]
async fn days_are_asked_for_as_each_endpoint_takes_them() {
    let run =
        read(&["fact_engagements_byday", "fact_media_timeseries", "fact_account_byday"], "").await;
    assert_eq!(
        run.asked[2..],
        [
            "/stats/medias/abc/by_date?start_date=2026-11-25&end_date=2026-11-25",
            "/analytics/medias/abc/timeseries?granularity=daily&start_date=2026-11-25&end_date=2026-11-26",
            "/stats/account/by_date?start_date=2026-11-25&end_date=2026-11-25",
        ]
    );
}

#[tokio::test]
async fn events_feed_facts_and_visitors_in_one_pass() {
    let run = read(&["fact_events", "dim_visitors"], "").await;
    assert!(run.asked.len() == 2 && run.asked[1].ends_with("page=2"), "{:?}", run.asked);
    let keys: Vec<_> = run.records("fact_events").iter().map(|e| e["event_key"].clone()).collect();
    assert_eq!(keys, ["e1", "e2"]);
    assert_eq!(
        run.records("dim_visitors"),
        [json!({"visitor_id":"v","ip_address":null,"country":"US"})]
    );
}

#[test]
fn names_are_unique_and_found() {
    let names: HashSet<_> = all().map(|stream| stream.name).collect();
    assert_eq!(names.len(), all().count());
    assert!(all().all(|stream| by_name(stream.name) == Some(stream)));
    assert!(by_name("orders").is_none());
}

#[test]
fn keys_are_columns_and_a_replication_key_is_that_of_an_increment() {
    for endpoint in ALL {
        for stream in endpoint.streams {
            let schema = (stream.schema)();
            let columns = stream.keys.iter().chain(&stream.replication_key);
            for column in columns {
                assert!(schema["properties"].get(column).is_some(), "{} {column}", stream.name);
            }
            let is_incremental = endpoint.read.is_incremental();
            assert!(stream.replication_key.is_none() || is_incremental, "{}", stream.name);
            assert!(!is_incremental || endpoint.read.is_resumable(), "{}", stream.name);
        }
    }
}

#[test]
fn medias_come_before_what_is_read_by_them() {
    let settings = Settings::new(config(""), day(TODAY)).unwrap();
    let medias = ALL.iter().position(|endpoint| matches!(endpoint.read, Read::Medias(_))).unwrap();
    let first = ALL.iter().position(|endpoint| endpoint.read.needs_medias(&settings)).unwrap();
    assert_eq!(medias, first);
}

/// The columns that are marked as personal, as `stream.column`.
fn marked() -> BTreeSet<String> {
    let mut marked = BTreeSet::new();
    for stream in all() {
        for (column, schema) in (stream.schema)()["properties"].as_object().unwrap() {
            if personal::holds_marked(schema) {
                assert!(personal::is_marked(schema), "not the outermost: {}.{column}", stream.name);
                marked.insert(format!("{}.{column}", stream.name));
            }
        }
    }
    marked
}

/// Keys of views in a row about a viewer. They lead from the viewer to what was watched, where and when,
/// though no treatment changes them.
const POINTERS: [&str; 2] = ["visitors.identifying_event_key", "visitors.last_event_key"];

#[test]
fn the_columns_that_are_marked_as_personal_are_these() {
    let expected = [
        "dim_visitors.ip_address",
        "dim_visitors.visitor_id",
        "fact_events.city",
        "fact_events.embed_url",
        "fact_events.iframe_heatmap_url",
        "fact_events.lat",
        "fact_events.lon",
        "fact_events.org",
        "fact_events.visitor_key",
        "visitors.identifying_event_key",
        "visitors.last_event_key",
        "visitors.visitor_identity",
        "visitors.visitor_key",
    ];
    assert_eq!(marked(), expected.map(String::from).into());
}

/// An account in which a viewer's every field says something.
fn talkative(path: &str) -> Reply {
    ok(match path.split('?').next().unwrap() {
        "/stats/events" => {
            r#"[{"received_at":"2026-11-25T02:00:00Z","event_key":"e","ip":"192.0.2.1","country":"JP",
                "region":"r","city":"Kyoto","lat":1,"lon":2,"org":"o","email":"a@example.com",
                "percent_viewed":1,"embed_url":"https://example.com/a?mail=x","conversion_type":"c",
                "conversion_data":{"is_new_lead":true,"first_name":"Ada"},"visitor_key":"v",
                "iframe_heatmap_url":"https://example.com/i?public_token=t","media_id":"abc",
                "media_name":"Launch","media_url":"https://example.com/m","thumbnail":{"url":"t"},
                "user_agent_details":{"browser":"b","browser_version":"1","platform":"p","mobile":true}}]"#
        }
        "/stats/visitors" => {
            r#"[{"visitor_key":"v","created_at":"2026-11-24T00:00:00Z",
                "last_active_at":"2026-11-25T00:00:00Z","last_event_key":"e","load_count":2,
                "play_count":1,"identifying_event_key":"i","visitor_identity":{"name":"Ada",
                "email":"a@example.com","org":{"name":"o","title":"t"}},
                "user_agent_details":{"browser":"b","browser_version":"1","platform":"p","mobile":true}}]"#
        }
        _ => return answer(path),
    })
}

#[tokio::test]
async fn what_a_treatment_of_personal_data_changes_is_marked_and_all_that_is_marked_is_changed() {
    let names: Vec<_> = all().map(|stream| stream.name).collect();
    let read = async |treatment: &str| {
        let settings = format!(
            r#""start_date":"2026-11-25","personal_data_salt":"0123456789abcdef","personal_data":"{treatment}""#
        );
        let server = Server::new(talkative);
        let run = sync_some(&server, &ALL, &settings, State::default(), |_| true).await;
        assert!(run.outcome.is_ok(), "{:?}", run.outcome);
        let records = names.iter().map(|name| run.records(name));
        records.collect::<Vec<_>>()
    };
    let kept = read("keep").await;
    let columns = |position: usize| names[position].to_owned() + ".";
    for (position, records) in kept.iter().enumerate() {
        assert!(!records.is_empty(), "nothing of {}", names[position]);
        let is_personal = marked().iter().any(|column| column.starts_with(&columns(position)));
        let known = |record: &Value| record.as_object().unwrap().values().all(|v| !v.is_null());
        assert!(!is_personal || records.iter().all(known), "{records:?}");
    }
    for (treatment, spared) in [
        (
            "hash",
            &["fact_events.city", "fact_events.lat", "fact_events.lon", "fact_events.org"][..],
        ),
        ("drop", &[]),
    ] {
        let treated = read(treatment).await;
        let mut changed = BTreeSet::new();
        for (position, (before, after)) in kept.iter().zip(&treated).enumerate() {
            assert_eq!(before.len(), after.len());
            for (before, after) in before.iter().zip(after) {
                let members = before.as_object().unwrap().iter();
                let members = members.filter(|(name, value)| after[name] != **value);
                changed.extend(members.map(|(name, _)| columns(position) + name));
            }
        }
        let spared = spared.iter().chain(&POINTERS).map(|column| (*column).to_owned());
        let expected: BTreeSet<_> = &marked() - &spared.collect();
        assert_eq!(changed, expected, "{treatment}");
    }
}
