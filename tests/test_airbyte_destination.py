"""The target behind Airbyte's verbs: what is written, what is given back, and what replaces what."""

import json
import signal
import subprocess
import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft7Validator

from harness import DEADLINE, TARGET, environment, until_logged
from lake import files
from test_airbyte_source import assert_form
from verbs import Destination

OURS = {"_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_generation_id", "_airbyte_meta"}
NOW = 1_795_458_926_348


@pytest.fixture
def destination(tmp_path):
    made = Destination(tmp_path, {"destination": str(tmp_path / "lake")})
    made.lake = tmp_path / "lake"
    return made


def schema(**columns):
    return {"type": "object", "properties": columns or {"id": {"type": "integer"}, "v": {"type": ["null", "string"]}}}


def stream(name="s", mode="append", namespace=None, json_schema=None, key="id", generation=1, minimum=0, **more):
    """A configured stream, with every field that there is."""
    return {
        "stream": {
            "name": name,
            "namespace": namespace,
            "json_schema": json_schema or schema(),
            "supported_sync_modes": ["full_refresh", "incremental"],
            "source_defined_cursor": None,
            "default_cursor_field": None,
            "source_defined_primary_key": [[key]] if key else None,
            "is_resumable": None,
            "is_file_based": None,
        },
        "sync_mode": "incremental",
        "destination_sync_mode": mode,
        "cursor_field": None,
        "primary_key": [[key]] if key else None,
        "generation_id": generation,
        "minimum_generation_id": minimum,
        "sync_id": 9,
        "include_files": None,
        "destination_object_name": None,
        **more,
    }


def catalog(*streams):
    return {"streams": list(streams) or [stream()]}


def refresh(generation, minimum, mode="append", **more):
    return catalog(stream(mode=mode, generation=generation, minimum=minimum, **more))


def record(data, name="s", namespace=None, emitted_at=NOW, meta=None):
    body = {"namespace": namespace, "stream": name, "data": data, "emitted_at": emitted_at, "meta": meta}
    return {"type": "RECORD", "record": body}


def rows_of(*ids, v="a", name="s"):
    return [record({"id": number, "v": v}, name) for number in ids]


def state(value, name="s", namespace=None):
    inner = {"stream_descriptor": {"name": name, "namespace": namespace}, "stream_state": {"cursor": value}}
    return {"type": "STATE", "state": {"type": "STREAM", "stream": inner, "sourceStats": {"recordCount": 1.0}}}


def status(word="COMPLETE", name="s", namespace=None):
    inner = {"stream_descriptor": {"name": name, "namespace": namespace}, "status": word}
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1.5, "stream_status": inner}}


def rows(lake, table="s"):
    return [row for path in files(lake, table) for row in pq.ParquetFile(path).read().to_pylist()]


def values(lake, table="s"):
    return sorted((row["id"], row["v"]) for row in rows(lake, table))


def cursors(done):
    return [given["stream"]["stream_state"]["cursor"] for given in done.states()]


def changes(row):
    return [(c["field"], c["change"], c["reason"]) for c in row["_airbyte_meta"]["changes"]]


def test_the_specification_fits_the_forms_and_takes_the_names_of_the_s3_destination(destination, s3):
    spec = destination.spec()
    assert spec["supported_destination_sync_modes"] == ["overwrite", "append", "append_dedup"]
    form = spec["connectionSpecification"]
    assert_form(form)
    assert not {"load_method", "stream_maps", "flattening_enabled"} & set(form["properties"])
    assert form["properties"]["on_invalid"]["default"] == "null"
    for name in ("access_key_id", "secret_access_key"):
        assert (
            form["properties"][name]["airbyte_secret"]
            is form["properties"]["s3"]["properties"][name]["airbyte_secret"]
            is True
        )
    moved = {
        "s3_bucket_name": s3.bucket("moved"),
        "s3_bucket_path": "some/lake",
        "s3_bucket_region": "us-east-1",
        "s3_endpoint": s3.url,
        "access_key_id": "test",
        "secret_access_key": "test",
        "format": {"format_type": "Parquet", "compression_codec": "ZSTD"},
        "s3_path_format": "${NAMESPACE}/${STREAM_NAME}/",
    }
    Draft7Validator(form).validate(moved)
    destination.config = moved
    assert destination.check() == {"status": "SUCCEEDED"}
    assert s3.keys("moved") == [], "a check leaves nothing behind"
    destination.write(catalog(), [*rows_of(1), state(1), status()]).succeeded()
    (key,) = [key for key in s3.keys("moved") if key.endswith(".parquet")]
    assert key.startswith("some/lake/s/")


def test_a_check_writes_and_leaves_nothing(destination, s3, tmp_path):
    assert destination.check() == {"status": "SUCCEEDED"}
    assert not [path for path in destination.lake.rglob("*") if path.is_file()]
    destination.config = s3.settings("s3://there-is-no-such-bucket/x")
    destination.config["s3"]["secret_access_key"] = "very-secret-9c1d"
    done = destination.verb("check").succeeded()
    assert done.status["status"] == "FAILED" and "there-is-no-such-bucket" in done.status["message"]
    assert "9c1d" not in done.out + done.err
    (tmp_path / "file").write_text("x")
    for config, word in [
        ({}, "destination"),
        ({"destination": "gs://x"}, "gs://"),
        ({"destination": str(tmp_path / "file" / "x")}, "file"),
    ]:
        destination.config = config
        assert destination.check()["status"] == "FAILED"
        assert word in destination.check()["message"]
    destination.verb("write", "--catalog", destination.file("catalog", catalog())).failed("file")


def test_rows_carry_the_columns_of_airbyte(destination):
    destination.write(
        catalog(stream(generation=7)),
        [record({"id": 1, "v": "x", "undeclared": 5}), record({"id": 2}, emitted_at=NOW // 1000), state(1), status()],
    ).succeeded()
    first, second = sorted(rows(destination.lake), key=lambda row: row["id"])
    assert set(first) == {"id", "v"} | OURS
    assert first["_airbyte_extracted_at"] == datetime.fromtimestamp(NOW / 1000, UTC)
    # PyAirbyte's cache keeps seconds.
    assert second["_airbyte_extracted_at"] == datetime.fromtimestamp(NOW // 1000, UTC)
    assert first["_airbyte_generation_id"] == 7
    assert first["_airbyte_meta"] == {"sync_id": 9, "changes": []}
    assert uuid.UUID(first["_airbyte_raw_id"]) != uuid.UUID(second["_airbyte_raw_id"])
    destination.config["add_record_metadata"] = False
    destination.write(catalog(stream("plain")), [*rows_of(1, name="plain"), status(name="plain")]).succeeded()
    assert rows(destination.lake, "plain") == [{"id": 1, "v": "a"}]


TYPES = schema(
    id={"type": "integer"},
    whole={"type": ["null", "integer"]},
    number={"type": ["null", "number"]},
    flag={"type": ["null", "boolean"]},
    text={"type": ["null", "string"]},
    day={"type": ["null", "string"], "format": "date"},
    instant={"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    local={"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
    integral={"type": "number", "airbyte_type": "integer"},
    inner={"type": ["null", "object"], "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
    items={"type": ["null", "array"], "items": {"type": "integer"}},
    free={"type": "object"},
    union={"oneOf": [{"type": "integer"}, {"type": "object", "properties": {"x": {"type": "string"}}}]},
    unknown={"type": "whatever"},
)


@pytest.mark.parametrize(
    ("column", "given", "stored", "change"),
    [
        ("whole", "1.000000000", 1, None),
        ("whole", 7.0, 7, None),
        ("whole", 7.5, None, "DESTINATION_SERIALIZATION_ERROR"),
        ("whole", "many", None, "DESTINATION_SERIALIZATION_ERROR"),
        ("whole", 2**63, None, "DESTINATION_FIELD_SIZE_LIMITATION"),
        ("whole", str(-(2**63)), -(2**63), None),
        ("number", "1.500000000", 1.5, None),
        ("number", 1e308, 1e308, None),
        ("number", {"a": 1}, None, "DESTINATION_SERIALIZATION_ERROR"),
        ("flag", "true", True, None),
        ("flag", 1, None, "DESTINATION_SERIALIZATION_ERROR"),
        ("text", 5, "5", None),
        ("text", {"a": [1, 2]}, '{"a":[1,2]}', None),
        ("day", "2026-02-03", date(2026, 2, 3), None),
        ("day", "2026-02-30", None, "DESTINATION_SERIALIZATION_ERROR"),
        ("instant", "2026-02-03T04:05:06+02:00", datetime(2026, 2, 3, 2, 5, 6, tzinfo=UTC), None),
        ("instant", "never", None, "DESTINATION_SERIALIZATION_ERROR"),
        ("local", "2026-02-03 04:05:06", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), None),
        ("integral", 4.0, 4, None),
        ("inner", {"a": 1, "b": "x"}, {"a": 1, "b": "x"}, None),
        ("inner", '{"a": 1, "b": "\\"x\\""}', {"a": 1, "b": '"x"'}, None),
        ("inner", "{broken", None, "DESTINATION_SERIALIZATION_ERROR"),
        ("items", [1, None], [1, None], None),
        ("items", "[1, 2]", [1, 2], None),
        ("items", 5, None, "DESTINATION_SERIALIZATION_ERROR"),
        ("free", {"a": {"b": 1}}, '{"a":{"b":1}}', None),
        ("union", 42, "42", None),
        ("union", {"x": "y"}, '{"x":"y"}', None),
        ("unknown", [1, "a"], '[1,"a"]', None),
        ("whole", None, None, None),
    ],
)
def test_a_value_that_does_not_fit_is_null_and_noted(destination, column, given, stored, change):
    done = destination.write(
        catalog(stream(json_schema=TYPES)), [record({"id": 1, column: given}), state(1), status()]
    ).succeeded()
    (row,) = rows(destination.lake)
    assert row[column] == stored
    assert changes(row) == ([(column, "NULLED", change)] if change else [])
    assert done.states()[0]["destinationStats"] == {"recordCount": 1.0, "rejectedRecordCount": 0.0}


def test_changes_name_nested_fields_and_keep_what_the_source_noted(destination):
    destination.config["max_string_bytes"] = 8
    noted = {"field": "text", "change": "NULLED", "reason": "SOURCE_RETRIEVAL_ERROR"}
    destination.write(
        catalog(stream(json_schema=TYPES)),
        [
            record({"id": 1, "inner": {"a": "x", "b": "fine"}, "items": [1, "y"]}),
            record({"id": 2, "text": None}, meta={"changes": [noted]}),
            record({"id": 3, "text": "far too long for it"}),
            record({"id": 4}, meta={"changes": None}),
            status(),
        ],
    ).succeeded()
    by_id = {row["id"]: row for row in rows(destination.lake)}
    assert by_id[1]["inner"] == {"a": None, "b": "fine"} and by_id[1]["items"] == [1, None]
    serialization = "DESTINATION_SERIALIZATION_ERROR"
    assert changes(by_id[1]) == [("inner.a", "NULLED", serialization), ("items[1]", "NULLED", serialization)]
    assert changes(by_id[2]) == [tuple(noted.values())]
    assert by_id[3]["text"] == "far too " and changes(by_id[3]) == [
        ("text", "TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION")
    ]
    assert changes(by_id[4]) == []


def test_on_invalid_fail_is_still_there(destination):
    destination.config["on_invalid"] = "fail"
    messages = [*rows_of(1), state(1), record({"id": "x"}), state(2), status()]
    done = destination.write(catalog(), messages).failed("line 3", "`id`", kind="config_error")
    assert cursors(done) == [1]
    assert values(destination.lake) == [(1, "a")]


def test_a_record_without_its_key_is_rejected_and_counted(destination):
    messages = [
        record({"id": 1, "v": "a"}),
        record({"v": "b"}),
        record({"id": None}),
        record({"id": "x"}),
        state(1),
        status(),
    ]
    done = destination.write(catalog(stream(mode="append_dedup")), messages).succeeded()
    assert values(destination.lake) == [(1, "a")]
    assert done.states()[0]["destinationStats"] == {"recordCount": 1.0, "rejectedRecordCount": 3.0}


def pyairbyte(kind, **body):
    fields = [
        "log",
        "spec",
        "connectionStatus",
        "catalog",
        "record",
        "state",
        "trace",
        "control",
        "destination_catalog",
    ]
    return json.dumps({"type": kind, **{name: body.get(name) for name in fields}})


def test_everything_that_pyairbyte_sends_is_read(destination):
    body = {
        "namespace": None,
        "stream": "s",
        "data": {"id": 1, "v": "é"},
        "emitted_at": NOW,
        "meta": None,
        "file_reference": None,
    }
    inner = (
        '{"type":"STREAM","stream":{"stream_descriptor":{"name":"s","namespace":null},"stream_state":{"cursor":1.10}},'
        '"global_":null,"data":null,"sourceStats":{"recordCount":1.0,"rejectedRecordCount":null},'
        '"destinationStats":null,"global_":null}'
    )
    line = pyairbyte("STATE").replace('"state": null', f'"state": {inner}')
    lines = [
        pyairbyte("LOG", log={"level": "INFO", "message": "hello", "stack_trace": None}),
        pyairbyte("RECORD", record=body),
        line,
        pyairbyte("TRACE", trace={**status()["trace"], "error": None, "estimate": None, "analytics": None}),
    ]
    done = destination.write(catalog(), "\n".join(lines)).succeeded()
    counts = '"destinationStats":{"recordCount":1.0,"rejectedRecordCount":0.0}'
    assert done.out == line.replace('"destinationStats":null', counts) + "\n"
    assert values(destination.lake) == [(1, "é")]


def test_what_is_no_message_for_a_destination_is_passed_over(destination):
    noise = [
        "",
        "   ",
        "hello from another program",
        "{broken",
        "[1, 2]",
        '"text"',
        "17",
        "{}",
        '{"type":"LOG","log":{"level":"INFO","message":"x"}}',
        '{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG"}}',
        '{"type":"TRACE","trace":{"type":"ESTIMATE","estimate":{"name":"s","type":"STREAM","row_estimate":1}}}',
        '{"type":"TRACE","trace":{"type":"ANALYTICS","analytics":{"type":"a","value":"b"}}}',
        '{"type":"SOMETHING_NEW","x":1}',
    ]
    good = [json.dumps(message) for message in [record({"id": 1, "v": "a"}), state(1), status()]]
    lines = [part for line in good for part in [*noise, line]]
    done = destination.write(catalog(), "\n".join(lines) + "\r\n").succeeded()
    assert values(destination.lake) == [(1, "a")] and cursors(done) == [1]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('{"type":"RECORD","record":{"stream":"s","data":{"id":2', "line 3"),
        ('{"type":"RECORD"}', "`record`"),
        ('{"type":"RECORD","record":{"stream":"s","emitted_at":1}}', "`data`"),
        ('{"type":"RECORD","record":{"data":{},"emitted_at":1}}', "`stream`"),
        ('{"type":"STATE"}', "`state`"),
        ('{"type":"STATE","state":{"type":', "line 3"),
    ],
)
def test_a_broken_record_or_state_ends_the_sync_and_loses_nothing(destination, line, word):
    messages = [*rows_of(1), state(1)]
    lines = [*map(json.dumps, messages), line, json.dumps(rows_of(3)[0]), json.dumps(state(3)), json.dumps(status())]
    done = destination.write(catalog(), "\n".join(lines)).failed(word)
    assert cursors(done) == [1] and values(destination.lake) == [(1, "a")]


def test_the_envelope_may_come_in_any_order(destination):
    lines = [
        '{"record":{"emitted_at":1,"data":{"id":1,"v":"a"},"stream":"s"},"type":"RECORD"}',
        '{"type":"RECORD","record":{"data":{"v":"b","id":2},"namespace":null,"stream":"\\u0073","emitted_at":1}}',
        '{ "type" : "RECORD" , "record" : { "meta":{}, "stream" : "s" , "data" : { "id" : 3 , "v" : "c" } , '
        '"emitted_at" : 1 } }',
        json.dumps(status()),
    ]
    destination.write(catalog(), "\n".join(lines)).succeeded()
    assert values(destination.lake) == [(1, "a"), (2, "b"), (3, "c")]


def test_namespaces_tell_streams_of_one_name_apart(destination):
    streams = [stream(namespace=space) for space in ("one", "two", None)] + [stream("t", namespace="one")]
    messages = []
    for number, space in enumerate(["one", "two", None]):
        first = record({"id": number, "v": "a"}, namespace=space)
        last = record({"id": number + 10, "v": "a"}, namespace=space)
        # Python's models write the namespace behind the data.
        last["record"]["namespace"] = last["record"].pop("namespace")
        messages += [first, last, state(number, namespace=space), status(namespace=space)]
    messages += [
        record({"id": 5, "v": "t"}, "t", "one"),
        record({"id": 6, "v": "t"}, "t", "other"),
        record({"id": 7, "v": "t"}, "t"),
    ]
    messages += [record({"id": 8}, "nobody"), record({"id": 8}, "s", "nobody"), status(name="t", namespace="one")]
    done = destination.write(catalog(*streams), messages).succeeded()
    assert values(destination.lake, "one_s") == [(0, "a"), (10, "a")]
    assert values(destination.lake, "two_s") == [(1, "a"), (11, "a")]
    assert values(destination.lake, "s") == [(2, "a"), (12, "a")]
    assert values(destination.lake, "one_t") == [(5, "t")]
    assert done.err.count("the catalog does not have this stream") == 4


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"streams": []}, "no streams"),
        (catalog(stream(), stream()), "twice"),
        (catalog(stream(mode="update")), "update"),
        (catalog(stream(mode="append_dedup", key=None)), "primary key"),
        (catalog(stream(mode="append_dedup", key="nowhere")), "nowhere"),
        (catalog(stream(mode="append_dedup", cursor_field=["nowhere"])), "nowhere"),
        (refresh(7, 5), "generation 7"),
        ("{", "EOF"),
    ],
)
def test_a_catalog_that_cannot_be_written_is_refused(destination, change, word):
    destination.write(change, [*rows_of(1), status()]).failed(word, kind="config_error")
    assert not files(destination.lake)


def test_streams_without_rows_or_columns_pass(destination):
    bare = {"type": "object"}
    streams = [
        stream("empty"),
        stream("bare", json_schema=bare, key=None),
        stream("none", json_schema={"type": "object", "properties": {}}, key=None),
    ]
    messages = [
        record({"x": 1}, "bare"),
        record({}, "none"),
        *(status(name=name) for name in ("empty", "bare", "none")),
    ]
    destination.write(catalog(*streams), messages).succeeded()
    for table in ("bare", "none"):
        (row,) = rows(destination.lake, table)
        assert set(row) == OURS
    assert not files(destination.lake, "empty")


# What is given back


def test_every_state_comes_back_once_in_order_and_as_it_was(destination):
    messages, states = [], []
    for number in range(50):
        name = "ab"[number % 2]
        messages += rows_of(*range(number * 3, number * 3 + 3), name=name)
        states.append(state(number, name))
        messages.append(states[-1])
    done = destination.write(
        catalog(stream("a"), stream("b")), [*messages, status(name="a"), status(name="b")]
    ).succeeded()
    for name in "ab":
        given = [s for s in done.of_type("STATE") if s["state"]["stream"]["stream_descriptor"]["name"] == name]
        for message in given:
            assert message["state"].pop("destinationStats")["recordCount"] == 3.0
        assert given == [s for s in states if s["state"]["stream"]["stream_descriptor"]["name"] == name]


@pytest.mark.parametrize("key", ["global", "global_"])
def test_a_state_of_all_streams_covers_all(destination, key):
    inner = {
        "shared_state": {"lsn": 1},
        "stream_states": [{"stream_descriptor": {"name": "a"}, "stream_state": {"x": 1}}],
    }
    message = {"type": "STATE", "state": {"type": "GLOBAL", key: inner}}
    text = "".join(
        json.dumps(m) + "\n"
        for m in [*rows_of(1, 2, name="a"), *rows_of(3, name="b"), message, status(name="a"), status(name="b")]
    )
    done = destination.write(catalog(stream("a"), stream("b")), text)
    assert done.code == 0, done.err
    given = json.loads(done.out)["state"]
    assert given.pop("destinationStats") == {"recordCount": 3.0, "rejectedRecordCount": 0.0}
    assert given == message["state"]


def test_states_are_given_back_while_the_sync_goes_on(destination):
    """Each as soon as the rows of its own stream are stored, although another stream is in the middle."""
    destination.config["commit_interval_seconds"] = 0
    command = [str(word) for word in [TARGET, *destination.write_command(catalog(stream("a"), stream("b")))]]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), text=True
    )

    def send(*messages):
        process.stdin.write("".join(json.dumps(m) + "\n" for m in messages))
        process.stdin.flush()

    send(*rows_of(1, name="b"), *rows_of(1, 2, name="a"), state(1, "a"))
    assert json.loads(process.stdout.readline())["state"]["stream"]["stream_descriptor"]["name"] == "a"
    assert values(destination.lake, "a") == [(1, "a"), (2, "a")]
    assert not files(destination.lake, "b"), "rows that no state covers are not shown"
    send(state(1, "b"))
    assert json.loads(process.stdout.readline())["state"]["stream"]["stream_descriptor"]["name"] == "b"
    assert values(destination.lake, "b") == [(1, "a")]
    send(status(name="a"), status(name="b"))
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and out == ""


@pytest.mark.parametrize(
    "end", [[], [status("INCOMPLETE")], [status("RUNNING")]], ids=["none", "incomplete", "running"]
)
@pytest.mark.parametrize(("mode", "minimum"), [("append", 0), ("append_dedup", 0), ("overwrite", 2)])
def test_a_stream_that_does_not_end_keeps_what_exists(destination, mode, minimum, end):
    first = refresh(1, 1 if mode == "overwrite" else 0, mode)
    destination.write(first, [*rows_of(1, v="old"), state(1), status()]).succeeded()
    broken = destination.write(refresh(2, minimum, mode), [*rows_of(2, v="new"), state(2), *rows_of(3, v="new"), *end])
    broken.failed("`s`", kind="transient_error")
    assert cursors(broken) == [2]
    held = values(destination.lake)
    assert (1, "old") in held
    if mode == "append":
        assert held == [(1, "old"), (2, "new")], "what no state covers comes again"
    if mode == "overwrite":
        assert held == [(1, "old")]


def test_rows_without_any_state_are_stored_when_their_stream_is_complete(destination):
    destination.write(catalog(), [*rows_of(1, 2), status()]).succeeded()
    assert values(destination.lake) == [(1, "a"), (2, "a")]


def test_a_signal_gives_back_what_is_covered(destination):
    command = [str(word) for word in [TARGET, *destination.write_command(catalog())]]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    )
    # Of a stream that the catalog does not have the destination warns when it has read all before it.
    messages = [*rows_of(1), state(1), *rows_of(2), *rows_of(3, name="mark")]
    process.stdin.write("".join(json.dumps(m) + "\n" for m in messages))
    process.stdin.flush()
    until_logged(process, "the catalog does not have this stream")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    given, trace = map(json.loads, out.splitlines())
    assert given["state"]["stream"]["stream_state"] == {"cursor": 1}
    assert trace["trace"]["error"]["failure_type"] == "transient_error"
    assert values(destination.lake) == [(1, "a")]


# What replaces what


@pytest.fixture(params=["folder", "s3"])
def lake(request, destination, tmp_path):
    """A destination in a folder or on S3, and how to read its table."""
    if request.param == "folder":
        return destination, lambda: values(destination.lake), lambda: waiting(destination.lake)
    s3 = request.getfixturevalue("s3")
    bucket = s3.bucket(f"lake-{uuid.uuid4().hex[:8]}")
    destination.config = s3.settings(f"s3://{bucket}/x")

    def copy():
        folder = tmp_path / f"copy-{uuid.uuid4().hex}"
        return s3.download(bucket, folder, "x/")

    return destination, lambda: values(copy()), lambda: waiting(copy())


def waiting(folder):
    return [path for path in Path(folder).rglob("*.parquet") if "generations" in path.parts]


def test_appended_generations_stay_side_by_side(lake):
    destination, held, left = lake
    for generation in (1, 1, 2):
        destination.write(refresh(generation, 0), [*rows_of(1, v=str(generation)), state(1), status()]).succeeded()
    assert held() == [(1, "1"), (1, "1"), (1, "2")]


@pytest.mark.parametrize("mode", ["append", "append_dedup", "overwrite"])
def test_a_refresh_replaces_older_generations_when_it_is_complete(lake, mode):
    destination, held, left = lake
    destination.write(refresh(41, 0, mode), [*rows_of(1, 2, v="41"), state(1), status()]).succeeded()
    broken = destination.write(refresh(42, 42, mode), [*rows_of(1, v="42"), state(1), *rows_of(9, v="lost")])
    broken.failed()
    assert cursors(broken) == [1], "its rows are durable, so the source goes on behind them"
    assert held() == [(1, "41"), (2, "41")], "readers see the old rows until the end"
    destination.write(refresh(42, 42, mode), [*rows_of(3, v="42"), state(3), status()]).succeeded()
    assert held() == [(1, "42"), (3, "42")]
    assert not left()
    # The same generation again adds, except where it overwrites.
    destination.write(refresh(42, 42, mode), [*rows_of(4, v="again"), state(4), status()]).succeeded()
    again = [(4, "again")]
    assert held() == (again if mode == "overwrite" else [(1, "42"), (3, "42"), *again])


@pytest.mark.parametrize("mode", ["append", "append_dedup"])
def test_a_refresh_that_was_given_up_adds_its_rows(lake, mode):
    destination, held, left = lake
    destination.write(refresh(41, 0, mode), [*rows_of(1, v="41"), state(1), status()]).succeeded()
    destination.write(refresh(42, 42, mode), [*rows_of(2, v="42"), state(2)]).failed()
    destination.write(refresh(43, 0, mode), [*rows_of(3, v="43"), state(3), status()]).succeeded()
    assert held() == [(1, "41"), (2, "42"), (3, "43")]
    assert not left()


def test_the_catalog_has_the_partitions_of_every_generation_that_is_in_the_table(destination, s3):
    name = "generations"
    catalog = {"type": "glue", "database": name, "endpoint_url": s3.url}
    streams = [{"name": "s", "partition_by": {"column": "v"}}]
    destination.config = {**s3.settings(f"s3://{s3.bucket(name)}/x"), "catalog": catalog, "streams": streams}

    def partitions():
        found = s3.glue.get_partitions(DatabaseName=name, TableName="s")["Partitions"]
        return {partition["Values"][0] for partition in found}

    destination.write(refresh(41, 0), [*rows_of(1, v="a"), state(1), status()]).succeeded()
    destination.write(refresh(42, 42), [*rows_of(2, v="b"), state(2)]).failed()
    assert partitions() == {"a"}
    destination.write(refresh(43, 0), [*rows_of(3, v="c"), state(3), status()]).succeeded()
    assert partitions() == {"a", "b", "c"}
    destination.write(refresh(44, 44), [*rows_of(4, v="d"), state(4), status()]).succeeded()
    assert partitions() == {"d"}


def test_a_refresh_of_a_new_table_that_breaks_off_goes_on(lake):
    destination, held, left = lake
    destination.write(refresh(42, 42, "overwrite"), [*rows_of(1), state(1)]).failed()
    destination.write(refresh(42, 42, "overwrite"), [*rows_of(2), state(2), status()]).succeeded()
    assert held() == [(1, "a"), (2, "a")]
    destination.write(refresh(43, 43, "overwrite"), [*rows_of(3), state(3), status()]).succeeded()
    assert held() == [(3, "a")]


def test_a_newer_refresh_takes_the_place_of_one_that_broke_off(lake):
    destination, held, left = lake
    destination.write(refresh(41, 0), [*rows_of(1), state(1), status()]).succeeded()
    destination.write(refresh(42, 42), [*rows_of(2), state(2)]).failed()
    destination.write(refresh(43, 43), [*rows_of(3), state(3), status()]).succeeded()
    assert held() == [(3, "a")] and not left()


def test_an_empty_refresh_empties_the_table(lake):
    destination, held, left = lake
    destination.write(refresh(1, 1, "overwrite"), [*rows_of(1), state(1), status()]).succeeded()
    destination.write(refresh(2, 2, "overwrite"), [state(2), status()]).succeeded()
    assert held() == []


def test_pyairbyte_replaces_with_the_same_numbers_every_time(lake):
    destination, held, left = lake
    for number in (1, 2, 3):
        destination.write(refresh(1, 1, "overwrite"), [*rows_of(number), state(number), status()]).succeeded()
        assert held() == [(number, "a")]
    for number in (4, 5):
        destination.write(refresh(1, 1, "append"), [*rows_of(number), state(number), status()]).succeeded()
    assert held() == [(3, "a"), (4, "a"), (5, "a")]


def test_without_generations_overwrite_replaces_and_append_adds(lake):
    destination, held, left = lake
    for number in (1, 2):
        destination.write(refresh(None, None, "overwrite"), [*rows_of(number), state(number), status()]).succeeded()
        assert held() == [(number, "a")]
    destination.write(refresh(None, None, "overwrite"), [*rows_of(8), state(8)]).failed()
    destination.write(refresh(None, None, "overwrite"), [*rows_of(3), state(3), status()]).succeeded()
    assert held() == [(3, "a")] and not left()
    destination.write(refresh(None, None, "append"), [*rows_of(4), state(4), status()]).succeeded()
    assert held() == [(3, "a"), (4, "a")]


def test_dedup_keeps_the_newest_row_of_each_key(lake):
    destination, held, left = lake
    config = refresh(1, 0, "append_dedup")
    destination.write(config, [*rows_of(1, 2, v="a"), *rows_of(2, v="b"), state(1), status()]).succeeded()
    assert held() == [(1, "a"), (2, "b")]
    destination.write(config, [*rows_of(2, 3, v="c"), state(2), status()]).succeeded()
    assert held() == [(1, "a"), (2, "c"), (3, "c")]
    # The order of the rows counts behind a break too.
    destination.write(
        refresh(2, 2, "append_dedup"), [*rows_of(5, v="x"), state(1), *rows_of(6, v="x"), state(2)]
    ).failed()
    destination.write(refresh(2, 2, "append_dedup"), [*rows_of(6, v="y"), state(3), status()]).succeeded()
    assert held() == [(5, "x"), (6, "y")]


def test_overwrite_may_change_types_and_partitions(destination):
    destination.write(refresh(1, 1, "overwrite"), [*rows_of(1), status()]).succeeded()
    other = schema(id={"type": "string"}, v={"type": "string"})
    destination.write(refresh(1, 0, "append", json_schema=other), [record({"id": "x", "v": "a"}), status()]).failed(
        "`id`"
    )
    destination.config["streams"] = [{"name": "s", "partition_by": {"column": "v"}}]
    destination.write(
        refresh(2, 2, "overwrite", json_schema=other), [record({"id": "x", "v": "a"}), state(1), status()]
    ).succeeded()
    (path,) = files(destination.lake, "s")
    assert path.parent.name == "p_v=a"
    assert values(destination.lake) == [("x", "a")]


def test_new_columns_come_in_and_old_ones_stay(destination):
    destination.write(catalog(), [*rows_of(1), status()]).succeeded()
    more = schema(id={"type": "integer"}, w={"type": "string"})
    destination.write(catalog(stream(json_schema=more)), [record({"id": 2, "w": "new"}), status()]).succeeded()
    by_id = {row["id"]: row for row in rows(destination.lake)}
    assert by_id[2]["w"] == "new" and by_id[2]["v"] is None


def test_kills_in_a_refresh_lose_nothing_and_double_nothing(destination):
    """A source that goes on behind the last state that was given back, as Airbyte's platform does."""
    destination.config["commit_interval_seconds"] = 0
    destination.write(refresh(41, 0), [*rows_of(*range(5), v="old"), state(0), status()]).succeeded()
    total, at = 150, 0
    command = [str(word) for word in [TARGET, *destination.write_command(refresh(42, 42))]]
    for attempt in range(40):
        kill = attempt < 6
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            text=True,
        )
        lines = [line for number in range(at, total) for line in (rows_of(number, v="new")[0], state(number + 1))]
        text = "".join(json.dumps(line) + "\n" for line in [*lines, status()])
        if kill:
            process.stdin.write(text[: len(text) * (attempt + 1) // 10])
            process.stdin.flush()
            line = process.stdout.readline()
            for _ in range(attempt * 3):
                line = process.stdout.readline() or line
            process.kill()
            out = line + process.stdout.read()
            assert process.wait(DEADLINE) == -signal.SIGKILL
        else:
            out, _ = process.communicate(text, timeout=120)
        given = [
            json.loads(line)["state"]["stream"]["stream_state"]["cursor"]
            for line in out.splitlines()
            if line.endswith("}")
        ]
        at = max([at, *given])
        if not kill:
            assert process.returncode == 0
            break
        assert values(destination.lake) == [(number, "old") for number in range(5)]
    assert values(destination.lake) == [(number, "new") for number in range(total)]
    assert not waiting(destination.lake)


def test_rows_that_wait_stay_within_the_memory(destination):
    """Keyed rows of a refresh are merged from their files, larger than the memory for them."""
    destination.config["memory_mb"] = 32
    destination.config["commit_interval_seconds"] = 0
    destination.write(refresh(1, 0, "append_dedup"), [*rows_of(1), state(1), status()]).succeeded()
    wide = "x" * 4000

    def messages():
        for number in range(12_000):
            yield json.dumps(record({"id": number % 9000, "v": f"{number:05}{wide}"}))
            if number % 4000 == 3999:
                yield json.dumps(state(number))
        yield json.dumps(status())

    destination.write(refresh(2, 2, "append_dedup"), "\n".join(messages())).succeeded()
    held = {row["id"]: int(row["v"][:5]) for row in rows(destination.lake)}
    assert held == {number: number + 9000 if number < 3000 else number for number in range(9000)}
