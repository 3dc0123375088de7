"""The tap: as few requests as the API allows, nothing lost, nothing hidden."""

import hashlib
import hmac
import json
import math
import random
import signal
import subprocess
from datetime import timedelta

import pytest

from harness import DEADLINE, ROOT, TAP, TOKEN, environment, first_day, kill_after, run, today
from lake import PERSONAL, TABLES, assert_equals, marked

OTHERS = [
    "fact_engagement_graph_points",
    "fact_account_byday",
    "fact_media_timeseries",
    "fact_media_actions",
    "dim_deleted_media",
    "dim_projects",
    "dim_tags",
    "dim_channels",
    "bridge_media_channel",
    "visitors",
]


def catalog(*selected, fields=None):
    """A catalog that selects these streams, and of their fields all but those set to False."""
    document = json.loads(run(TAP, "--discover").succeeded().out)
    for stream in document["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["stream"] in selected
            elif (fields or {}).get(entry["breadcrumb"][-1]) is False:
                entry["metadata"]["selected"] = False
    return document


def days_ago(days):
    return max(first_day(), today() - timedelta(min(days, 10_000))).isoformat()


def pages(simulator):
    return [request for request in simulator.requests() if request["path"] == "stats/events"]


def slices(simulator):
    """The ranges of days that events were asked for."""
    return {request["query"].split("&page=")[0] for request in pages(simulator)}


@pytest.mark.parametrize(
    "account",
    [
        {"medias": 0, "events": 0},
        {"medias": 10, "events": 50, "days": 730},
        {"medias": 200, "events": 30_000, "days": 730},
        {"medias": 10, "events": 20_000, "days": 1},
    ],
    ids=["empty", "sparse", "ordinary", "busy-day"],
)
def test_few_requests(simulator, pipe, account):
    server = simulator(seed=30, **account)
    job = pipe(server)
    run(*job.tap_command()).succeeded()
    medias, events = account["medias"], account["events"]
    least = (medias // 100 + 1) + 3 * medias + math.ceil(events / 100)
    # One more for each list that ends with a page that is not full, to see that it is the end.
    lists = 1 + len(slices(server))
    assert len(server.requests()) <= 1.05 * least + 1.5 * lists
    assert len(slices(server)) <= max(10, events / 500)


def test_nothing_is_asked_for_a_stream_that_is_not_selected(simulator, pipe):
    server = simulator(seed=31)
    server.delete(server.truth("dim_media")[0]["hashed_id"])
    for streams, expected in [
        (["fact_events"], {"stats/events"}),
        (["dim_visitors"], {"stats/events"}),
        (["dim_media"], {"medias"}),
        (["dim_projects"], {"projects"}),
        (["dim_tags"], {"tags"}),
        (["dim_deleted_media"], {"deleted_media"}),
        (["dim_channels"], {"channels"}),
        (["fact_account_byday"], {"stats/account/by_date"}),
    ]:
        server.forget()
        job = pipe(server, catalog=catalog(*streams))
        done = run(*job.tap_command()).succeeded()
        assert {request["path"] for request in server.requests()} == expected
        assert {message["stream"] for message in done.of_type("RECORD")} == set(streams)


def test_an_unselected_parent_serves_its_children(simulator, pipe):
    job = pipe(simulator(seed=32), catalog=catalog("fact_engagements"))
    done = run(*job.tap_command()).succeeded()
    assert {message["stream"] for message in done.messages if "stream" in message} == {"fact_engagements"}
    assert len(done.of_type("RECORD")) == 24


def test_the_other_streams_are_equal_to_the_account_too(simulator, pipe):
    for seed, zone in [(33, 0), (34, -10), (35, 13)]:
        server = simulator(seed=seed, events=800, timezone_offset_hours=zone)
        job = pipe(server, catalog=catalog(*OTHERS))
        job.target["destination"] += str(seed)
        job.state.unlink(missing_ok=True)
        job.sync()
        assert_equals(server, job.lake, OTHERS)


def test_what_an_answer_holds_beside_costs_no_request(simulator, pipe):
    server = simulator(seed=63, medias=6)

    def asked(*streams):
        server.forget()
        run(*pipe(server, catalog=catalog(*streams)).tap_command()).succeeded()
        return sorted(f"{request['path']}?{request['query']}" for request in server.requests())

    figures = asked("fact_engagements")
    assert asked("fact_engagements", "fact_media_actions") == asked("fact_media_actions") == figures
    channels = asked("dim_channels", "bridge_media_channel")
    assert asked("bridge_media_channel") == channels
    pages_of_channels = [one for one in channels if one.startswith("channels?")]
    assert len(pages_of_channels) == len(set(pages_of_channels)) == 2, "the rows, and the end"


def test_a_draft_of_an_episode_and_a_channel_of_the_same_name_are_told_apart(simulator, pipe):
    server = simulator(seed=64)
    job = pipe(server, catalog=catalog("dim_channels", "bridge_media_channel"))
    done = run(*job.tap_command()).succeeded()
    rows = [message["record"] for message in done.of_type("RECORD", "bridge_media_channel")]
    assert {row["published"] for row in rows} == {True, False}
    assert {row["channel_id"] for row in rows} <= {row["hashed_id"] for row in server.truth("dim_channels")}
    names = [row["name"] for row in server.truth("dim_channels")]
    assert len(names) > len(set(names)), "an account with two channels of one name"


def test_a_deleted_media_is_told_and_its_row_stays(simulator, pipe):
    server = simulator(seed=65)
    job = pipe(server, catalog=catalog("dim_media", "dim_deleted_media"))
    job.sync()
    gone = server.truth("dim_media")[3]["hashed_id"]
    server.delete(gone)
    job.sync()
    assert [row["hashed_id"] for row in server.truth("dim_deleted_media")] == [gone]
    assert gone not in {row["hashed_id"] for row in server.truth("dim_media")}
    assert_equals(server, job.lake, ["dim_deleted_media"])
    assert_equals(server, job.lake, ["dim_media"], deleted=True)


def test_only_the_medias_that_are_named(simulator, pipe):
    server = simulator(seed=61, medias=8, events=400)
    wanted = sorted(media["hashed_id"] for media in server.truth("dim_media"))[:2]
    job = pipe(server, media_ids=wanted)
    done = run(*job.tap_command()).succeeded()
    for table in TABLES:
        column = "hashed_id" if table == "dim_media" else "media_id"
        found = [message["record"] for message in done.of_type("RECORD", table)]
        if table == "dim_visitors":
            viewers = {message["record"]["visitor_key"] for message in done.of_type("RECORD", "fact_events")}
            assert {row["visitor_id"] for row in found} == viewers
        else:
            truth = [row for row in server.truth(table) if row[column] in wanted]
            assert truth and len(found) == len(truth) and {row[column] for row in found} == set(wanted), table
    job = pipe(server, media_ids=[*wanted, "nowhere"])
    done = run(*job.tap_command()).refused("`media_ids`", "`nowhere`")
    assert all(state["value"]["bookmarks"] == {} for state in done.of_type("STATE"))


def test_archived_medias_can_be_left_out(simulator, pipe):
    server = simulator(seed=62, medias=40)
    job = pipe(server, catalog=catalog("dim_media", "fact_engagements"), include_archived=False)
    done = run(*job.tap_command()).succeeded()
    medias = server.truth("dim_media")
    current = {media["hashed_id"] for media in medias if not media["archived"]}
    assert 0 < len(current) < len(medias)
    assert {message["record"]["hashed_id"] for message in done.of_type("RECORD", "dim_media")} == current
    measured = {row["media_id"] for row in server.truth("fact_engagements")}
    assert {
        message["record"]["media_id"] for message in done.of_type("RECORD", "fact_engagements")
    } == measured & current


def test_the_lookback_says_how_many_days_are_read_again(simulator, pipe):
    server = simulator(seed=63, medias=2, events=100)
    job = pipe(server, catalog=catalog("fact_events", "fact_engagements_byday"))
    job.sync()
    for events, daily in ((3, 14), (0, 0), (30, 60), (2**32 - 1, 2**32 - 1)):
        job.tap |= {"lookback_days": events, "byday_lookback_days": daily}
        server.forget()
        messages = run(*job.tap_command()).succeeded()
        first = {
            table: min((message["record"][column][:10] for message in messages.of_type("RECORD", table)), default=None)
            for table, column in (("fact_events", "received_at"), ("fact_engagements_byday", "date"))
        }
        assert first["fact_engagements_byday"] == days_ago(daily)
        days = [row["received_at"][:10] for row in server.truth("fact_events", start=days_ago(events))]
        assert first["fact_events"] == min(days, default=None)


def test_channel_rules_name_what_wistia_does_not_know(simulator, pipe):
    server = simulator(seed=36)
    rules = [{"channel": "Facebook", "name": "(?i)facebook"}, {"channel": "Rest", "tag": "."}]
    job = pipe(server, catalog=catalog("bridge_media_channel"), channel_rules=rules)
    rows = [message["record"] for message in run(*job.tap_command()).succeeded().of_type("RECORD")]
    names = {media["hashed_id"]: media for media in server.truth("dim_media")}
    by_rule = {row["media_id"]: row["channel"] for row in rows if row["source"] == "rule"}
    for key, media in names.items():
        expected = "Facebook" if "facebook" in media["name"].lower() else "Rest" if media["tags"] else None
        assert by_rule.get(key) == expected
    named = [(row["channel_id"], row["published"]) for row in rows if row["source"] == "rule"]
    assert named == [(channel, None) for channel in by_rule.values()]
    bad = pipe(server, channel_rules=[{"channel": "x", "name": "("}])
    run(*bad.tap_command()).refused("channel_rules")


def test_fields_can_be_left_out_but_not_keys(simulator, pipe):
    fields = {"ip_address": False, "visitor_id": False}
    job = pipe(simulator(seed=37), catalog=catalog("dim_visitors", fields=fields))
    done = run(*job.tap_command()).succeeded()
    (schema,) = done.of_type("SCHEMA")
    assert set(schema["schema"]["properties"]) == {"visitor_id", "country"}
    fields = {frozenset(message["record"]) for message in done.of_type("RECORD")}
    assert fields == {frozenset({"visitor_id", "country"})}


def test_messages_come_in_order_and_state_stays_small(simulator, pipe):
    job = pipe(simulator(seed=38, medias=250, events=3000))
    done = run(*job.tap_command()).succeeded()
    known = set()
    for message in done.messages:
        if message["type"] == "SCHEMA":
            known.add(message["stream"])
        elif message["type"] == "RECORD":
            assert message["stream"] in known
            assert message["time_extracted"].endswith("Z")
    states = done.of_type("STATE")
    assert done.messages[-1]["type"] == "STATE"
    assert all(len(json.dumps(state)) < 4096 for state in states)
    # A state at least after every hundred medias of each of the three passes, and after every slice.
    assert len(states) >= 6 + 3
    for state in states:
        for bookmark in state["value"]["bookmarks"].values():
            assert bookmark.get("day", "") <= str(today())


def test_pages_that_move_lose_nothing(simulator, pipe):
    """While events are read, others arrive and push them to the next page."""
    server = simulator(seed=39, medias=3, events=900, days=1)
    server.tell("live", events_per_page=37)
    job = pipe(server, catalog=catalog("fact_events", "dim_visitors"))
    before = {row["event_key"] for row in server.truth("fact_events")}
    done = run(*job.tap_command()).succeeded()
    keys = [m["record"]["event_key"] for m in done.of_type("RECORD", "fact_events")]
    assert len(keys) == len(set(keys)), "doubles are dropped"
    assert before <= set(keys)
    server.tell("live", events_per_page=0)
    job.sync()
    job.sync()
    assert_equals(server, job.lake, ["fact_events", "dim_visitors"])


def test_late_and_grown_events_within_the_lookback_are_picked_up(simulator, pipe):
    server = simulator(seed=40, events=1500, days=60)
    job = pipe(server)
    job.sync()
    for _ in range(3):
        server.grow(new_events=50, late_events=30, risen_events=40)
        job.sync()
        assert_equals(server, job.lake)


def test_thirty_kills_and_the_lake_is_right(simulator, pipe):
    """The pipe dies at 30 moments; the union of what was read is the truth."""
    server = simulator(seed=41, medias=130, events=4000, days=400, latency_ms=15)
    job = pipe(server, target={"commit_interval_seconds": 0})
    chance = random.Random(41)
    killed = {"tap": 0, "target": 0}
    while sum(killed.values()) < 30:
        programs = dict(zip(killed, job.start(), strict=True))
        name = min(killed, key=killed.get)
        if kill_after(programs[name], chance.uniform(0.05, 1.5)):
            killed[name] += 1
        else:
            # It was faster; there will be something to do.
            server.grow(new_events=40, late_events=20, risen_events=20)
        for program in programs.values():
            program.wait(DEADLINE)
    job.sync()
    assert_equals(server, job.lake)


def test_a_killed_pass_repeats_at_most_a_hundred_medias(simulator, pipe, tmp_path):
    server = simulator(seed=42, medias=330, events=10, latency_ms=5)
    job = pipe(server, catalog=catalog("fact_engagement_graph"))
    server.fault(path="/engagement", kind="status", status=401, after=250)
    done = run(*job.tap_command()).refused("401")
    last = done.of_type("STATE")[-1]["value"]
    job.state.write_text(json.dumps(last))
    server.heal()
    server.forget()
    again = run(*job.tap_command()).succeeded()
    first = {m["record"]["media_id"] for m in done.of_type("RECORD")}
    second = {m["record"]["media_id"] for m in again.of_type("RECORD")}
    assert first | second == {row["media_id"] for row in server.truth("fact_engagement_graph")}
    assert len(first & second) <= 100


# Personal data


def personal(simulator, pipe, **settings):
    job = pipe(simulator, catalog=catalog("fact_events", "dim_visitors", "visitors"), **settings)
    return run(*job.tap_command()).succeeded()


def test_personal_data_is_hashed_so_that_joins_still_work(simulator, pipe):
    server = simulator(seed=43, events=400)
    plain = personal(server, pipe)
    hashed = personal(server, pipe, personal_data="hash", personal_data_salt="pepper of some length")
    keep = {row["visitor_id"]: row for row in (m["record"] for m in plain.of_type("RECORD", "dim_visitors"))}
    known = {hmac.new(b"pepper of some length", key.encode(), hashlib.sha256).hexdigest() for key in keep}
    rows = [m["record"] for m in hashed.of_type("RECORD", "dim_visitors")]
    assert {row["visitor_id"] for row in rows} == known
    events = [m["record"] for m in hashed.of_type("RECORD", "fact_events")]
    assert {row["visitor_key"] for row in events} == known
    assert all(len(row["ip_address"]) == 64 for row in rows if row["ip_address"])
    assert any(row["lat"] for row in events)
    for text in (hashed.out, hashed.err):
        assert "public_token" not in text and "utm_source" not in text and "pepper of some length" not in text
        assert not any(key in text for key in keep)
        assert not any(row["ip_address"] in text for row in keep.values() if row["ip_address"])
    again = personal(server, pipe, personal_data="hash", personal_data_salt="pepper of some length")
    assert again.of_type("RECORD", "dim_visitors")[0]["record"] == rows[0]


def test_personal_data_is_dropped(simulator, pipe):
    done = personal(
        simulator(seed=44, events=400), pipe, personal_data="drop", personal_data_salt="pepper of some length"
    )
    for row in (m["record"] for m in done.of_type("RECORD", "fact_events")):
        assert [row[name] for name in ("city", "lat", "lon", "org")] == [None] * 4
        assert {"region", "country", "is_new_lead"} <= row.keys()
    assert all(m["record"]["ip_address"] is None for m in done.of_type("RECORD", "dim_visitors"))
    for row in (m["record"]["visitor_identity"] for m in done.of_type("RECORD", "visitors")):
        assert row is None or (row["name"] is None and row["email"] in (0, 1))


def test_no_email_address_leaves_the_tap(simulator, pipe):
    done = personal(simulator(seed=45, events=600), pipe)
    flags = {m["record"]["email"] for m in done.of_type("RECORD", "fact_events")}
    assert flags == {0, 1}
    # An address in the query of a page's URL is the page's; everything else is ours.
    urls = [m["record"]["embed_url"] for m in done.of_type("RECORD", "fact_events")]
    text = done.out
    for url in filter(None, urls):
        text = text.replace(url, "")
    assert "@example" not in text.replace("%40", "@")


@pytest.mark.parametrize("treatment", ["keep", "hash", "drop"])
def test_columns_of_viewers_are_marked_in_every_treatment(pipe, simulator, treatment):
    """A pseudonym is personal data too."""
    names = [stream["stream"] for stream in json.loads(run(TAP, "--discover").succeeded().out)["streams"]]
    salt = "pepper of some length"
    job = pipe(simulator(), catalog=catalog(*names), personal_data=treatment, personal_data_salt=salt)
    schemas = run(*job.tap_command(), "--test=schema").succeeded().of_type("SCHEMA")
    found = {message["stream"]: marked(message["schema"]) for message in schemas}
    assert found == {name: PERSONAL.get(name, set()) for name in names}


def test_what_the_tap_makes_of_a_marked_column_is_marked(pipe, simulator):
    maps = {"fact_events": {"viewer": "visitor_key"}, "visitors": {"who": "visitor_identity.name"}}
    maps["visitors"]["visitor_key"] = "visitor_key"
    job = pipe(simulator(), catalog=catalog("fact_events", "visitors"), stream_maps=maps, flattening_enabled=True)
    schemas = run(*job.tap_command(), "--test=schema").succeeded().of_type("SCHEMA")
    found = {message["stream"]: marked(message["schema"]) for message in schemas}
    identity = {"visitor_identity__name", "visitor_identity__email"}
    identity |= {"visitor_identity__org__name", "visitor_identity__org__title"}
    assert found == {
        "fact_events": PERSONAL["fact_events"] | {"viewer"},
        "visitors": PERSONAL["visitors"] - {"visitor_identity"} | identity | {"who"},
    }


# Command line


def test_test_says_what_the_token_may_read(simulator, pipe):
    server = simulator(seed=46)
    job = pipe(server, catalog=catalog("fact_events", "dim_media", "visitors"))
    done = run(*job.tap_command(), "--test").succeeded()
    assert all(name in done.out for name in ("fact_events", "dim_media", "visitors"))
    assert len(server.requests()) <= 4
    server.fault(path="stats/visitors", kind="scope")
    done = run(*job.tap_command(), "--test").refused("visitors")
    assert "no: it wants" in done.out


def test_one_forbidden_stream_does_not_stop_the_others(simulator, pipe):
    server = simulator(seed=47, medias=5)
    server.fault(path="stats/events", kind="status", status=403)
    job = pipe(server)
    done = run(*job.tap_command()).refused("fact_events")
    assert {m["stream"] for m in done.of_type("RECORD")} == set(TABLES) - {"fact_events", "dim_visitors"}
    assert "fact_events" not in json.dumps(done.of_type("STATE")[-1])


def test_discover_needs_no_token_and_is_what_the_repository_holds(tmp_path):
    done = run(TAP, "--discover").succeeded()
    assert json.loads(done.out) == json.loads((ROOT / "catalog.json").read_text())
    selected = [
        stream["stream"]
        for stream in json.loads(done.out)["streams"]
        for entry in stream["metadata"]
        if not entry["breadcrumb"] and entry["metadata"]["selected-by-default"]
    ]
    assert set(selected) == set(TABLES)


def test_about_in_three_forms():
    about = json.loads(run(TAP, "--about", "--format", "json").succeeded().out)
    assert {
        "name",
        "description",
        "version",
        "sdk_version",
        "supported_python_versions",
        "capabilities",
        "settings",
    } >= set(about) - {"env_var_prefix"}
    assert about["name"] == "tap-wistia"
    assert about["settings"]["properties"]["api_token"]["secret"] is True
    assert "api_token" in about["settings"]["required"]
    assert {"catalog", "discover", "state", "about", "test"} <= set(about["capabilities"])
    assert run(TAP, "--about", "--format", "markdown").succeeded().out.startswith("# `tap-wistia`")
    assert "TAP_WISTIA_API_TOKEN" in run(TAP, "--about").succeeded().out


def test_settings_come_from_files_and_the_environment(simulator, tmp_path):
    server = simulator(seed=48, medias=1, events=1)
    (tmp_path / "a.json").write_text(json.dumps({"api_token": "wrong", "api_url": server.url}))
    (tmp_path / "b.json").write_text(json.dumps({"api_token": TOKEN}))
    run(TAP, "--config", tmp_path / "a.json", "--config", tmp_path / "b.json").succeeded()
    run(TAP, "--config", tmp_path / "b.json", "--config", tmp_path / "a.json").refused("401")
    env = {"TAP_WISTIA_API_TOKEN": TOKEN}
    run(TAP, "--config", tmp_path / "a.json", "--config", "ENV", env=env).succeeded()
    run(TAP, "--config", tmp_path / "a.json", env=env).refused("401")
    run(TAP, env={**env, "TAP_WISTIA_API_URL": server.url}).succeeded()


def test_the_log_is_json_where_that_is_asked_for(simulator, pipe):
    job = pipe(simulator(seed=49, medias=2, events=5))
    done = run(*job.tap_command(), "--log-format", "json", env={"TAP_WISTIA_LOGLEVEL": "debug"}).succeeded()
    entries = [json.loads(line) for line in done.err.splitlines()]
    requests = [entry for entry in entries if entry["fields"]["message"].startswith("GET ")]
    assert requests and all(TOKEN not in json.dumps(entry) for entry in entries)
    assert entries[-1]["fields"]["message"].startswith("done: ")


# Faults. Each ends in the right rows, or in one clear error with the last good state printed.

PASSING = {
    "a storm of 429": [{"kind": "status", "status": 429, "times": 6, "seconds": 1}],
    "500, 502 and 503": [{"kind": "status", "status": status, "times": 1} for status in (500, 502, 503)],
    "pages of HTML": [{"kind": "html", "times": 2}],
    "resets": [{"kind": "cut", "times": 3}],
    "bodies cut short": [{"kind": "truncate", "times": 2}],
    "stalls": [{"kind": "stall", "seconds": 5, "times": 2}],
}


@pytest.mark.parametrize("faults", PASSING.values(), ids=PASSING.keys())
def test_faults_that_pass_change_nothing(simulator, pipe, faults):
    server = simulator(seed=50, medias=6, events=700)
    for fault in faults:
        server.fault(**fault)
    job = pipe(server, request_timeout_seconds=1)
    tap, _ = job.sync()
    assert tap.summary["retries"] == sum(fault["times"] for fault in faults), "every fault was met"
    assert_equals(server, job.lake)


OF_ANOTHER_KIND = {
    "pages capped below what was asked": {"kind": "cap", "rows": 40},
    "answers compressed": {"kind": "gzip"},
    "a page of medias of which some may not be seen": {"kind": "short", "path": "medias", "rows": 60, "times": 1},
}


@pytest.mark.parametrize("fault", OF_ANOTHER_KIND.values(), ids=OF_ANOTHER_KIND.keys())
def test_a_server_of_another_kind_is_read_to_the_same_end(simulator, pipe, fault):
    server = simulator(seed=66, medias=130, events=700)
    server.fault(**fault)
    job = pipe(server, catalog=catalog("dim_media", "fact_events", "dim_visitors", "visitors"))
    job.sync()
    assert_equals(server, job.lake, ["dim_media", "fact_events", "dim_visitors", "visitors"])


LASTING = {
    "500 for good": ({"kind": "status", "status": 500}, ["500", "/stats/events"]),
    "HTML for good": ({"kind": "html"}, ["/stats/events"]),
    "resets for good": ({"kind": "cut"}, ["/stats/events"]),
    "bodies cut short for good": ({"kind": "truncate"}, ["/stats/events"]),
    "stalls for good": ({"kind": "stall", "seconds": 60}, ["/stats/events"]),
    "no JSON": ({"kind": "not_json"}, ["/stats/events"]),
    "an object where a list belongs": ({"kind": "object"}, ["/stats/events", "a list"]),
    "the same page again and again": ({"kind": "first_page"}, ["/stats/events", "never end"]),
    "a token revoked in mid-sync": ({"kind": "status", "status": 401}, ["401", "token"]),
    "422": ({"kind": "status", "status": 422}, ["422", "/stats/events"]),
}


@pytest.mark.parametrize(("fault", "words"), LASTING.values(), ids=LASTING.keys())
def test_faults_that_last_end_in_one_clear_error_and_harm_nothing(simulator, pipe, fault, words):
    server = simulator(seed=51, medias=4, events=3000, days=90)
    server.fault(path="stats/events", after=3, **fault)
    job = pipe(server, request_timeout_seconds=1, retry_for_seconds=2)
    done = run(*job.tap_command()).refused(*words)
    # The others were read, and a state says so.
    state = done.of_type("STATE")[-1]["value"]["bookmarks"]
    assert "fact_engagements_byday" in state
    job.state.write_text(json.dumps(done.of_type("STATE")[-1]["value"]))
    run(*job.target_command(), stdin=done.out).succeeded()
    server.heal()
    job.sync()
    assert_equals(server, job.lake)


def test_a_host_that_does_not_exist(simulator, pipe):
    server = simulator(seed=52)
    job = pipe(server, retry_for_seconds=1)
    job.tap["api_url"] = "http://no-such-host.invalid/v1"
    run(*job.tap_command()).refused("/medias")


def test_tls_to_a_server_without_it(simulator, pipe):
    server = simulator(seed=53)
    job = pipe(server, retry_for_seconds=1)
    job.tap["api_url"] = server.url.replace("http://", "https://")
    run(*job.tap_command()).refused("/medias")


def test_signals_end_the_tap_with_their_code(simulator, pipe):
    server = simulator(seed=54, medias=50, latency_ms=100)
    for number, code in [(signal.SIGTERM, 143), (signal.SIGINT, 130)]:
        job = pipe(server)
        tap = subprocess.Popen(
            job.tap_command(), bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert tap.stdout.readline()
        tap.send_signal(number)
        out, err = tap.communicate(timeout=20)
        assert tap.returncode == code
        assert b"panicked" not in err
        for line in out.splitlines():
            json.loads(line)
