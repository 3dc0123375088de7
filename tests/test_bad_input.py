"""Bad input ends in one clear sentence with its place and its remedy, and harms nothing."""

import json
import os
import sys

import pytest

from harness import TAP, TARGET, TOKEN, lines, run
from test_hostile_answers import MEASURED

SCHEMA = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}},
}
RECORD = {"type": "RECORD", "stream": "users", "record": {"id": 1}}
STATE = {"type": "STATE", "value": {"bookmarks": {"users": 1}}}


@pytest.fixture
def tap(tmp_path, simulator):
    """Runs the tap with the given settings and files."""

    def start(settings=None, env=None, **files):
        server = simulator(seed=20, medias=2, events=5)
        config = server.settings(retry_for_seconds=1) if settings is None else settings
        if isinstance(config, dict):
            config = json.dumps({"api_url": server.url, **config})
        (tmp_path / "tap.json").write_text(config)
        flags = ["--config", tmp_path / "tap.json"]
        for name, content in files.items():
            (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
            flags += [f"--{name}", tmp_path / name]
        return run(TAP, *flags, env=env)

    return start


@pytest.fixture
def target(tmp_path):
    """Runs the target on messages, into an empty lake unless told otherwise."""

    def start(stdin, **settings):
        config = {"destination": str(tmp_path / "lake"), **settings}
        (tmp_path / "target.json").write_text(json.dumps(config))
        return run(TARGET, "--config", tmp_path / "target.json", "--state-out", tmp_path / "state.json", stdin=stdin)

    return start


def is_empty(folder):
    return not list(folder.rglob("*.parquet"))


def test_no_token(tap):
    done = tap({}).refused("api_token", "TAP_WISTIA_API_TOKEN")
    assert done.out == ""


def test_no_settings_at_all():
    run(TAP).refused("api_token", "--config")
    run(TARGET).refused("destination", "--config")


def test_a_wrong_token(tap):
    done = tap({"api_token": "another-token"}).refused("Wistia does not accept the token", "401", "API Access")
    assert "another-token" not in done.out + done.err


def test_a_token_with_a_line_break(tap):
    done = tap({"api_token": f"{TOKEN}\n"}).refused("api_token")
    assert done.out == ""


def test_a_setting_of_the_wrong_type(tap, target):
    tap({"api_token": TOKEN, "concurrency": "many"}).refused("tap.json", "concurrency")
    target("", row_group_mb=[1]).refused("target.json", "row_group_mb")


def test_an_unknown_setting_is_named_and_ignored(tap, target):
    done = tap({"api_token": TOKEN, "concurency": 3}).succeeded()
    assert "concurency" in done.err
    done = target("", partition="x").succeeded()
    assert "partition" in done.err


def test_a_settings_file_that_is_no_json(tap):
    tap("api_token: abc").refused("tap.json", "line 1")


def test_a_settings_file_that_is_not_there(tmp_path):
    run(TAP, "--config", tmp_path / "none.json").refused("none.json", code=2)
    run(TARGET, "--config", tmp_path / "none.json").refused("none.json", code=2)


def test_an_unknown_flag():
    done = run(TAP, "--speed", "9")
    assert done.code == 2 and "--speed" in done.err
    done = run(TARGET, "--speed", "9")
    assert done.code == 2 and "--speed" in done.err


def test_a_catalog_with_an_unknown_stream(tap):
    catalog = {"streams": [{"tap_stream_id": "dim_moons", "stream": "dim_moons", "schema": {}, "metadata": []}]}
    tap(catalog=catalog).refused("dim_moons", "--discover")


def test_a_catalog_that_is_cut_off(tap):
    tap(catalog='{"streams": [').refused("catalog", "line 1")


@pytest.mark.parametrize(
    "state",
    [
        '{"bookmarks": {',
        "[1]",
        '{"value": {}}',
        '{"bookmarks": {"fact_events": {"day": "soon"}}}',
        '{"bookmarks": {"fact_moons": {"day": "2026-01-01"}}}',
    ],
)
def test_a_damaged_state_stops_the_tap_before_it_reads_anything(tap, state):
    done = tap(state=state).refused("state")
    assert done.out == ""


def test_an_empty_state_file_is_no_state(tap):
    tap(state="").succeeded()


def test_dates_that_cannot_be(tap):
    tap({"api_token": TOKEN, "start_date": "2026-13-01"}).refused("start_date", "YYYY-MM-DD")
    tap({"api_token": TOKEN, "start_date": "2026-02-01", "end_date": "2026-01-01"}).refused("start_date")


def test_a_line_that_is_no_json(target, tmp_path):
    done = target(lines(SCHEMA, RECORD, STATE) + "Traceback (most recent call last):\n" + lines(STATE))
    done.refused("line 4")
    # What a STATE covered before is safe, and only that is said.
    assert [json.loads(line) for line in done.out.splitlines()] == [STATE["value"]]
    assert not is_empty(tmp_path / "lake")


def test_a_cut_off_line(target, tmp_path):
    done = target(lines(SCHEMA, RECORD) + '{"type": "RECORD", "stream": "us').refused("line 3")
    assert done.out == ""


def test_a_record_before_its_schema(target, tmp_path):
    done = target(lines(RECORD, STATE)).refused("line 1", "users", "SCHEMA")
    assert done.out == "" and is_empty(tmp_path / "lake")


def test_a_record_without_its_key(target, tmp_path):
    done = target(lines(SCHEMA, {**RECORD, "record": {"at": None}}, STATE)).refused("line 2", "users", "id")
    assert done.out == "" and is_empty(tmp_path / "lake")


def test_a_value_that_does_not_fit(target, tmp_path):
    record = {**RECORD, "record": {"id": 1, "at": "yesterday"}}
    done = target(lines(SCHEMA, record, STATE)).refused("line 2", "users", "at", "yesterday")
    assert done.out == "" and is_empty(tmp_path / "lake")


def test_a_message_of_an_unknown_type_is_named_and_ignored(target):
    done = target(lines({"type": "RECRD"}, STATE)).succeeded()
    assert "line 1" in done.err and "RECRD" in done.err
    assert [json.loads(line) for line in done.out.splitlines()] == [STATE["value"]]


def test_a_message_without_a_type(target):
    target(lines({"stream": "users"})).refused("line 1", "type")


def test_a_schema_without_its_key_column(target):
    schema = {**SCHEMA, "key_properties": ["uuid"]}
    target(lines(schema)).refused("line 1", "users", "uuid")


def test_a_bucket_that_does_not_exist(target, s3):
    settings = s3.settings("s3://no-such-bucket/lake")
    done = target(lines(SCHEMA, RECORD, STATE), **settings).refused("no-such-bucket")
    assert done.out == ""


def test_a_server_that_does_not_answer(target, s3):
    settings = s3.settings("s3://bucket/lake")
    settings["s3"]["endpoint_url"] = "http://127.0.0.1:9"
    settings["s3"]["operation_timeout_seconds"] = 5
    done = target(lines(SCHEMA, RECORD, STATE), **settings).refused("s3://bucket")
    assert done.out == ""


def test_a_folder_that_cannot_be_written(target, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = target(lines(SCHEMA, RECORD, STATE), destination=str(tmp_path / "file" / "lake"))
    done.refused(str(tmp_path / "file"))
    assert done.out == ""


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs /proc, a folder that nobody may write to")
def test_a_folder_without_permission(target):
    target(lines(SCHEMA, RECORD, STATE), destination="/proc/lake").refused("/proc/lake")


def test_a_column_whose_type_changes_for_good(target, tmp_path):
    target(lines(SCHEMA, RECORD, STATE)).succeeded()
    before = sorted(path.read_bytes() for path in (tmp_path / "lake").rglob("*.parquet"))
    other = json.loads(json.dumps(SCHEMA))
    other["schema"]["properties"]["at"] = {"type": "array", "items": {"type": "integer"}}
    target(lines(other, {**RECORD, "record": {"id": 2, "at": [1]}}, STATE)).refused("users", "at")
    assert before == sorted(path.read_bytes() for path in (tmp_path / "lake").rglob("*.parquet"))


def nested(levels, width, branch=None):
    """A schema of a few kilobytes for `width ** levels` columns."""
    definitions = {f"d{levels}": {"type": "integer"}}
    for at in range(levels):
        following = {"$ref": f"#/definitions/d{at + 1}"}
        if branch:
            definitions[f"d{at}"] = {branch: [following] * width}
        else:
            definitions[f"d{at}"] = {"type": "object", "properties": {f"p{n}": following for n in range(width)}}
    properties = {"id": {"type": "integer"}, "x": {"$ref": "#/definitions/d0"}}
    return {**SCHEMA, "schema": {"properties": properties, "definitions": definitions}}


@pytest.mark.parametrize("settings", [{}, {"flattening_enabled": True}, {"stream_maps": {"users": {"y": "id"}}}])
@pytest.mark.parametrize("schema", [nested(9, 8), nested(40, 2), nested(9, 8, "anyOf"), nested(30, 3, "allOf")])
def test_a_small_schema_of_millions_of_columns(tmp_path, schema, settings):
    assert len(json.dumps(schema)) < 6000
    config = {"destination": str(tmp_path / "lake"), **settings}
    (tmp_path / "target.json").write_text(json.dumps(config))
    command = [TARGET, "--config", tmp_path / "target.json"]
    messages = lines({**SCHEMA, "stream": "others"}, schema, RECORD, STATE)
    done = run(sys.executable, "-S", "-c", MEASURED, tmp_path / "memory", *command, stdin=messages)
    done.refused("line 2", "users", "$ref", "more than 10", "leave some of its properties out")
    assert done.out == "" and is_empty(tmp_path / "lake")
    # What ran without a limit took gigabytes.
    assert int((tmp_path / "memory").read_text()) < 400_000


def test_a_wide_stream_is_no_attack(target, tmp_path):
    wide = {f"c{at}": {"type": ["null", "string"], "description": "A column. " * 20} for at in range(1600)}
    schema = {**SCHEMA, "schema": {"properties": {"id": {"type": "integer"}, **wide}}}
    target(lines(schema, RECORD, STATE)).succeeded()
    assert not is_empty(tmp_path / "lake")


def test_less_memory_than_the_columns_take_is_refused_before_anything_is_written(target, tmp_path):
    wide = {f"c{at}": {"type": ["null", "string"]} for at in range(4999)}
    schema = {**SCHEMA, "schema": {"properties": {"id": {"type": "integer"}, **wide}}}
    messages = lines(schema, RECORD, STATE)
    target(messages, memory_mb=64).refused("`memory_mb` is 64", "5000 columns", "about 2", "set `memory_mb`")
    assert is_empty(tmp_path / "lake")
    target(messages).succeeded()


def test_the_tap_ends_quietly_when_the_target_does(tap, tmp_path, simulator):
    server = simulator(seed=21)
    (tmp_path / "tap.json").write_text(json.dumps(server.settings()))
    command = f"'{TAP}' --config '{tmp_path}/tap.json' | head -1"
    done = run("bash", "-c", f"set -o pipefail; {command}")
    assert done.code != 0 and "panicked" not in done.err and "error:" not in done.err
