"""The tap behind Airbyte's verbs: the same rows, told in another protocol."""

import json
import signal
import subprocess
import time
from datetime import timedelta

import pytest
from jsonschema import Draft7Validator

from harness import TAP, TOKEN, environment, today, until, waiting_in
from lake import KEYS, PERSONAL, TABLES, assert_equals, marked
from verbs import Destination, Source, Verb, strict

OTHERS = sorted(set(KEYS) - set(TABLES))


@pytest.fixture
def source(tmp_path, simulator):
    """A source on an account."""

    def make(server=None, **settings):
        if not server:
            server = simulator(seed=3, medias=8, events=300, days=60)
            settings = {"start_date": str(today() - timedelta(days=60)), **settings}
        made = Source(tmp_path, server.settings(**settings))
        made.account = server
        return made

    return make


@pytest.fixture
def destination(tmp_path):
    return Destination(tmp_path, {"destination": str(tmp_path / "lake"), "add_record_metadata": False})


def walk(schema):
    if isinstance(schema, dict):
        yield schema
        for child in schema.values():
            yield from walk(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from walk(child)


def assert_form(specification):
    """The part of JSON Schema that Airbyte's forms can show."""
    Draft7Validator.check_schema(specification)
    for schema in walk(specification):
        assert not {"$ref", "allOf", "not", "anyOf", "oneOf"} & set(schema)
        if isinstance(schema.get("type"), list):
            assert len(schema["type"]) == 2 and schema["type"][1] == "null"
        if isinstance(schema.get("properties"), dict):
            orders = [child["order"] for child in schema["properties"].values()]
            assert sorted(orders) == list(range(len(orders)))
            assert all(child["title"] for child in schema["properties"].values())
        assert schema.get("additionalProperties", True) is True


def test_the_specification_fits_the_forms_and_marks_secrets(source):
    spec = source().spec()
    assert spec["supportsIncremental"] is True
    form = spec["connectionSpecification"]
    assert_form(form)
    assert form["required"] == ["api_token"]
    secret = {name for name, schema in form["properties"].items() if schema.get("airbyte_secret")}
    assert secret == {"api_token", "personal_data_salt"}
    Draft7Validator(form).validate(source().config)


def test_maps_are_the_business_of_airbyte(simulator, source):
    made = source(simulator(seed=3, medias=2, events=20))
    assert not {
        name
        for name in made.spec()["connectionSpecification"]["properties"]
        if name.startswith(("stream_maps", "flattening"))
    }
    made.config["stream_maps"] = {"dim_media": "__NULL__"}
    done = made.read(made.catalog()).succeeded()
    assert "`stream_maps` is ignored" in done.out + done.err
    assert done.records("dim_media")


def test_a_check_proves_the_token(source):
    made = source()
    assert made.check() == {"status": "SUCCEEDED"}
    made.config["api_token"] = "another-token-7f3a"
    done = made.verb("check").succeeded()
    assert done.status["status"] == "FAILED" and "token" in done.status["message"]
    assert "7f3a" not in done.out + done.err


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"api_token": 5}, "api_token"),
        ({"api_token": ""}, "api_token"),
        ({"start_date": "soon"}, "start_date"),
        ({"concurrency": 0}, "concurrency"),
        ({"api_url": "http://127.0.0.1:9/v1"}, "network"),
        ({"channel_rules": [{"channel": "x", "name": "("}]}, "channel_rules"),
    ],
)
def test_settings_that_do_not_work_fail_the_check_and_not_the_program(source, settings, word):
    made = source(**settings)
    done = made.verb("check").succeeded()
    assert done.status["status"] == "FAILED"
    assert word in done.status["message"]
    assert TOKEN not in done.out + done.err
    if word != "network":
        made.verb("read", "--catalog", made.file("catalog", {"streams": []})).failed(word, kind="config_error")


def test_a_check_names_what_the_token_may_not_read(source):
    made = source()
    made.account.fault(path="/engagement", kind="scope")
    status = made.check()
    assert status["status"] == "FAILED" and "fact_engagement_graph" in status["message"]


def test_the_catalog_keeps_to_the_rules(source):
    streams = source().discover()
    assert {stream["name"] for stream in streams} == set(KEYS)
    for stream in streams:
        schema = stream["json_schema"]
        Draft7Validator.check_schema(schema)
        assert schema["type"] == "object"
        for part in walk(schema):
            assert not {"$ref", "allOf", "not"} & set(part) and part.get("additionalProperties") is not False
        columns = schema["properties"]
        assert all(len(key) == 1 and key[0] in columns for key in stream["source_defined_primary_key"])
        assert all(field in columns for field in stream.get("default_cursor_field", []))
        incremental = "incremental" in stream["supported_sync_modes"]
        assert stream["source_defined_cursor"] is incremental
        assert stream["is_resumable"] or not incremental
        assert marked(schema) == PERSONAL.get(stream["name"], set())
    incremental = {s["name"] for s in streams if "incremental" in s["supported_sync_modes"]}
    assert incremental == {
        "dim_visitors",
        "fact_account_byday",
        "fact_engagements_byday",
        "fact_events",
        "fact_media_timeseries",
    }


def assert_told(done, stream):
    """A stream begins, runs where it has records, and is complete once; its states count its records."""
    records = done.records(stream)
    assert done.statuses(stream) == ["STARTED", *(["RUNNING"] if records else []), "COMPLETE"], stream
    states = done.states(stream)
    assert states and all(state["stream"]["stream_state"] for state in states)
    assert sum(state["sourceStats"]["recordCount"] for state in states) == len(records)
    texts = [json.dumps(state["stream"]) for state in states]
    assert len(set(texts)) == len(texts), f"{stream} says the same state twice"


def test_every_stream_is_told_from_its_beginning_to_its_end(source):
    made = source()
    streams = {stream["name"]: stream for stream in made.discover()}
    done = made.read(made.catalog()).succeeded()
    for name, stream in streams.items():
        assert_told(done, name)
        validator = strict(stream["json_schema"])
        for record in done.records(name):
            validator.validate(record)
    assert '"recordCount":8.0}' in done.out
    estimates = [m["trace"]["estimate"] for m in done.of_type("TRACE") if m["trace"]["type"] == "ESTIMATE"]
    assert {"name": "fact_engagements", "type": "STREAM", "row_estimate": 8} in estimates
    emitted = [m["record"]["emitted_at"] for m in done.of_type("RECORD")]
    assert all(isinstance(at, int) and abs(at / 1000 - time.time()) < 3600 for at in emitted)


def test_source_and_destination_make_the_lake_that_is_true_of_the_account(source, destination, tmp_path, simulator):
    server = simulator(seed=5, medias=12, events=900, days=200)
    made = source(server)
    catalog = made.catalog(generation_id=1, minimum_generation_id=0, sync_id=1)
    states = []
    for _ in range(3):
        done = made.read(catalog, states).succeeded()
        loaded = destination.write(catalog, done.out).succeeded()
        # Every state comes back, once, in order, and nothing of it is changed.
        given = loaded.states()
        for state in given:
            counts = state.pop("destinationStats")
            assert counts == {"recordCount": state["sourceStats"]["recordCount"], "rejectedRecordCount": 0.0}
        assert given == done.states()
        states = given
        assert_equals(server, tmp_path / "lake", [*TABLES, *OTHERS])
        server.grow(new_events=40, late_events=10, risen_events=10)


@pytest.mark.parametrize(
    "form",
    [
        lambda states: states,
        lambda states: "\n".join(json.dumps({"type": "STATE", "state": state}) for state in states),
        lambda states: [{**state, "global_": None, "data": None, "destinationStats": None} for state in states],
        lambda states: [{"type": "GLOBAL", "global": {"stream_states": [state["stream"] for state in states]}}],
        lambda states: [
            {"type": "GLOBAL", "global_": {"shared_state": None, "stream_states": [s["stream"] for s in states]}}
        ],
        lambda states: {
            "type": "LEGACY",
            "data": {s["stream"]["stream_descriptor"]["name"]: s["stream"]["stream_state"] for s in states},
        },
        lambda states: {s["stream"]["stream_descriptor"]["name"]: s["stream"]["stream_state"] for s in states},
        lambda states: [
            *states,
            {"type": "STREAM", "stream": {"stream_descriptor": {"name": "gone"}, "stream_state": {"x": 1}}},
        ],
    ],
    ids=["messages", "lines", "nulls", "global", "global_", "legacy", "bare", "unknown"],
)
def test_a_read_goes_on_from_every_form_of_state(source, form):
    made = source()
    catalog = made.catalog("fact_events")
    first = made.read(catalog).succeeded()
    second = made.read(catalog, form(first.states()[-1:])).succeeded()
    assert 0 < len(second.records()) < len(first.records()) / 2
    assert_told(second, "fact_events")


@pytest.mark.parametrize("state", ["", "[]", "{}", "null", [], {}], ids=str)
def test_no_state_is_a_first_read(source, state):
    made = source()
    catalog = made.catalog("fact_events")
    assert len(made.read(catalog, state).succeeded().records()) == len(made.read(catalog).records())


def test_a_full_refresh_reads_everything_whatever_the_state(source):
    made = source()
    whole = made.read(made.catalog(mode="full_refresh")).succeeded()
    again = made.read(made.catalog(mode="full_refresh"), whole.states()).succeeded()
    for stream in KEYS:
        assert sorted(map(json.dumps, whole.records(stream))) == sorted(map(json.dumps, again.records(stream)))
        assert_told(again, stream)
    incremental = made.read(made.catalog("fact_events")).succeeded()
    assert len(made.read(made.catalog("fact_events", mode="full_refresh"), incremental.states()).records()) == len(
        incremental.records()
    )


def test_a_stream_without_increments_is_read_in_full(source):
    made = source()
    catalog = made.catalog("dim_media")
    assert catalog["streams"][0]["sync_mode"] == "incremental"
    first = made.read(catalog).succeeded()
    assert made.read(catalog, first.states()).succeeded().records() == first.records()


@pytest.mark.parametrize("mode", ["incremental", "full_refresh"])
def test_a_read_that_breaks_off_goes_on_where_it_was(simulator, source, destination, tmp_path, mode):
    server = simulator(seed=8, medias=130, events=1500, days=40)
    start = str(today() - timedelta(days=40))
    made = source(server, retry_for_seconds=0, concurrency=2, start_date=start)
    names = ["dim_visitors", "fact_events", "fact_engagements", "fact_engagements_byday"]
    catalog = made.catalog(*names, mode=mode)
    for path, stream in [("by_date", "fact_engagements_byday"), ("stats/events", "fact_events")]:
        server.fault(path=path, kind="status", status=500, after=110 if path == "by_date" else 4)
        broken = made.read(catalog).failed()
        assert broken.errors()[-1]["failure_type"] == "transient_error"
        for name in names:
            assert broken.statuses(name)[-1] in ("COMPLETE", "INCOMPLETE")
        assert broken.statuses(stream)[-1] == "INCOMPLETE"
        server.heal()
        server.forget()
        rest = made.read(catalog, broken.states()).succeeded()
        rows = broken.records(stream) + rest.records(stream)
        keys = {tuple(row[key] for key in KEYS[stream]) for row in rows}
        assert len(keys) == len(server.truth(stream, start=start))


def test_a_stream_that_may_not_be_read_fails_alone(source):
    made = source()
    made.account.fault(path="/by_date", kind="scope")
    done = made.read(made.catalog(*TABLES))
    assert done.code == 1
    assert done.statuses("fact_engagements_byday")[-1] == "INCOMPLETE"
    own = [e for e in done.errors() if e.get("stream_descriptor")]
    assert [e["stream_descriptor"]["name"] for e in own] == ["fact_engagements_byday"]
    assert own[0]["failure_type"] == "config_error"
    for name in set(TABLES) - {"fact_engagements_byday"}:
        assert_told(done, name)


def test_without_medias_no_stream_of_medias_is_complete(source):
    """Or an increment would pass over days that were never read."""
    made = source()
    made.account.fault(path="medias", kind="scope")
    done = made.read(made.catalog(*TABLES))
    assert done.code == 1
    for name in ("dim_media", "fact_engagements", "fact_engagements_byday", "fact_engagement_graph"):
        assert done.statuses(name)[-1] == "INCOMPLETE"
        assert not done.states(name)
    assert_told(done, "fact_events")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda c: c["streams"][0]["stream"].update(name="videos"), "videos"),
        (lambda c: c["streams"][0].update(sync_mode="INVALID"), "INVALID"),
        (lambda c: c["streams"].append(c["streams"][0]), "twice"),
        (lambda c: c.pop("streams"), "streams"),
    ],
    ids=["unknown-stream", "mode", "twice", "empty"],
)
def test_a_bad_catalog_is_refused(source, change, word):
    made = source()
    catalog = made.catalog("dim_media")
    change(catalog)
    made.read(catalog).failed(word, kind="config_error")


def test_a_damaged_state_is_refused(source):
    made = source()
    catalog = made.catalog("fact_events")
    for state in (
        "[",
        [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "fact_events"}, "stream_state": {"day": "soon"}}}],
    ):
        made.read(catalog, state).failed("state", kind="config_error")


def test_missing_files_are_told_in_a_trace(source, tmp_path):
    made = source()
    made.verb("read", "--catalog", tmp_path / "none.json").failed("none.json", kind="config_error")


def test_only_the_fields_of_the_catalog_are_sent(source):
    made = source()
    catalog = made.catalog("dim_media")
    properties = catalog["streams"][0]["stream"]["json_schema"]["properties"]
    catalog["streams"][0]["stream"]["json_schema"]["properties"] = {"name": properties["name"]}
    records = made.read(catalog).succeeded().records()
    assert {frozenset(record) for record in records} == {frozenset({"id", "name"})}


def test_sigterm_ends_a_read_as_it_ends_any_program(simulator, source):
    server = simulator(seed=3, medias=500, events=5000, latency_ms=200)
    made = source(server)
    command = [str(word) for word in [TAP, *made.read_command(made.catalog())]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), bufsize=0)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    Verb(0, "".join(out.decode().splitlines(keepends=True)[:-1]), "")


def test_sigterm_ends_a_read_that_nobody_listens_to(simulator, source):
    """PyAirbyte stops reading before it stops the program, whose output then fills the pipe."""
    made = source(simulator(seed=3, medias=50, events=20_000))
    command = [str(word) for word in [TAP, *made.read_command(made.catalog())]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
    until(lambda: waiting_in(process.stdout) > 60_000, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    process.stdout.close()


def test_a_reader_that_has_gone_is_no_reason_for_words(simulator, source):
    made = source(simulator(seed=3, medias=200, events=20_000))
    command = [str(word) for word in [TAP, *made.read_command(made.catalog())]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(60) == 1
    assert "panicked" not in err and "error:" not in err


def test_debug_logs_go_to_stderr(source):
    made = source()
    catalog = made.file("catalog", made.catalog("dim_media"))
    plain = made.verb("read", "--catalog", catalog).succeeded()
    for detailed in (
        made.verb("read", "--catalog", catalog, "--debug").succeeded(),
        made.verb("read", "--catalog", catalog, env={"LOG_LEVEL": "debug"}).succeeded(),
    ):
        assert "DEBUG" in detailed.err and "DEBUG" not in plain.err
        assert TOKEN not in detailed.err


def test_first_days_are_those_of_the_settings(source):
    made = source(start_date=str(today()), end_date=str(today()))
    events = made.read(made.catalog("fact_events")).succeeded().records()
    truth = made.account.truth("fact_events", start=today())
    assert 0 < len(truth) < len(made.account.truth("fact_events"))
    assert {event["event_key"] for event in events} == {event["event_key"] for event in truth}
