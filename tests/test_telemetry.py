"""OpenTelemetry: what a collector hears of a good night and of a bad one, and what it must never hear."""

import json
import re
from collections import Counter

import pytest

from collector import collector, silent
from harness import ORDERS, TAP, TARGET, TOKEN, free_port, lines, orders, run

SALT = "a-salt-that-is-secret"
ERROR = 2
"""The status of a span that has failed, as OTLP has it."""


@pytest.fixture
def tap(tmp_path, simulator):
    def read(url=None, **env):
        config = tmp_path / "tap.json"
        settings = simulator(medias=3).settings(personal_data="hash", personal_data_salt=SALT)
        config.write_text(json.dumps({**settings, **({"api_url": url} if url else {}), "retry_for_seconds": 0}))
        return run(TAP, "--config", config, env=env)

    return read


def endpoint(server):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url}


def by_name(spans):
    return {span.name: span for span in spans}


def test_a_sync_is_a_trace_of_streams_and_requests(tap):
    with collector() as server:
        done = tap(**endpoint(server)).succeeded()
        spans = server.spans
    (root,) = [span for span in spans if not span.parent]
    assert root.name == "sync" and {span.trace for span in spans} == {root.trace}
    assert root.resource["service.name"] == "tap-wistia" and "service.version" in root.resource
    reads = {span.id: span for span in spans if span.parent == root.id}
    assert all(span.name == f"read {span.attributes['stream']}" for span in reads.values())
    assert "read fact_events, dim_visitors" in {span.name for span in reads.values()}
    requests = [span for span in spans if span.name == "GET"]
    assert requests and all(span.parent in reads and span.kind == 3 for span in requests)
    # One that reads ahead of the last page is given up.
    assert {span.attributes.get("http.response.status_code", 200) for span in requests} == {200}
    events = [span for span in requests if span.attributes["url.path"] == "/stats/events"]
    assert {reads[span.parent].attributes["stream"] for span in events} == {"fact_events, dim_visitors"}
    asked = re.search(r"done: .* (\d+) requests", done.err)
    assert asked and len(requests) == int(asked[1])


def test_a_sync_counts_records_requests_and_waits(tap):
    with collector() as server:
        done = tap(**endpoint(server)).succeeded()
        points = server.points
    written = Counter(message["stream"] for message in done.of_type("RECORD"))
    counted = {p.attributes["stream"]: p.value for p in points if p.name == "sync.records"}
    assert {stream: count for stream, count in counted.items() if count} == written
    (requests,) = [p for p in points if p.name == "sync.requests"]
    (retries,) = [p for p in points if p.name == "sync.retries"]
    (waited,) = [p for p in points if p.name == "sync.limit.wait"]
    assert requests.value > 0 and retries.value == 0 and waited.unit == "s"
    lag = {p.attributes["stream"]: p.value for p in points if p.name == "sync.lag"}
    assert 0 <= lag["fact_events"] < 3 * 86_400, lag


def test_a_load_is_a_trace_of_commits_and_counts_rows_and_bytes(target, tmp_path):
    target(orders((1, "a"), (2, "b"))).succeeded()
    with collector() as server:
        target(orders((2, "c"), (3, "d"), (3, "e")), **endpoint(server)).succeeded()
        spans, points = server.spans, server.points
    root, commit = by_name(spans)["write"], by_name(spans)["commit orders"]
    assert commit.parent == root.id and root.resource["service.name"] == "target-s3-parquet"
    size = sum(path.stat().st_size for path in (tmp_path / "lake" / "orders").glob("*.parquet"))
    told = {"stream": "orders", "table": "orders", "rows": 2, "rows.replaced": 1, "files": 1, "bytes": size}
    assert {name: commit.attributes[name] for name in told} == told
    of = {"stream": "orders", "table": "orders"}
    counted = {(p.name, p.attributes.get("rows")): p.value for p in points if of.items() <= p.attributes.items()}
    assert counted == {
        ("sync.records", None): 3,
        ("sync.rows", "new"): 1,
        ("sync.rows", "replaced"): 1,
        ("sync.rows", "unchanged"): 0,
        ("sync.files", None): 1,
        ("sync.bytes", None): size,
    }


def test_calls_to_s3_and_glue_are_in_the_trace(s3, tmp_path):
    s3.bucket("telemetry")
    s3.glue.create_database(DatabaseInput={"Name": "telemetry"})
    catalog = {"type": "glue", "database": "telemetry", "endpoint_url": s3.url, "region": "us-east-1"}
    config = tmp_path / "target.json"
    config.write_text(json.dumps(s3.settings("s3://telemetry/lake", catalog=catalog)))
    with collector() as server:
        run(TARGET, "--config", config, stdin=orders((1, "a")), env=endpoint(server)).succeeded()
        spans = server.spans
    (root,) = [span for span in spans if not span.parent]
    names = {span.id: span.name for span in spans}
    below = {(names[span.parent], span.name) for span in spans if span.parent}
    assert root.name == "write"
    assert {("commit orders", "S3.PutObject"), ("catalog", "Glue.CreateTable")} <= below, below
    assert "test" not in [value for span in spans for value in span.attributes.values()]


def test_a_bad_night_says_what_failed(tap, target):
    with collector() as server:
        port = free_port()
        failed = tap(url=f"http://127.0.0.1:{port}/v1", **endpoint(server))
        assert failed.code == 1
        spans = server.spans
    root = by_name(spans)["sync"]
    assert root.status == ERROR and "were not synced" in root.description
    request = by_name(spans)["GET"]
    assert request.status == ERROR and request.attributes["error.type"] == "transport"
    with collector() as server:
        assert target(lines(ORDERS) + "no JSON\n", **endpoint(server)).code == 1
        (root,) = server.spans
    assert root.status == ERROR and "line 2" in root.description


def test_no_secret_is_sent(tap):
    """Neither the tap's, nor those of the collector's own address."""
    with collector() as server:
        key = "key-of-the-collector"
        address = server.url.replace("http://", f"http://user:{key}@")
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={key}"}
        done = tap(**env).succeeded()
        assert server.spans
        for secret in (TOKEN, SALT, key):
            assert secret not in server.everything() + done.err
        headers = [headers for _, headers, _ in server.bodies]
    assert all({name.lower(): value for name, value in each.items()}["authorization"] == key for each in headers)


@pytest.mark.parametrize("program", ["tap", "target"])
def test_a_collector_that_is_not_there_is_one_warning(program, tap, target):
    address = f"http://user:secret@127.0.0.1:{free_port()}"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_METRICS_EXPORTER": "none"}
    done = (tap(**env) if program == "tap" else target(orders((1, "a")), **env)).succeeded()
    (warning,) = [line for line in done.err.splitlines() if "cannot be sent" in line]
    assert " WARN " in warning and "traces" in warning and "refused" in warning
    assert re.search(r"http://127\.0\.0\.1:\d+/v1/traces", warning) and "user" not in warning


def test_a_collector_that_never_answers_holds_up_a_run_for_seconds(target):
    """Without a bound it would be for ever."""
    with silent() as address:
        done = target(orders((1, "a")), OTEL_EXPORTER_OTLP_ENDPOINT=address).succeeded()
    assert len([line for line in done.err.splitlines() if "cannot be sent" in line]) <= 2


def test_a_collector_that_refuses_is_one_warning_and_fails_nothing(target):
    with collector() as server:
        server.status = 401
        done = target(orders((1, "a")), OTEL_METRICS_EXPORTER="none", **endpoint(server)).succeeded()
    (warning,) = [line for line in done.err.splitlines() if "cannot be sent" in line]
    assert "401" in warning


def test_a_key_that_travels_readable_is_a_warning(target):
    """Nobody is at this address, which is kept for documentation."""
    there = "http://192.0.2.1:4318"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": there, "OTEL_EXPORTER_OTLP_TIMEOUT": "100"}
    assert "unencrypted" not in target(orders((1, "a")), **env).succeeded().err
    done = target(orders((1, "a")), OTEL_EXPORTER_OTLP_HEADERS="x-key=k", **env).succeeded()
    assert "`OTEL_EXPORTER_OTLP_ENDPOINT` is http:// to 192.0.2.1: headers go unencrypted" in done.err
    lineage = {"OPENLINEAGE_URL": there, "OPENLINEAGE_API_KEY": "k"}
    assert "`OPENLINEAGE_URL` is http:// to 192.0.2.1" in target(orders((1, "a")), **lineage).succeeded().err


@pytest.mark.parametrize("protocol", ["grpc", "http/json"])
def test_a_protocol_that_is_not_there_is_said(target, protocol):
    with collector() as server:
        done = target(orders((1, "a")), OTEL_EXPORTER_OTLP_PROTOCOL=protocol, **endpoint(server)).succeeded()
        assert not server.bodies
    for signal in ("traces", "metrics"):
        assert re.search(rf"WARN no {signal} are sent: OTEL_EXPORTER_OTLP_PROTOCOL is `{protocol}`", done.err)


def test_variables_are_heard_as_every_tool_hears_them(target):
    with collector() as server:
        base = endpoint(server)
        for env in (
            {},
            {**base, "OTEL_SDK_DISABLED": "true"},
            {**base, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
        ):
            target(orders((1, "a")), **env).succeeded()
        assert not server.bodies
        target(orders((1, "a")), OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{server.url}/own/traces").succeeded()
        assert {path for path, _, _ in server.bodies} == {"/own/traces"}
        server.bodies.clear()
        trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        env = {
            "TRACEPARENT": f"00-{trace}-{parent}-01",
            "OTEL_SERVICE_NAME": "nightly",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod",
        }
        target(orders((1, "b")), **base, **env).succeeded()
        root = by_name(server.spans)["write"]
    assert (root.trace, root.parent) == (trace, parent)
    assert root.resource["service.name"] == "nightly"
    assert root.resource["deployment.environment.name"] == "prod"


def test_what_only_tells_of_the_program_sends_nothing():
    with collector() as server:
        for program in (TAP, TARGET):
            for argument in ("--help", "--version", "--about"):
                run(program, argument, env=endpoint(server)).succeeded()
        run(TAP, "--discover", env=endpoint(server)).succeeded()
        assert not server.bodies
