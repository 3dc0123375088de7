"""OpenLineage: what Marquez hears of runs, and from where each column comes. Every event is held against the classes
that are made from the published schemas."""

import json
import re
import signal
import subprocess
import uuid

import pytest

from collector import collector, silent
from harness import TAP, TARGET, TOKEN, environment, free_port, lines, run, until_logged
from openlineage_events import checked

SALT = "a-salt-that-is-secret"

SCHEMA = {
    "type": "SCHEMA",
    "stream": "orders",
    "key_properties": ["id"],
    "schema": {
        "properties": {
            "id": {"type": "integer", "description": "Number of the order."},
            "Customer Name": {"type": "string"},
            "at": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}},
            "secret": {"type": "string"},
        }
    },
}


def orders(*ids):
    rows = [{"id": each, "Customer Name": "x", "at": {"city": "c", "zip": "z"}, "secret": "s"} for each in ids]
    records = [{"type": "RECORD", "stream": "orders", "record": row} for row in rows]
    return lines(SCHEMA, *records, {"type": "STATE", "value": {"at": len(records)}})


def to(server, **more):
    return {"OPENLINEAGE_URL": server.url, **more}


@pytest.fixture
def target(tmp_path):
    def load(stdin, env, **settings):
        config = tmp_path / "target.json"
        config.write_text(json.dumps({"destination": str(tmp_path / "lake"), **settings}))
        return run(TARGET, "--config", config, stdin=stdin, env=env)

    return load


@pytest.fixture
def tap(tmp_path, simulator):
    def read(env, **settings):
        config = tmp_path / "tap.json"
        config.write_text(json.dumps({**simulator(medias=3).settings(), **settings}))
        return run(TAP, "--config", config, env=env)

    return read


def origins(dataset):
    """Where each column comes from, and whether it was masked on the way."""
    return {
        column: [(field["field"], change["subtype"], change["masking"])]
        for column, lineage in dataset["facets"]["columnLineage"]["fields"].items()
        for field in lineage["inputFields"]
        for change in field["transformations"]
    }


def same(*columns):
    return {column: [(column, "IDENTITY", False)] for column in columns}


def test_a_run_has_a_beginning_and_an_end(target):
    with collector() as server:
        target(orders(1, 2), to(server)).succeeded()
        start, complete = (checked(event) for event in server.events)
        paths = {path for path, _, _ in server.bodies}
    assert paths == {"/api/v1/lineage"}
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"] and start["eventTime"] < complete["eventTime"]
    assert uuid.UUID(start["run"]["runId"]).version == 7
    assert {(e["job"]["namespace"], e["job"]["name"]) for e in (start, complete)} == {("default", "target-s3-parquet")}


def test_a_table_has_its_place_its_columns_and_how_much_was_written(target, tmp_path):
    with collector() as server:
        target(orders(1, 2), to(server)).succeeded()
        event = checked(server.events[-1])
    (stream,), (table,) = event["inputs"], event["outputs"]
    assert (stream["namespace"], stream["name"]) == ("singer://default", "orders")
    assert stream["inputFacets"]["inputStatistics"]["rowCount"] == 2
    place = tmp_path / "lake" / "orders"
    assert (table["namespace"], table["name"]) == ("file", str(place))
    size = sum(path.stat().st_size for path in place.glob("*.parquet"))
    statistics = table["outputFacets"]["outputStatistics"]
    assert [statistics[name] for name in ("rowCount", "fileCount", "size")] == [2, 1, size]
    fields = {field["name"]: field for field in table["facets"]["schema"]["fields"]}
    assert {name: field["type"] for name, field in fields.items()} == {
        "id": "bigint",
        "customer_name": "string",
        "at": "struct<city:string,zip:string>",
        "secret": "string",
    }
    assert fields["id"]["description"] == "Number of the order."
    assert [inner["name"] for inner in fields["at"]["fields"]] == ["city", "zip"]
    renamed = {"customer_name": [("Customer Name", "IDENTITY", False)]}
    assert origins(table) == {**same("id", "at", "secret"), **renamed}


def test_columns_are_followed_through_maps_and_flattening(target):
    maps = {
        "orders": {
            "__alias__": "sales",
            "__filter__": "secret != 'x'",
            "number": "id",
            "shop": "'berlin'",
            "secret": "__NULL__",
            "__key_properties__": ["number"],
            "id": "__NULL__",
        }
    }
    with collector() as server:
        target(orders(1), to(server), stream_maps=maps, flattening_enabled=True).succeeded()
        event = checked(server.events[-1])
    (stream,), (table,) = event["inputs"], event["outputs"]
    assert stream["name"] == "orders" and table["name"].endswith("/sales")
    assert origins(table) == {
        "number": [("id", "IDENTITY", False)],
        "customer_name": [("Customer Name", "IDENTITY", False)],
        "at__city": [("at.city", "IDENTITY", False)],
        "at__zip": [("at.zip", "IDENTITY", False)],
    }
    names = [field["name"] for field in table["facets"]["schema"]["fields"]]
    assert "shop" in names, "a constant comes from nowhere"
    (decides,) = table["facets"]["columnLineage"]["dataset"]
    assert decides["field"] == "secret" and decides["transformations"][0]["subtype"] == "FILTER"


def test_a_partition_comes_from_the_column_that_decides(target):
    schema = {"properties": {"id": {"type": "integer"}, "Seen At": {"type": "string", "format": "date-time"}}}
    rows = lines(
        {"type": "SCHEMA", "stream": "plays", "key_properties": ["id"], "schema": schema},
        {"type": "RECORD", "stream": "plays", "record": {"id": 1, "Seen At": "2026-01-02T03:04:05Z"}},
    )
    by = {"column": "Seen At", "granularity": "month"}
    with collector() as server:
        target(rows, to(server), partition_by=by).succeeded()
        (table,) = checked(server.events[-1])["outputs"]
    assert {"name": "month", "type": "string"} in table["facets"]["schema"]["fields"]
    assert origins(table)["month"] == [("Seen At", "TRANSFORMATION", False)]


def test_a_table_on_s3_is_known_by_its_name_in_glue_too(s3, target):
    s3.bucket("lineage")
    s3.glue.create_database(DatabaseInput={"Name": "lineage"})
    catalog = {"type": "glue", "database": "lineage", "endpoint_url": s3.url, "region": "us-east-1"}
    with collector() as server:
        settings = s3.settings("s3://lineage/lake", catalog=catalog)
        target(orders(1), to(server), **settings).succeeded()
        (table,) = checked(server.events[-1])["outputs"]
    assert (table["namespace"], table["name"]) == ("s3://lineage", "lake/orders")
    assert table["facets"]["dataSource"]["uri"] == "s3://lineage"
    (other,) = table["facets"]["symlinks"]["identifiers"]
    assert other["type"] == "TABLE" and other["name"] == "table/lineage/orders"
    assert re.fullmatch(r"arn:aws:glue:us-east-1:\d{12}", other["namespace"])


@pytest.mark.parametrize("personal_data", ["keep", "hash", "drop"])
def test_what_is_hashed_is_masked(tap, personal_data):
    with collector() as server:
        tap(to(server), personal_data=personal_data, personal_data_salt=SALT).succeeded()
        event = checked(server.events[-1])
        assert TOKEN not in server.everything() and SALT not in server.everything()
    outputs = {dataset["name"]: dataset for dataset in event["outputs"]}
    masked = {
        column for column, found in origins(outputs["fact_events"]).items() if any(masking for _, _, masking in found)
    }
    hashed = {"visitor_key", "embed_url", "iframe_heatmap_url"}
    assert masked == {"keep": set(), "hash": hashed, "drop": {*hashed, "city", "lat", "lon", "org"}}[personal_data]


def test_a_stream_of_the_tap_comes_from_a_resource_of_the_api(tap):
    with collector() as server:
        done = tap(to(server)).succeeded()
        event = checked(server.events[-1])
    events = {dataset["name"]: dataset for dataset in event["outputs"]}["fact_events"]
    written = len(done.of_type("RECORD", "fact_events"))
    assert events["outputFacets"]["outputStatistics"]["rowCount"] == written
    (field,) = events["facets"]["columnLineage"]["fields"]["received_at"]["inputFields"]
    resource = {(dataset["namespace"], dataset["name"]): dataset for dataset in event["inputs"]}
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", field["namespace"]) and field["name"] == "v1/stats/events"
    assert (field["namespace"], field["name"]) in resource
    names = {name for _, name in resource}
    assert "v1/stats/medias/{media_id}" in {re.sub("(media_id}).*", r"\1", name) for name in names}, names


def test_what_the_tap_writes_is_what_the_target_reads(tap, target):
    with collector() as server:
        env = to(server, OPENLINEAGE_NAMESPACE="prod", OPENLINEAGE_JOB_NAME="wistia")
        maps = {"fact_events": {"__alias__": "plays"}}
        written = tap(env, stream_maps=maps).succeeded()
        target(written.out, env).succeeded()
        ends = [checked(event) for event in server.events if event["eventType"] == "COMPLETE"]
    (read,), (load,) = (
        [e for e in ends if e["job"]["name"] == f"wistia.{p}"] for p in ("tap-wistia", "target-s3-parquet")
    )
    assert read["job"]["namespace"] == load["job"]["namespace"] == "prod"

    def names(datasets):
        return {(dataset["namespace"], dataset["name"]) for dataset in datasets}

    assert names(load["inputs"]) == names(read["outputs"])
    assert ("singer://prod", "plays") in names(load["inputs"])


def test_a_run_that_fails_says_why_and_one_that_is_stopped_is_aborted(target, tmp_path):
    with collector() as server:
        assert target(orders(1) + "no JSON\n", to(server)).code == 1
        event = checked(server.events[-1])
    assert event["eventType"] == "FAIL" and "line 4" in event["run"]["facets"]["errorMessage"]["message"]
    with collector() as server:
        command = [TARGET, "--config", str(tmp_path / "target.json")]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment(to(server, LOG_LEVEL="debug"))
        )
        assert process.stdin
        process.stdin.write(orders(1).replace('"secret": "s"', '"other": "s"'))
        process.stdin.flush()
        until_logged(process, "`other`")
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == 143
        event = checked(server.events[-1])
    assert event["eventType"] == "ABORT" and "SIGTERM" in event["run"]["facets"]["errorMessage"]["message"]


def test_a_parent_is_named(target):
    parent, root = (str(uuid.uuid4()) for _ in range(2))
    with collector() as server:
        above = {"OPENLINEAGE_PARENT_ID": f"n/dag.task/{parent}", "OPENLINEAGE_ROOT_PARENT_ID": f"n/dag/{root}"}
        target(orders(1), to(server, **above)).succeeded()
        facets = [checked(event)["run"]["facets"]["parent"] for event in server.events]
        done = target(orders(1), to(server, OPENLINEAGE_PARENT_ID="nonsense")).succeeded()
    assert [(facet["run"]["runId"], facet["job"]["name"]) for facet in facets] == [(parent, "dag.task")] * 2
    assert facets[0]["root"]["run"]["runId"] == root and facets[0]["root"]["job"]["name"] == "dag"
    assert "OPENLINEAGE_PARENT_ID names no run" in done.err


def test_a_key_goes_to_the_server_and_nowhere_else(target):
    with collector() as server:
        env = {
            "OPENLINEAGE_URL": server.url,
            "OPENLINEAGE_API_KEY": "key-of-marquez",
            "OPENLINEAGE_ENDPOINT": "api/v1/lineage/own",
        }
        done = target(orders(1), env).succeeded()
        assert "key-of-marquez" not in done.err + server.everything()
        sent = {(path, headers["authorization"]) for path, headers, _ in server.bodies}
    assert sent == {("/api/v1/lineage/own", "Bearer key-of-marquez")}


def test_events_go_to_a_file_where_that_is_asked_for(target, tmp_path):
    path = tmp_path / "events.jsonl"
    file = {"OPENLINEAGE__TRANSPORT__TYPE": "file", "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH": str(path)}
    for _ in range(2):
        target(orders(1), {**file, "OPENLINEAGE__TRANSPORT__APPEND": "true"}).succeeded()
    events = [checked(json.loads(line)) for line in path.read_text().splitlines()]
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"] * 2
    target(orders(1), file).succeeded()
    alone = sorted(tmp_path.glob("events.jsonl-*.json"))
    assert [checked(json.loads(each.read_text()))["eventType"] for each in alone] == ["START", "COMPLETE"]


def test_a_server_that_is_not_there_is_one_warning(target):
    env = {"OPENLINEAGE_URL": f"http://user:secret@127.0.0.1:{free_port()}"}
    done = target(orders(1), env).succeeded()
    (warning,) = [line for line in done.err.splitlines() if "cannot be sent" in line]
    assert " WARN lineage cannot be sent to http://127.0.0.1:" in warning and "secret" not in done.err
    with silent() as address:
        target(orders(1), {"OPENLINEAGE_URL": address}).succeeded()


def test_nothing_is_sent_unless_it_is_asked_for(target):
    with collector() as server:
        target(orders(1), {}).succeeded()
        target(orders(1), to(server, OPENLINEAGE_DISABLED="true")).succeeded()
        done = target(orders(1), to(server, OPENLINEAGE__TRANSPORT__TYPE="kafka")).succeeded()
        assert not server.bodies
    assert "no lineage is sent: OPENLINEAGE__TRANSPORT__TYPE is `kafka`" in done.err
