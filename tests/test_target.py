"""The target: exact types from the schema alone, exact values, and clear words where that cannot be."""

import datetime
import decimal
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import JSON_LOG, TARGET, lines, run
from lake import array, files

UTC = pa.timestamp("us", tz="UTC")
JSON = pa.string()

# One line for each construct: the schema of a property, and the type of its column.
TYPES = {
    "integer": ({"type": "integer"}, pa.int64()),
    "nullable": ({"type": ["null", "integer"]}, pa.int64()),
    "small": ({"type": "integer", "minimum": 0, "maximum": 100}, pa.int32()),
    "long": ({"type": "integer", "minimum": -(2**53), "maximum": 2**53}, pa.int64()),
    "number": ({"type": ["number", "null"]}, pa.float64()),
    "money": ({"type": "number", "multipleOf": 0.01}, pa.decimal128(38, 2)),
    "singer_decimal": ({"type": ["null", "string"], "format": "singer.decimal"}, pa.decimal128(38, 9)),
    "boolean": ({"type": "boolean"}, pa.bool_()),
    "text": ({"type": "string"}, pa.string()),
    "uuid": ({"type": "string", "format": "uuid"}, pa.string()),
    "date": ({"type": ["null", "string"], "format": "date"}, pa.date32()),
    "instant": ({"type": "string", "format": "date-time"}, UTC),
    "time": ({"type": "string", "format": "time"}, pa.string()),
    "any_of": ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, UTC),
    "one_of": ({"oneOf": [{"type": "null"}, {"type": "integer"}]}, pa.int64()),
    "either_number": ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, pa.float64()),
    "date_or_text": ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]}, pa.string()),
    "referenced": ({"$ref": "#/$defs/point"}, pa.struct([("x", pa.float64()), ("y", pa.float64())])),
    "tree": ({"$ref": "#/$defs/node"}, pa.struct([("name", pa.string()), ("children", array(JSON))])),
    "object": (
        {"type": "object", "properties": {"a": {"type": "integer"}, "B c": {"type": "string"}}},
        pa.struct([("a", pa.int64()), ("b_c", pa.string())]),
    ),
    "map": ({"type": "object", "additionalProperties": {"type": "string"}}, JSON),
    "patterned": ({"type": "object", "patternProperties": {"^x": {"type": "integer"}}}, JSON),
    "empty_object": ({"type": "object", "properties": {}}, JSON),
    "list": ({"type": "array", "items": {"type": "integer"}}, array(pa.int64())),
    "list_of_lists": (
        {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        array(array(pa.string())),
    ),
    "list_of_objects": (
        {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "number"}}}},
        array(pa.struct([("n", pa.float64())])),
    ),
    "list_of_anything": ({"type": "array"}, array(JSON)),
    "untyped": ({}, JSON),
    "mixed": ({"type": ["string", "integer", "object"]}, JSON),
    "enumerated": ({"enum": ["a", "b", None]}, pa.string()),
    "enumerated_numbers": ({"enum": [1, 2]}, pa.int64()),
    "constant": ({"const": 1.5}, pa.float64()),
    "only_null": ({"type": "null"}, JSON),
}
SCHEMA = {
    "$defs": {
        "point": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}},
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
        },
    },
    "properties": {name: schema for name, (schema, _) in TYPES.items()},
}


@pytest.fixture
def load(tmp_path):
    """Runs the target on messages; gives the run."""

    def start(messages, **settings):
        config = {"destination": str(tmp_path / "lake"), **settings}
        (tmp_path / "t.json").write_text(json.dumps(config))
        stdin = messages if isinstance(messages, (str, bytes)) else lines(*messages)
        return run(TARGET, "--config", tmp_path / "t.json", *JSON_LOG, stdin=stdin)

    return start


@pytest.fixture
def rows(tmp_path):
    """The rows of a table in the lake."""

    def read(table="s"):
        found = [row for path in files(tmp_path / "lake", table) for row in pq.ParquetFile(path).read().to_pylist()]
        return sorted(found, key=lambda row: str(row.get("id", row)))

    return read


def schema(properties, keys=("id",), stream="s"):
    return {"type": "SCHEMA", "stream": stream, "key_properties": list(keys), "schema": {"properties": properties}}


def record(stream="s", **values):
    return {"type": "RECORD", "stream": stream, "record": values}


def state(value=1):
    return {"type": "STATE", "value": {"bookmarks": value}}


ID = {"id": {"type": "integer"}}


def test_every_construct_has_its_type_whatever_the_values(load, tmp_path):
    expected = pa.schema([(name, kind) for name, (_, kind) in TYPES.items()])
    values = [
        {},
        dict.fromkeys(TYPES),
        {"list": [], "list_of_objects": [], "object": {}, "map": {}, "list_of_lists": [[], None]},
        {
            "integer": 1,
            "list": [1, None],
            "object": {"a": 1},
            "list_of_objects": [{"n": 1}, None, {}],
            "untyped": [1, {"a": None}],
        },
    ]
    for value in values:
        load(
            [{"type": "SCHEMA", "stream": "s", "key_properties": [], "schema": SCHEMA}, record(**value), state()]
        ).succeeded()
    paths = files(tmp_path / "lake", "s")
    assert len(paths) == len(values)
    for path in paths:
        found = pq.read_schema(path)
        for name in expected.names:
            assert found.field(name).type == expected.field(name).type, name
        assert found.equals(expected)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ({"type": "integer"}, "1.0", 1),
        ({"type": "integer"}, "-9223372036854775808", -(2**63)),
        ({"type": "integer"}, "1e3", 1000),
        ({"type": "number"}, "1", 1.0),
        ({"type": "number"}, "0.1", 0.1),
        ({"type": "number"}, "1.7976931348623157e308", 1.7976931348623157e308),
        ({"type": "number"}, "-0.0", -0.0),
        ({"type": "number", "multipleOf": 0.01}, "12.34", decimal.Decimal("12.34")),
        ({"type": "string", "format": "singer.decimal"}, '"123.456"', decimal.Decimal("123.456")),
        ({"type": "boolean"}, "true", True),
        ({"type": "string"}, r'"aé\u00e9\ud83d\ude00\n"', "aéé😀\n"),
        ({"type": "string"}, '""', ""),
        ({"type": "string", "format": "date"}, '"2024-02-29"', datetime.date(2024, 2, 29)),
        ({"type": "string", "format": "date"}, '"2024-02-29T00:00:00Z"', datetime.date(2024, 2, 29)),
        ({}, '{"b": 1, "a": [null, 2.50]}', '{"b":1,"a":[null,2.50]}'),
        ({"type": "array", "items": {"type": "string"}}, '["a",null]', ["a", None]),
    ],
)
def test_values_come_back_as_they_were(load, rows, kind, text, value):
    message = '{"type":"RECORD","stream":"s","record":{"id":1,"v":%s}}\n' % text
    load(lines(schema({**ID, "v": kind})) + message + lines(state())).succeeded()
    (row,) = rows()
    assert row["v"] == value
    assert type(row["v"]) is type(value)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09+00:00"),
        ("2024-05-06 07:08:09", "2024-05-06T07:08:09+00:00"),
        ("2024-05-06T07:08:09.123456789+02:00", "2024-05-06T05:08:09.123456+00:00"),
        ("2024-05-06T07:08:09.5-0330", "2024-05-06T10:38:09.500000+00:00"),
        ("2024-05-06T07:08+01", "2024-05-06T06:08:00+00:00"),
        ("2024-05-06", "2024-05-06T00:00:00+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_times_of_every_form_become_utc(load, rows, text, instant):
    load([schema({**ID, "v": {"type": "string", "format": "date-time"}}), record(id=1, v=text), state()]).succeeded()
    assert rows()[0]["v"].isoformat() == instant


BAD = {
    "too large": ({"type": "integer"}, "9223372036854775808"),
    "fraction": ({"type": "integer"}, "1.5"),
    "text for integer": ({"type": "integer"}, '"abc"'),
    "NaN": ({"type": "number"}, "NaN"),
    "Infinity": ({"type": "number"}, "-Infinity"),
    "too large a double": ({"type": "number"}, "1e999"),
    "object for text": ({"type": "string"}, '{"a":1}'),
    "no date": ({"type": "string", "format": "date"}, '"2024-02-30"'),
    "year out of range": ({"type": "string", "format": "date-time"}, '"99999-01-01T00:00:00Z"'),
    "beyond int": ({"type": "integer", "minimum": 0, "maximum": 10}, "4294967296"),
    "too many digits": ({"type": "number", "multipleOf": 0.01}, "1e40"),
    "list for object": ({"type": "object", "properties": {"a": {"type": "integer"}}}, "[1]"),
}


@pytest.mark.parametrize(("kind", "text"), BAD.values(), ids=BAD.keys())
def test_values_that_do_not_fit(load, rows, kind, text):
    message = '{"type":"RECORD","stream":"s","record":{"id":1,"v":%s}}\n' % text
    stdin = lines(schema({**ID, "v": kind})) + message + lines(state())
    load(stdin).refused("line 2", "`s`", "`v`", text.strip('"')[:8])
    done = load(stdin, on_invalid="null").succeeded()
    assert rows() == [{"id": 1, "v": None}]
    assert done.summary["streams"]["s"]["invalid"] == {"v": 1}


def test_strings_with_numbers_fit_number_columns_where_nulls_would_be(load, rows):
    message = [
        schema({**ID, "n": {"type": "integer"}, "d": {"type": "number"}}),
        record(id=1, n="12", d="1.5"),
        state(),
    ]
    load(message).refused("line 2", "`n`")
    load(message, on_invalid="null").succeeded()
    assert rows() == [{"id": 1, "n": None, "d": None}]


def test_unknown_missing_and_double_keys(load, rows):
    text = '{"type":"RECORD","stream":"s","record":{"id":1,"a":"old","x":{"y":[1]},"a":"new"}}\n'
    done = load(
        lines(schema({**ID, "a": {"type": "string"}, "b": {"type": "string"}})) + text + lines(state())
    ).succeeded()
    assert rows() == [{"id": 1, "a": "new", "b": None}]
    assert done.summary["streams"]["s"]["unknown"] == {"x": 1}


def test_lone_surrogates_are_replaced_and_counted(load, rows):
    text = '{"type":"RECORD","stream":"s","record":{"id":1,"a":"x\\ud800y"}}\n'
    done = load(lines(schema({**ID, "a": {"type": "string"}})) + text + lines(state())).succeeded()
    assert rows()[0]["a"] == "x\ufffdy"
    assert done.summary["streams"]["s"]["replaced"] == 1


def test_long_strings_are_cut_at_a_character(load, rows):
    done = load(
        [schema({**ID, "a": {"type": "string"}}), record(id=1, a="é" * 10), state()], max_string_bytes=7
    ).succeeded()
    assert rows()[0]["a"] == "é" * 3
    assert done.summary["streams"]["s"]["cut"] == 1


def test_validation_says_which_rule_failed(load):
    kind = {"type": "string", "pattern": "^[a-z]+$"}
    load([schema({**ID, "a": kind}), record(id=1, a="ok"), state()], validate_records=True).succeeded()
    done = load([schema({**ID, "a": kind}), record(id=1, a="NO"), state()], validate_records=True)
    done.refused("line 2", "`s`", "a", "^[a-z]+$")


def test_new_columns_come_last_and_old_ones_stay(load, rows, tmp_path):
    load([schema({**ID, "a": {"type": "integer"}}), record(id=1, a=1), state()]).succeeded()
    load([schema({"b": {"type": "string"}, **ID}), record(id=2, b="x"), state()]).succeeded()
    assert rows() == [{"id": 1, "a": 1, "b": None}, {"id": 2, "a": None, "b": "x"}]
    assert pq.read_schema(files(tmp_path / "lake", "s")[0]).names == ["id", "a", "b"]


def test_columns_widen_within_a_run_and_between_runs(load, rows, tmp_path):
    small, large = {"type": "integer", "minimum": 0, "maximum": 9}, {"type": "integer"}
    partition = {"partition_by": {"column": "p"}}
    p = {"p": {"type": "string"}}
    load(
        [schema({**ID, **p, "v": small}), record(id=1, p="a", v=1), record(id=2, p="b", v=2), state()], **partition
    ).succeeded()
    messages = [
        schema({**ID, **p, "v": large}),
        record(id=3, p="a", v=2**40),
        schema({**ID, **p, "v": {"type": "number"}}),
        record(id=4, p="c", v=0.5),
        state(),
    ]
    load(messages, **partition).succeeded()
    assert [row["v"] for row in rows()] == [1.0, 2.0, float(2**40), 0.5]
    types = {str(pq.read_schema(path).field("v").type) for path in files(tmp_path / "lake", "s")}
    assert types == {"double"}, "files of all partitions have one type"


def test_names_are_folded_the_same_way_each_time(load, tmp_path):
    properties = {
        "ID": {"type": "integer"},
        "User Name": {"type": "string"},
        "user_name": {"type": "string"},
        "Ünï": {"type": "string"},
    }
    properties["_" + "x" * 200] = {"type": "string"}
    names = []
    for _ in range(2):
        message = schema(properties, keys=["ID"], stream="My Stream-1")
        load([message, record("My Stream-1", **{"ID": 1, "User Name": "a", "user_name": "b"}), state()]).succeeded()
        (path,) = files(tmp_path / "lake", "my_stream_1")
        names.append(pq.read_schema(path).names)
        (row,) = pq.read_table(path, partitioning=None).to_pylist()
        assert row["user_name"] == "b" and "a" in row.values()
    assert names[0] == names[1] and len(set(names[0])) == 5
    for name in names[0]:
        assert len(name) <= 127 and name.replace("_", "").isalnum() and name == name.lower()


def test_record_metadata_as_the_sdk_has_it(load, rows):
    message = {**record(id=1), "time_extracted": "2024-05-06T07:08:09Z", "version": 7}
    load([schema(ID), message, state()], add_record_metadata=True).succeeded()
    (row,) = rows()
    assert set(row) == {
        "id",
        *(
            f"_sdc_{name}"
            for name in (
                "extracted_at",
                "received_at",
                "batched_at",
                "deleted_at",
                "sequence",
                "table_version",
                "sync_started_at",
            )
        ),
    }
    assert row["_sdc_extracted_at"].isoformat() == "2024-05-06T07:08:09+00:00"
    assert row["_sdc_table_version"] == 7 and row["_sdc_deleted_at"] is None
    assert row["_sdc_received_at"] <= row["_sdc_batched_at"]
    assert row["_sdc_sequence"] > 1_700_000_000_000


def test_keys_are_never_cut(load, rows):
    text = {"type": "string"}
    messages = [
        schema({"id": text, "a": text}),
        record(id="aaaaaaab", a="aaaaaaab"),
        record(id="aaaaaaac", a="b"),
        state(),
    ]
    load(messages, max_string_bytes=7).succeeded()
    assert [(row["id"], row["a"]) for row in rows()] == [("aaaaaaab", "aaaaaaa"), ("aaaaaaac", "b")]
    maps = {"s": {"id": "o.k", "o": "__NULL__"}}
    nested = schema({"id": text, "o": {"type": "object", "properties": {"k": text}}})
    load(
        [nested, record(id="x", o={"k": "aaaaaaab"}), record(id="y", o={"k": "aaaaaaac"}), state()],
        max_string_bytes=7,
        stream_maps=maps,
    ).succeeded()
    assert [row["id"] for row in rows()] == ["aaaaaaab", "aaaaaaac"]


def test_a_stream_cannot_change_its_keys_on_the_way(load, rows):
    columns = {**ID, "b": {"type": "integer"}}
    other = schema(columns, keys=["b"])
    done = load([schema(columns), record(id=1, b=1), state(1), other, record(id=2, b=1), state(2)])
    done.refused('["id"]', '["b"]')
    assert done.out == '{"bookmarks": 1}\n' and [row["id"] for row in rows()] == [1]


def test_a_row_whose_partition_changes_leaves_the_old_one_where_that_is_asked_for(load, rows):
    setting = {"partition_by": {"column": "p"}, "move_keys": True}
    of = schema({**ID, "p": {"type": "string"}})
    load([of, *[record(id=n, p="a" if n < 5 else "b") for n in range(10)], state()], **setting)
    load([of, record(id=4, p="c"), record(id=7, p="a"), record(id=11, p="b"), state()], **setting)
    found = sorted((row["id"], row["p"]) for row in rows())
    expected = {n: "a" if n < 5 else "b" for n in range(10)} | {4: "c", 7: "a", 11: "b"}
    assert found == sorted(expected.items())


def test_a_partition_is_a_plain_value(load):
    nested = {"type": "object", "properties": {"a": {"type": "integer"}}}
    load([schema({**ID, "o": nested}), record(id=1, o={"a": 1}), state()], partition_by={"column": "o"}).refused(
        "`o`", "struct<a:bigint>"
    )


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_a_value_that_no_folder_can_be_named_by_is_refused_unless_on_invalid_says_null(load, rows, tmp_path, s3, place):
    columns = {**ID, "c": {"type": "string"}, "v": {"type": "string"}}
    settings = {"partition_by": {"column": "c"}}
    if place == "s3":
        bucket = s3.bucket("long-partitions")
        settings |= s3.settings(f"s3://{bucket}/lake")
    long = "x" * 300
    bad = [schema(columns), record(id=1, c="short", v="0"), record(id=2, c=long, v="0"), state()]
    load(bad, **settings).refused("table `s`", "`c`", "xxx…", "300 bytes", "`on_invalid`")
    there = s3.keys(bucket, "lake/s/") if place == "s3" else list(tmp_path.glob("lake/s/*"))
    assert not there, "nothing is written before"
    settings["on_invalid"] = "null"
    for version, count in [("a", 1), ("b", 2)]:
        records = [record(id=1, c=long, v=version), record(id=2, c="short", v=version), record(id=3, v=version)]
        done = load([schema(columns), *records, state(count)], **settings).succeeded()
        assert done.err.count("1 value of column `c` is too long for a folder's name") == 1 and long not in done.err
        assert done.summary["streams"]["s"]["misplaced"]["count"] == 1
        assert json.loads(done.out) == {"bookmarks": count}
    if place == "s3":
        keys = [item["Key"] for item in s3.client.list_objects_v2(Bucket=bucket, Prefix="lake/s/")["Contents"]]
    else:
        keys = [str(path.relative_to(tmp_path)) for path in files(tmp_path / "lake", "s")]
        assert [(row["id"], row["c"], row["v"]) for row in rows()] == [
            (1, long, "b"),
            (2, "short", "b"),
            (3, None, "b"),
        ]
    assert {key.split("/")[2] for key in keys} == {"p_c=short", "p_c=__HIVE_DEFAULT_PARTITION__"}


@pytest.mark.parametrize(
    "setting", [{"streams": {"load_method": "upsert"}}, {"stream_maps": {"a": "id"}}], ids=["streams", "stream_maps"]
)
def test_a_stream_whose_name_is_nearly_right_is_pointed_out(load, setting):
    ((key, value),) = setting.items()
    messages = [schema(ID, stream="fact_events"), record(stream="fact_events", id=1), state()]
    for name, told in (("fact_event", True), ("fact_*", False), ("fact_events", False), ("other", False)):
        done = load(messages, **{key: {name: value}}).succeeded()
        assert ("is `fact_events` meant?" in done.err) is told, name


def test_what_a_map_drops_and_is_not_there_is_pointed_out(load, rows):
    messages = [schema({**ID, "email": {"type": "string"}}), record(id=1, email="a"), state()]
    done = load(messages, stream_maps={"s": {"emial": "__NULL__"}}).succeeded()
    assert (
        done.err.count("`stream_maps.s.emial` drops a property that the stream does not have; is `email` meant?") == 1
    )
    done = load(messages, stream_maps={"*": {"emial": "__NULL__"}}).succeeded()
    assert "emial" not in done.err, "a pattern is for streams of many kinds"


def test_activate_version_removes_the_rows_of_other_versions(load, rows):
    old = [{**record(id=n), "version": 1} for n in (1, 2)]
    load([schema(ID), *old, {"type": "ACTIVATE_VERSION", "stream": "s", "version": 1}, state()]).succeeded()
    new = [{**record(id=n), "version": 2} for n in (2, 3)]
    load([schema(ID), *new, {"type": "ACTIVATE_VERSION", "stream": "s", "version": 2}, state()]).succeeded()
    assert [row["id"] for row in rows()] == [2, 3]


@pytest.mark.parametrize("method", ["upsert", "append", "overwrite"])
def test_activate_version_of_a_stream_without_rows_empties_its_table(load, rows, method):
    def activate(version):
        return {"type": "ACTIVATE_VERSION", "stream": "s", "version": version}

    settings = {"load_method": method, "commit_interval_seconds": 0}
    load([schema(ID), {**record(id=1), "version": 1}, activate(1), state(1)], **settings).succeeded()
    # It is only a table without rows when the stream has ended.
    load(lines(schema(ID), activate(2), state(2)) + "{", **settings).refused("line 4")
    load([schema(ID), state(2), activate(2)], **settings).refused("`s`", "old rows stay")
    assert [row["id"] for row in rows()] == [1]
    done = load([schema(ID), activate(2), state(2), state(3)], **settings).succeeded()
    assert rows() == [] and done.out.splitlines()[-1] == '{"bookmarks": 3}'
    load([schema(ID), {**record(id=2), "version": 2}, activate(2), state(4)], **settings).succeeded()
    assert [row["id"] for row in rows()] == [2]


def batch(*urls, **encoding):
    return {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl", **encoding}, "manifest": list(urls)}


def test_batches_of_files_read_like_records(load, rows, tmp_path, s3):
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_text('{"id": 1, "v": "a"}\n\n{"id": 2, "v": "b"}')
    packed.write_bytes(gzip.compress(b'{"id": 3, "v": "c"}\n') + gzip.compress(b'{"id": 2, "v": "B"}\n'))
    head = schema({**ID, "v": {"type": "string"}})
    messages = [head, batch(f"file://{plain}"), batch(str(packed), compression="gzip"), state()]
    load(messages).succeeded()
    assert [row["v"] for row in rows()] == ["a", "B", "c"]
    bucket = s3.bucket("batches")
    s3.client.upload_file(str(packed), bucket, "dir/b.jsonl.gz")
    settings = {"s3": s3.settings("")["s3"], "batch_from": [f"s3://{bucket}/dir"]}
    load([head, batch(f"s3://{bucket}/dir/b.jsonl.gz", compression="gzip"), state()], **settings).succeeded()
    assert len(rows()) == 3

    plain.write_text('{"id": 1}\n{"id": ')
    load([head, batch(str(plain)), state()]).refused("a.jsonl", "line 2")
    load([head, batch(str(tmp_path / "none")), state()]).refused("none", "does not exist")
    load([head, batch(str(plain), compression="lz4"), state()]).refused("lz4")
    load([head, {**batch(), "encoding": {"format": "avro"}, "manifest": [str(plain)]}, state()]).refused("avro")


def test_batches_are_read_from_where_they_may_lie_and_nowhere_else(tmp_path, s3):
    temporary, private, other = tmp_path / "tmp", tmp_path / "private", tmp_path / "tmp-not"
    for folder in (temporary, private, other):
        folder.mkdir()
    (temporary / "a b.jsonl").write_text('{"id": 1}\n')
    for folder in (private, other):
        (folder / "secret.jsonl").write_text('{"id": 987654321987}\n')
    (temporary / "link.jsonl").symlink_to(private / "secret.jsonl")
    (temporary / "folder").symlink_to(private)
    mine, others = s3.bucket("lake-of-batches"), s3.bucket("others")
    for bucket, key in [(mine, "in/a"), (mine, "inside/a"), (others, "in/a")]:
        s3.client.put_object(Bucket=bucket, Key=key, Body=b'{"id": 2}\n')
    keys = iter(range(100))

    def target(url, destination, **settings):
        (tmp_path / "target.json").write_text(json.dumps({"destination": destination, **settings}))
        command = [TARGET, "--config", tmp_path / "target.json"]
        messages = lines(schema(ID), record(id=0), state(1), batch(url), state(2))
        return run(*command, stdin=messages, env={"TMPDIR": str(temporary)}, cwd=tmp_path)

    def local(url, **settings):
        """What a run does with the file, and the ids that are in the lake then."""
        lake = tmp_path / f"lake{next(keys)}"
        done = target(url, str(lake), **settings)
        return done, sorted(row for file in files(lake, "s") for row in pq.read_table(file)["id"].to_pylist())

    allowed = {"batch_from": [str(private)]}
    for url, settings, name in [
        (str(temporary / "a b.jsonl"), {}, "a b"),
        (f"file://{temporary}/a%20b.jsonl", {}, "a b"),
        (str(private / "secret.jsonl"), allowed, "secret"),
        (str(temporary / "link.jsonl"), allowed, "secret"),
        ("private/secret.jsonl", {"batch_from": ["private"]}, "secret"),
    ]:
        done, ids = local(url, **settings)
        done.succeeded()
        assert ids == [0, 1 if name == "a b" else 987654321987], url
    for url, settings in [
        (str(private / "secret.jsonl"), {}),
        (f"file://{private}/secret.jsonl", {}),
        (str(other / "secret.jsonl"), {}),
        (f"{temporary}/../private/secret.jsonl", {}),
        (f"file://{temporary}/%2E%2e/private%2Fsecret.jsonl", {}),
        (str(temporary / "link.jsonl"), {}),
        (str(temporary / "folder" / "secret.jsonl"), {}),
        ("private/secret.jsonl", {}),
        (str(temporary / "a b.jsonl"), allowed),
        ("/dev/stdin", {}),
        ("/etc/passwd", {}),
        (f"s3://{mine}/in/a", {"s3": s3.settings("")["s3"]}),
    ]:
        done, ids = local(url, **settings)
        done.refused(f"the batch file {url}", "line 4", "stream `s`", "`batch_from`")
        assert ids in ([], [0]) and "987654321987" not in done.err and '"bookmarks": 2' not in done.out, url

    def remote(url, *places):
        settings = s3.settings(f"s3://{mine}/lake{next(keys)}")
        return target(url, settings.pop("destination"), **settings, **({"batch_from": places} if places else {}))

    remote(f"s3://{mine}/in/a").succeeded()
    remote(f"s3://{others}/in/a", f"s3://{others}/in/").succeeded()
    for url, *places in [
        (f"s3://{others}/in/a",),
        (f"s3://{mine}/inside/a", f"s3://{mine}/in"),
        (f"s3://{mine}/in/../inside/a", f"s3://{mine}/in"),
        (f"s3://{others}/in/a", f"s3://{mine}/in"),
    ]:
        remote(url, *places).refused(f"the batch file {url}", "line 4", "stream `s`", "`batch_from`")


def test_messages_in_every_spelling(load, rows):
    text = (
        "\ufeff"
        + lines({**schema(ID), "type": "schema"})
        + "\r\n\n"
        + '{"record":{"id":1},"stream":"s","type":"record"}\r\n'
    )
    done = load((text + lines(state())).encode()).succeeded()
    assert rows() == [{"id": 1}] and done.out == '{"bookmarks": 1}\n'


def test_states_come_back_as_they_were_and_in_order(load):
    texts = ['{"b": 1.50, "a": [ ]}', '{"b":1.5,"a":[]}', "{}"]
    stdin = lines(schema(ID)) + "".join('{"type":"STATE","value":%s}\n' % text for text in texts)
    done = load(stdin, commit_interval_seconds=0).succeeded()
    # An empty state is none.
    assert done.out.splitlines() == texts[:2]


def test_upsert_keeps_the_last_version_and_append_all(load, rows):
    messages = [schema({**ID, "v": {"type": "string"}}), record(id=1, v="a"), record(id=1, v="b"), state()]
    load(messages).succeeded()
    load([messages[0], record(id=1, v="c"), record(id=2, v="d"), state()]).succeeded()
    assert rows() == [{"id": 1, "v": "c"}, {"id": 2, "v": "d"}]
    load(
        [{**messages[0], "stream": "t"}, record("t", id=1, v="a"), record("t", id=1, v="b"), state()],
        load_method="append-only",
    ).succeeded()
    assert len(rows("t")) == 2


def test_overwrite_replaces_a_table_only_when_its_stream_was_seen_to_end(load, rows):
    settings = {"load_method": "overwrite"}
    load([schema(ID), record(id=1), state()], **settings).succeeded()
    load([schema(ID), record(id=2), record(id=3), state()], **settings).succeeded()
    assert [row["id"] for row in rows()] == [2, 3]
    load([schema(ID), record(id=4)], **settings).refused("s")
    assert [row["id"] for row in rows()] == [2, 3]


@pytest.mark.parametrize("method", ["overwrite", "upsert", "append"])
def test_a_new_table_in_a_folder_with_other_files_is_refused_and_they_stay(load, tmp_path, method):
    others = [tmp_path / "lake" / "docs" / "thesis.txt", tmp_path / "lake" / "docs" / "sub" / "photo.jpg"]
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("mine")
    messages = [schema(ID, stream="docs"), record("docs", id=1), state()]
    load(messages, load_method=method).refused("`docs`", "`docs/thesis.txt`", "`docs/sub/photo.jpg`")
    assert all(other.read_text() == "mine" for other in others)
    assert not list((tmp_path / "lake").glob("docs/**/*.parquet"))


@pytest.mark.parametrize("through_a_link", [False, True], ids=["folder", "link"])
def test_files_that_others_put_beside_a_table_stay_when_it_is_replaced(load, tmp_path, through_a_link):
    lake = tmp_path / "lake"
    if through_a_link:
        (tmp_path / "elsewhere").mkdir()
        lake.mkdir()
        (lake / "s").symlink_to(tmp_path / "elsewhere")
    load([schema(ID), record(id=1), state()], load_method="overwrite").succeeded()
    other = lake / "s" / "part-00000-5c2f.snappy.parquet"
    other.write_text("mine")
    done = load([schema(ID), record(id=2), state()], load_method="overwrite").succeeded()
    assert other.read_text() == "mine"
    assert "are not its own and stay" in done.err and "part-00000-5c2f" in done.err
    found = [row["id"] for path in files(lake, "s") if path.name != other.name for row in read(path)]
    assert found == [2]


def read(path):
    return pq.ParquetFile(path).read().to_pylist()


def test_deep_nesting_wide_tables_and_long_strings(load, rows, tmp_path):
    deep, value = {"type": "integer"}, 1
    for _ in range(50):
        deep, value = {"type": "object", "properties": {"n": deep}}, {"n": value}
    wide = {f"c{n}": {"type": "integer"} for n in range(2000)}
    load(
        [
            schema({**ID, "deep": deep, "long": {"type": "string"}, **wide}),
            record(id=1, deep=value, long="x" * 2_000_000, c1999=7),
            state(),
        ]
    ).succeeded()
    (row,) = rows()
    assert row["deep"] == value and row["c1999"] == 7 and len(row["long"]) == 2_000_000


def test_a_thousand_interleaved_streams(load, tmp_path):
    names = [f"s{n}" for n in range(1000)]
    messages = [schema(ID, stream=name) for name in names]
    messages += [record(name, id=n) for n in range(5) for name in names]
    load([*messages, state()]).succeeded()
    assert len(files(tmp_path / "lake")) == 1000
    assert pq.ParquetFile(files(tmp_path / "lake", "s999")[0]).metadata.num_rows == 5


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_a_local_lake_is_its_makers_alone(tmp_path, umask):
    messages = lines(schema({**ID, "day": {"type": "string"}}), record(id=1, day="a"), state())

    def target(lake, mode=None):
        """Loads into a folder of that mode, or of none; gives the modes of all that was made there."""
        if mode:
            lake.mkdir()
            lake.chmod(mode)
        config = {"destination": str(lake), "partition_by": {"column": "day"}}
        (tmp_path / "t.json").write_text(json.dumps(config))
        command = f"umask {umask}; exec '{TARGET}' --config '{tmp_path}/t.json' --state-out '{lake}.state'"
        run("sh", "-c", command, stdin=messages).succeeded()
        made = list(lake.rglob("*"))
        assert any(path.suffix == ".parquet" for path in made) and any(path.is_dir() for path in made)
        assert (tmp_path / f"{lake}.state").stat().st_mode & 0o777 == 0o600
        assert lake.stat().st_mode & 0o777 == (mode or 0o700)
        return {(path.is_dir(), path.stat().st_mode & 0o777) for path in made}

    for name, mode in [("new", None), ("open", 0o755), ("private", 0o700)]:
        assert target(tmp_path / name, mode) == {(True, 0o700), (False, 0o600)}
    # A folder that was opened to its group, and to nobody else, goes on being read by it.
    shared = {(True, 0o700), (False, 0o600)} if umask == "077" else {(True, 0o750), (False, 0o640)}
    assert target(tmp_path / "shared", 0o750) == shared


def test_rows_beyond_the_memory_spill_and_are_gone_after_the_run(load, rows, tmp_path):
    spills = tmp_path / "spills"
    spills.mkdir()
    messages = [schema({**ID, "v": {"type": "string"}})]
    messages += [record(id=n % 40_000, v=f"{n:0500}") for n in range(60_000)]
    done = load([*messages, state()], memory_mb=32, temp_dir=str(spills)).succeeded()
    assert done.summary["spills"] > 0
    assert not list(spills.iterdir())
    found = rows()
    assert len(found) == 40_000
    assert {row["v"][-5:] for row in found if row["id"] < 20_000} == {f"{n + 40_000:05}" for n in range(20_000)}
