"""What every night says: each line of the log by its message alone, and errors last, once, with cause and remedy."""

import json
import re

import pytest

from harness import ANSI, JSON_LOG, ORDERS, TAP, TARGET, free_port, lines, orders, run

RUST = re.compile(r"\b[A-Z]\w+ \{ \w+: |\b(?:Some|Ok|Err)\(")
"""What Rust prints of a value for those who write programs."""


def sentences(done):
    """The messages of a log of text."""
    return [re.sub(r"^\S+Z +[A-Z]+ ", "", line) for line in ANSI.sub("", done.err).splitlines()]


def messages(done, form):
    """The messages of a log, whatever its form."""
    if form == "text":
        return sentences(done)
    entries = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    found = [entry["fields"]["message"] if form == "json" else entry["message"] for entry in entries]
    return [message for message in found if message != "METRIC"]


@pytest.mark.parametrize("form", ["text", "json", "singer"])
def test_the_message_alone_says_how_many_rows_are_new_replaced_and_unchanged(target, form):
    """Three records of one key are one row."""

    def said(stdin):
        return messages(target(stdin, "--log-format", form).succeeded(), form)

    first = said(orders((1, "a"), (1, "b"), (1, "c"), (2, "x")))
    assert re.fullmatch(r"orders: 2 rows new, 1 file, [\d.,]+ k?B", first[0]), first
    assert re.match(r"done: 4 records read, 2 rows new in 1 table, 1 file, [\d.]+ k?B, [\d.]+ s$", first[-1]), first
    second = said(orders((2, "y"), (3, "z")))
    assert re.fullmatch(r"orders: 1 row new, 1 replaced, 1 file, [\d.,]+ k?B", second[0]), second
    again = said(orders((2, "y"), (3, "z")))
    assert again[0] == "orders: 2 rows unchanged" and "nothing to write: 2 rows unchanged" in again[-1]


def test_rows_in_the_summary_are_those_of_the_table(target):
    target(orders((1, "a"), (2, "b"))).succeeded()
    summary = target(orders((2, "c"), (2, "d"), (3, "e")), *JSON_LOG).succeeded().summary["streams"]["orders"]
    assert {name: summary[name] for name in ("records", "rows", "rows_new", "rows_replaced", "rows_unchanged")} == {
        "records": 3,
        "rows": 2,
        "rows_new": 1,
        "rows_replaced": 1,
        "rows_unchanged": 0,
    }


@pytest.mark.parametrize(
    ("setting", "second"),
    [({"load_method": "append"}, "2 rows new"), ({"load_method": "overwrite"}, "2 rows in the place of all before")],
)
def test_other_loads_say_what_they_did(target, tmp_path, setting, second):
    (tmp_path / "target.json").write_text(json.dumps({"destination": str(tmp_path / "lake"), **setting}))
    target(orders((1, "a"), (2, "b"), (3, "c"))).succeeded()
    said = sentences(target(orders((1, "a"), (4, "d"))).succeeded())
    assert said[0].startswith(f"orders: {second}, "), said


def test_the_tap_says_what_it_reads_and_its_last_word_is_the_whole(simulator, pipe):
    job = pipe(simulator(seed=71, medias=3, events=40))
    done = run(*job.tap_command()).succeeded()
    said = sentences(done)
    assert "fact_events: reading" in said
    events = len(done.of_type("RECORD", "fact_events"))
    assert any(re.fullmatch(f"fact_events: {events} records read, \\d+ pages?", line) for line in said), said
    assert re.fullmatch(r"done: [\d,]+ records of 6 streams read, \d+ requests, [\d.]+ s", said[-1]), said
    assert "METRIC" not in done.err and "{" not in done.err


def test_what_a_field_has_stands_in_the_message_too(simulator, pipe):
    """Of both programs, also where things go wrong: whoever shows the message alone leaves nothing out."""
    server = simulator(seed=72, medias=4, events=30)
    server.fault(kind="status", status=500, times=2)
    job = pipe(server, {"streams": {"fact_events": {"on_invalid": "null"}}})
    tap = run(*job.tap_command(), "--log-format", "json").succeeded()
    odd = lines({"type": "SCHEMA", "stream": "s", "schema": {"properties": {"id": {"type": "integer"}}}})
    odd += lines({"type": "RECORD", "stream": "s", "record": {"id": 1, "stranger": 2}}, {"type": "STATE", "value": 1})
    target = run(*job.target_command(), "--log-format", "json", stdin=tap.out + odd).succeeded()
    for line in (tap.err + target.err).splitlines():
        fields = json.loads(line)["fields"]
        message = fields.pop("message").replace(",", "")
        for name, value in fields.items():
            beside = name in ("summary", "bytes", "table", "rows") or value == 0
            assert beside or str(value).replace(",", "") in message, (name, line)


def test_with_a_wrong_token_the_first_number_is_not_a_zero(simulator, pipe):
    job = pipe(simulator(seed=73, medias=2, events=5), api_token="wrong")
    tap = run(*job.tap_command(), "--log-format", "singer")
    target = run(*job.target_command(), "--log-format", "singer", stdin=tap.out).succeeded()
    assert tap.code == 1 and "METRIC" not in tap.err + target.err
    last = json.loads(tap.err.splitlines()[-1])
    assert last["level"] == "error" and "does not accept the token" in last["message"]
    assert tap.err.count("does not accept the token") == 1
    assert messages(target, "singer")[-1].startswith("done: no record has come")


def test_why_a_stream_failed_is_said_once_and_last(simulator, pipe):
    server = simulator(seed=74, medias=2, events=5)
    server.fault(kind="scope", path="stats/events")
    done = run(*pipe(server).tap_command()).refused("fact_events", "Read all data")
    assert "fact_events: cannot be read; the other streams go on" in done.err
    assert done.err.count("the token may not read /stats/events") == 1
    assert done.err.index("ended early: ") < done.err.index("\nerror: ")


def test_a_media_that_is_gone_is_news_once(simulator, pipe):
    """Wistia goes on listing it; three streams ask for it, every night."""
    server = simulator(seed=1, medias=12, events=30)
    job = pipe(server)
    gone = {entry["path"].split("/")[2] for entry in requests_answered(server, job) if entry["missing"]}
    assert len(gone) == 1, "the simulator lists one such media"
    job.state.unlink(missing_ok=True)
    tap, _ = job.sync()
    warned = [line for line in tap.err.splitlines() if '"WARN"' in line and "answered 404" in line]
    assert len(warned) == 1 and gone.pop() in warned[0], warned
    tap, _ = job.sync()
    assert "answered 404" not in tap.err and "is left out, as in the last sync" in tap.err


def requests_answered(server, job):
    """What was asked for single medias, and whether it was there."""
    done = run(*job.tap_command(), *JSON_LOG, env={"TAP_WISTIA_LOGLEVEL": "debug"}).succeeded()
    for line in done.err.splitlines():
        found = re.match(r"GET (/stats/medias/\w+) answered (\d+)", json.loads(line)["fields"]["message"])
        if found:
            yield {"path": found[1][1:], "missing": found[2] == "404"}


def test_waiting_is_no_longer_than_the_run(simulator, pipe):
    """Requests that wait together wait once."""
    job = pipe(simulator(seed=76, medias=8, events=30), requests_per_minute=600)
    summary = run(*job.tap_command(), *JSON_LOG).succeeded().summary
    assert 0 < summary["waited_seconds"] <= summary["seconds"]


# How much is said.


def test_quiet_says_nothing_of_what_goes_well_and_warns_all_the_same(target):
    assert target(orders((1, "a")), "--quiet").succeeded().err == ""
    stranger = orders((1, "a")).replace('"v": "a"', '"w": "a"')
    assert "`w`" in target(stranger, "-q").succeeded().err


def test_the_level_of_the_command_line_wins_over_that_of_the_environment(target):
    assert target(orders((1, "a")), "--log-level", "warning").succeeded().err == ""
    env = {"TARGET_S3_PARQUET_LOGLEVEL": "error"}
    assert target(orders((1, "b")), **env).succeeded().err == ""
    assert "1 replaced" in target(orders((1, "c")), "--log-level", "info", **env).succeeded().err
    refused = target("", "--log-level", "loud")
    assert refused.code == 2 and "debug" in refused.err


# Checks: why not. That they take less than ten seconds is a matter of `lake/src/aws.rs`, and tested there.


def s3_settings(endpoint, **more):
    s3 = {"endpoint_url": endpoint, "region": "us-east-1", "access_key_id": "a", "secret_access_key": "b", **more}
    return {"destination": "s3://nobucket/x", "s3": s3}


def checked(folder, settings, **env):
    """What --check and Airbyte's check say."""
    config = folder / "config.json"
    config.write_text(json.dumps(settings))
    refused = run(TARGET, "--config", config, "--check", env=env).refused()
    verb = run(TARGET, "check", "--config", config, env=env).succeeded()
    status = json.loads(verb.out)["connectionStatus"]
    assert status["status"] == "FAILED"
    for text in (refused.err, status["message"]):
        assert not RUST.search(text), text
    return refused.err, status["message"]


def test_a_check_of_a_server_that_is_not_there_says_so(tmp_path):
    endpoint = f"http://127.0.0.1:{free_port()}"
    for text in checked(tmp_path, s3_settings(endpoint)):
        assert f"{endpoint} does not answer" in text and "refused" in text.lower(), text
        assert "`s3.endpoint_url`" in text


def test_a_check_of_a_server_that_never_answers_ends(tmp_path):
    """TEST-NET-1 (RFC 5737): packets to it go nowhere, or a router says so."""
    for text in checked(tmp_path, s3_settings("http://192.0.2.1:9000")):
        assert "could not write s3://nobucket/x/_lake/check/" in text
        assert len(text.split("s3://nobucket", 1)[1]) > 60, "and why"


def test_a_check_without_a_bucket_says_what_the_run_says(s3, tmp_path):
    for text in checked(tmp_path, s3.settings("s3://nobucket/x")):
        assert "the bucket `nobucket` does not exist; create it or correct `destination`" in text


def test_a_check_without_credentials_says_where_they_may_stand(tmp_path):
    nowhere = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    settings = {"destination": "s3://nobucket/x", "s3": {"region": "us-east-1"}}
    for text in checked(tmp_path, settings, **nowhere):
        assert "there are no AWS credentials" in text and "AWS_ACCESS_KEY_ID" in text
        assert "Attempted" not in text, "a list of classes helps nobody"


def test_a_check_that_succeeds_says_where(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"destination": str(tmp_path / "lake")}))
    assert run(TARGET, "--config", config, "--check").succeeded().out == f"{tmp_path / 'lake'} can be written to\n"


def test_the_source_says_why_its_check_fails(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api_token": "x", "api_url": f"http://127.0.0.1:{free_port()}/v1"}))
    status = json.loads(run(TAP, "check", "--config", config).succeeded().out)["connectionStatus"]
    assert status["status"] == "FAILED" and "refused" in status["message"].lower()
    assert "check the network and `api_url`" in status["message"] and not RUST.search(status["message"])


def test_trying_a_token_answers_with_a_table(simulator, pipe):
    server = simulator(seed=77, medias=3, events=20)
    job = pipe(server)
    server.forget()
    good = run(*job.tap_command(), "--test").succeeded()
    asked = [(entry["path"], entry["query"]) for entry in server.requests()]
    assert asked and len(set(asked)) == len(asked), "nothing is asked twice"
    assert "``" not in good.err and '""' not in good.err
    rows = [line.split() for line in good.out.splitlines()]
    assert rows[0] == ["stream", "may", "be", "read", "what", "to", "do"] and ["fact_events", "yes"] in rows
    server.fault(kind="scope", path="stats/events")
    bad = run(*job.tap_command(), "--test").refused("fact_events")
    row = next(line for line in bad.out.splitlines() if "fact_events" in line)
    assert "no: it wants" in row and "give the token the permission" in row


# Settings and files that are not what they should be.


@pytest.mark.parametrize(
    "settings", [{"compresion": "zstd"}, {"compresion": "zstd", "partition_by": {"colum": "x"}, "destination": "x"}]
)
def test_a_typo_is_named_also_where_something_is_missing(tmp_path, settings):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings))
    run(TARGET, "--config", config).refused("is missing", "`compresion`", "is `compression` meant?")


def test_a_rule_that_the_record_itself_breaks_is_named_as_such(target, tmp_path):
    (tmp_path / "target.json").write_text(
        json.dumps({"destination": str(tmp_path / "lake"), "streams": {"orders": {"validate_records": True}}})
    )
    schema = {**ORDERS, "schema": {**ORDERS["schema"], "required": ["v"]}}
    record = {"type": "RECORD", "stream": "orders", "record": {"id": 1}}
    refused = target(lines(schema, record)).refused("breaks its schema at the record itself", '"v" is a required')
    assert "``" not in refused.err


def test_a_state_that_is_not_there_yet_is_left_out_the_first_time(tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"api_token": "x"}')
    run(TAP, "--config", config, "--state", tmp_path / "none.json").refused("leave --state out the first time", code=2)
