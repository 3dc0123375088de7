"""Digits and characters that must not get lost on their way into a column, and what is said where they are."""

import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import JSON_LOG, ROOT, TARGET, lines, run
from lake import array, files

ID = {"id": {"type": "integer"}}
STATE = {"type": "STATE", "value": {"bookmarks": 1}}


@pytest.fixture
def load(tmp_path):
    """Runs the target on the records of one stream, which are text as taps send it."""

    def start(properties, *records, stream="s", keys=("id",), **settings):
        config = {"destination": str(tmp_path / "lake"), **settings}
        (tmp_path / "t.json").write_text(json.dumps(config))
        message = {"type": "SCHEMA", "stream": stream, "key_properties": keys}
        message["schema"] = {"properties": {**ID, **properties}}
        sent = "".join(f'{{"type":"RECORD","stream":"{stream}","record":{record}}}\n' for record in records)
        return run(TARGET, "--config", tmp_path / "t.json", *JSON_LOG, stdin=lines(message) + sent + lines(STATE))

    return start


@pytest.fixture
def table(tmp_path):
    """A table of the lake."""

    def read(name="s"):
        return pa.concat_tables(pq.ParquetFile(path).read() for path in files(tmp_path / "lake", name)).sort_by("id")

    return read


@pytest.mark.parametrize("text", ["7", "-0", "12.50", "1E+400", "12345678901234567890.123456789", "true", "false"])
def test_a_number_or_boolean_for_a_string_is_its_text(load, table, text):
    load({"v": {"type": ["null", "string"]}}, f'{{"id":1,"v":{text}}}').succeeded()
    assert table()["v"].to_pylist() == [text]


def test_the_text_of_a_number_is_a_key_like_any_other(load, table):
    """A domain over integers is a string with numbers in meltanolabs-tap-postgres."""
    properties = {"k": {"type": "string"}, "v": {"type": "string"}}
    load(properties, '{"id":1,"k":7,"v":"old"}', keys=("k",)).succeeded()
    load(properties, '{"id":2,"k":"7","v":"new"}', keys=("k",)).succeeded()
    assert table().select(["k", "v"]).to_pylist() == [{"k": "7", "v": "new"}]


@pytest.mark.parametrize("text", ["[1]", '{"a":1}', "NaN"])
def test_what_has_no_one_text_is_refused_for_a_string(load, text):
    load({"v": {"type": "string"}}, f'{{"id":1,"v":{text}}}').refused(
        "line 2", "`v`", "a string, a number or a boolean"
    )


UNSIGNED = {"type": ["null", "integer"], "minimum": 0, "maximum": 2**64 - 1}


def test_integers_beyond_64_bits_are_decimals_where_the_schema_says_so(load, table):
    """pipelinewise-tap-mysql says that of `bigint unsigned`."""
    records = [f'{{"id":{at},"v":{value}}}' for at, value in enumerate([0, 2**63, 2**64 - 1])]
    load({"v": UNSIGNED}, *records, keys=("v",)).succeeded()
    assert table().schema.field("v").type == pa.decimal128(20, 0)
    assert [int(value) for value in table()["v"].to_pylist()] == [0, 2**63, 2**64 - 1]


def test_a_key_that_does_not_fit_is_told_with_its_value_whatever_on_invalid_says(load):
    for on_invalid in ("fail", "null"):
        done = load({}, f'{{"id":{2**64 - 1}}}', on_invalid=on_invalid)
        done.refused("line 2", "column `id`", str(2**64 - 1), "bigint")


def test_a_bigint_of_a_lake_that_is_there_widens_to_such_a_decimal_and_keeps_its_keys(load, table):
    by = {"partition_by": {"column": "v"}, "shards": 3}
    load({"v": {"type": "integer"}}, *[f'{{"id":{at},"v":{at}}}' for at in range(10)], keys=("v",), **by).succeeded()
    again = [f'{{"id":{at % 100 + 100},"v":{at}}}' for at in (3, 4, 2**64 - 1)]
    load({"v": UNSIGNED}, *again, keys=("v",), **by).succeeded()
    load({"v": {"type": "integer"}}, '{"id":105,"v":5}', keys=("v",), **by).succeeded()
    assert table().schema.field("v").type == pa.decimal128(20, 0)
    expected = {**{at: at for at in range(10)}, 3: 103, 4: 104, 5: 105, 2**64 - 1: 115}
    assert sorted((int(row["v"]), row["id"]) for row in table().to_pylist()) == sorted(expected.items())


def test_a_decimal_that_no_reader_takes_is_named_before_its_first_value(load, table):
    kind = {"type": "string", "format": "singer.decimal", "precision": 65, "scale": 30}
    done = load({"v": kind}, '{"id":1,"v":"12345678.000000000000000000000000000001"}').succeeded()
    assert "the schema declares decimal(65,30) for `v`" in done.err
    assert table()["v"].to_pylist() == [decimal.Decimal("12345678.000000000000000000000000000001")]
    load({"v": kind}, '{"id":1,"v":"123456789"}').refused("line 2", "`v`", "decimal(38,30)")
    typed = {"streams": {"t": {"columns": {"v": "string"}}}}
    done = load({"v": kind}, '{"id":1,"v":"123456789.5"}', stream="t", **typed).succeeded()
    assert "decimal(65,30)" not in done.err
    assert table("t")["v"].to_pylist() == ["123456789.5"]


EXACT = "1234567890123456789012345678.0123456789"


def test_the_settings_give_a_column_another_type(load, table):
    number = {"type": ["null", "number"]}
    typed = {
        "n38": "decimal(38,10)", "n20": "decimal(20)", "text": "string", "whole": "bigint", "day": "date",
        "at": "timestamp", "rate": "double", "odd name": "int", "any": "string",
    }  # fmt: skip
    properties = {
        "n38": number, "n20": number, "text": number, "whole": number, "day": {"type": "string"},
        "at": {"type": "string"}, "rate": {"type": "integer"}, "odd name": number,
        "any": {"type": "object", "properties": {"a": {"type": "integer"}}},
    }  # fmt: skip
    record = (
        f'{{"id":1,"n38":{EXACT},"n20":99999999999999999999,"text":{EXACT},"whole":9007199254740993,'
        '"day":"2026-01-02","at":"2026-01-02T03:04:05Z","rate":1.5,"odd name":7,"any":{"a": 1}}'
    )
    done = load(properties, record, streams={"s": {"columns": typed}}).succeeded()
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert table().to_pylist() == [
        {
            "id": 1,
            "n38": decimal.Decimal(EXACT),
            "n20": decimal.Decimal(99999999999999999999),
            "text": EXACT,
            "whole": 9007199254740993,
            "day": at.date(),
            "at": at,
            "rate": 1.5,
            "odd_name": 7,
            "any": '{"a":1}',
        }
    ]
    assert "rounded" not in done.summary["streams"]["s"]


def test_a_type_is_given_to_what_a_map_or_flattening_makes(load, table):
    properties = {
        "price": {"type": "number"},
        "home": {"type": "object", "properties": {"lat": {"type": "number"}, "city": {"type": "string"}}},
    }
    record = f'{{"id":1,"price":{EXACT},"home":{{"lat":0.12345678901234567891,"city":"x"}}}}'
    maps = {"stream_maps": {"s": {"cost": "price", "price": "__NULL__"}}, "flattening_enabled": True}
    columns = {"cost": "decimal(38,10)", "home__lat": "decimal(38,20)"}
    load(properties, record, **maps, streams={"s": {"columns": columns}}).succeeded()
    row = table().to_pylist()[0]
    assert (row["cost"], row["home__lat"]) == (decimal.Decimal(EXACT), decimal.Decimal("0.12345678901234567891"))
    constant = {"stream_maps": {"s": {"one": "1"}}, "streams": {"s": {"columns": {"one": "string"}}}}
    load({}, '{"id":1}', **constant).refused("`one`", "stream_maps")


def test_a_column_or_type_that_is_not_known_is_named(load):
    number = {"price": {"type": "number"}}
    load(number, '{"id":1}', streams={"s": {"columns": {"prise": "double"}}}).refused(
        "line 1", "`s`", "`prise`", "is `price` meant?"
    )
    load(number, '{"id":1}', streams={"s": {"columns": {"price": "money"}}}).refused(
        "streams.s.columns.price", "`money` is no type of a column", "decimal(precision,scale)"
    )
    load(number, '{"id":1}', streams={"*": {"columns": {"other": "double"}}}).succeeded()


def test_a_type_of_the_settings_follows_the_rules_of_a_schema_that_changes(load, table):
    """What a lake has stays: integers and decimals widen, all else is refused with both types."""
    typed = lambda kind: {"streams": {"s": {"columns": {"v": kind}}}}  # noqa: E731
    load({"v": {"type": "integer"}}, '{"id":1,"v":1}').succeeded()
    load({"v": {"type": "integer"}}, '{"id":2,"v":99999999999999999999}', **typed("decimal(20,0)")).succeeded()
    load({"v": {"type": "integer"}}, f'{{"id":3,"v":{10**37}}}', **typed("decimal(38,0)")).succeeded()
    assert table().schema.field("v").type == pa.decimal128(38, 0)
    assert [int(value) for value in table()["v"].to_pylist()] == [1, 99999999999999999999, 10**37]
    refused = load({"v": {"type": "number"}}, '{"id":4,"v":1.5}', **typed("decimal(38,10)"))
    refused.refused("`v`", "decimal(38,0)", "decimal(38,10)")
    load({"v": {"type": "number"}}, '{"id":4,"v":1.5}', stream="d").succeeded()
    typed = {"streams": {"d": {"columns": {"v": "decimal(38,10)"}}}}
    load({"v": {"type": "number"}}, '{"id":4,"v":1.5}', stream="d", **typed).refused("double", "decimal(38,10)")


def test_numbers_that_lose_digits_are_told_once_a_column_with_their_count(load, table):
    number = {"type": "number"}
    properties = {"n": number, "x": number, "s": {"type": "object", "properties": {"d": number}}}
    exact = '"x":0.1,"s":{"d":1.7976931348623157e308}'
    records = [f'{{"id":{at},"n":{EXACT},{exact}}}' for at in range(5)]
    done = load(properties, *records, '{"id":9,"s":{"d":99999999999999999999}}').succeeded()
    assert done.summary["streams"]["s"]["rounded"] == {"n": 5, "s.d": 1}
    told = [line for line in done.err.splitlines() if "more digits than a double holds" in line]
    assert len(told) == 2 and "5 numbers of column n" in told[0] and "decimal(38,10)" in told[0]
    assert "rounded" not in load(properties, records[0].replace(EXACT, "0.5")).succeeded().summary["streams"]["s"]


def test_json_text_holds_characters_and_not_their_escapes(load, table):
    r"""Python's taps send `ü` as `\u00fc`."""
    value = {"ü": ["Zürich", "😀", '"\\\n\x00']}
    load({"v": {}, "l": {"type": "array"}}, json.dumps({"id": 1, "v": value, "l": ["ö", value]})).succeeded()
    row = table().to_pylist()[0]
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert (row["v"], row["l"]) == (compact, ["ö", compact])
    done = load({"v": {}}, r'{"id":1,"v":["a\ud800"]}').succeeded()
    assert table()["v"].to_pylist() == ['["a\ufffd"]'] and done.summary["streams"]["s"]["replaced"] == 1
    load({"v": {}}, r'{"id":1,"v":["\x"]}').refused("line 2", "a known escape")


ARROW = {
    "Int64": pa.int64(),
    "Int32": pa.int32(),
    "Float64": pa.float64(),
    "Decimal128(20, 0) or wider": pa.decimal128(20, 0),
    "Decimal128(38, 2)": pa.decimal128(38, 2),
    "Decimal128(38, 9)": pa.decimal128(38, 9),
    "Boolean": pa.bool_(),
    "Utf8": pa.string(),
    "Utf8, JSON text": pa.string(),
    "Date32": pa.date32(),
    "Timestamp(µs, UTC)": pa.timestamp("us", tz="UTC"),
    "Struct": pa.struct([("a", pa.int64())]),
    "List, element `element`": array(pa.int64()),
    "List of JSON text": array(pa.string()),
}
PHYSICAL = {"BYTE_ARRAY", "INT32", "INT64", "DOUBLE", "BOOLEAN", "FIXED_LEN_BYTE_ARRAY"}
INTEGER = {"type": "integer"}
DESCRIBED = {
    "`integer`": [INTEGER],
    "`integer` whose bounds fit 32 bits": [{**INTEGER, "minimum": 0, "maximum": 9}],
    "`integer` with a bound beyond 64 bits": [UNSIGNED],
    "`number`": [{"type": "number"}],
    "`number` with `multipleOf: 0.01`": [{"type": "number", "multipleOf": 0.01}],
    "`string` with `format: singer.decimal`": [{"type": "string", "format": "singer.decimal"}],
    "`boolean`": [{"type": "boolean"}],
    "`string`, also `uuid`, `time` and any other format": [
        {"type": "string", **({"format": form} if form else {})} for form in (None, "uuid", "time", "email")
    ],
    "`string` with `format: date`": [{"type": "string", "format": "date"}],
    "`string` with `format: date-time`": [{"type": "string", "format": "date-time"}],
    "`object` with `properties`": [{"type": "object", "properties": {"a": INTEGER}}],
    "`object` without them, `additionalProperties`, `patternProperties`": [
        {"type": "object"}, {"type": "object", "additionalProperties": INTEGER},
        {"type": "object", "patternProperties": {"^a": INTEGER}},
    ],
    "`array` with `items`": [{"type": "array", "items": INTEGER}],
    "`array` without `items`": [{"type": "array"}],
    "no type, several types, only `null`": [{}, {"type": ["integer", "object"]}, {"type": "null"}],
}  # fmt: skip


def test_the_page_of_types_says_what_columns_become(load, table, tmp_path):
    page = (ROOT / "docs" / "types.md").read_text()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    found = {cell[0]: cell[1:] for cell in cells[1:]}
    assert found.keys() == DESCRIBED.keys()
    columns = {f"c{at}_{n}": s for at, of in enumerate(DESCRIBED.values()) for n, s in enumerate(of)}
    load(columns, '{"id":1}').succeeded()
    (path,) = files(tmp_path / "lake", "s")
    parquet = pq.ParquetFile(path).schema
    physical = {parquet.column(at).path.split(".")[0]: parquet.column(at).physical_type for at in range(len(parquet))}
    for at, (arrow, stored, *_) in enumerate(found[name] for name in DESCRIBED):
        for column in [column for column in columns if column.startswith(f"c{at}_")]:
            assert table().schema.field(column).type == ARROW[arrow], (column, arrow)
            assert stored.split(",")[0] not in PHYSICAL or physical[column] == stored.split(",")[0], column


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-04", "2026-03-04"),
        ("2026-03-04T00:00:00Z", "2026-03-04"),
        ("2026-03-04 00:00:00", "2026-03-04"),
        ("2026-03-04T02:00:00+02:00", "2026-03-04"),
        ("2026-03-04T00:00:00+02:00", None),
        ("2026-03-04T10:00:00Z", None),
    ],
)
def test_a_date_column_takes_the_time_of_midnight_and_no_other(load, table, text, day):
    done = load({"v": {"type": "string", "format": "date"}}, json.dumps({"id": 1, "v": text}))
    if day is None:
        done.refused("line 2", "`v`", "a date")
    else:
        done.succeeded()
        assert str(table()["v"].to_pylist()[0]) == day


def nested(levels, schema, inner):
    for _ in range(levels):
        inner = schema(inner)
    return inner


def test_schemas_are_as_deep_as_the_page_says(load, table):
    objects = lambda levels: nested(levels, lambda s: {"type": "object", "properties": {"a": s}}, INTEGER)  # noqa: E731
    load({"v": objects(60)}, json.dumps({"id": 1, "v": nested(60, lambda v: {"a": v}, 1)})).succeeded()
    load({"v": objects(64)}, '{"id":1}').refused("line 1 ", "it is more than 127 levels deep")
    lists = nested(70, lambda s: {"type": "array", "items": s}, INTEGER)
    value = nested(70, lambda v: [v], 1)
    load({"v": lists}, json.dumps({"id": 1, "v": value}), stream="t").succeeded()
    kind, levels = table("t").schema.field("v").type, 0
    while pa.types.is_list(kind):
        kind, levels = kind.value_type, levels + 1
    assert (kind, levels) == (pa.string(), 32)
    load({"v": {}}, f'{{"id":1,"v":{"[" * 1000}{"]" * 1000}}}', stream="u").succeeded()
    load({"v": {}}, f'{{"id":1,"v":{"[" * 1100}{"]" * 1100}}}', stream="u").refused("line 2", "1024 levels")


def test_two_streams_of_one_table_are_refused_and_of_one_column_both_kept(load, table):
    load({"Name": {"type": "string"}, "name": {"type": "string"}}, '{"id":1,"Name":"a","name":"b"}').succeeded()
    plain, other = [name for name in table().column_names if name != "id"][::-1]
    row = table().to_pylist()[0]
    assert plain == "name" and row[plain] == "b" and other.startswith("name_") and row[other] == "a"
    load({}, '{"id":1}', stream="Orders").succeeded()
    both = json.dumps({"type": "SCHEMA", "stream": "orders", "key_properties": ["id"], "schema": {"properties": ID}})
    done = load({}, '{"id":1}}\n' + both + '\n{"type":"RECORD","stream":"orders","record":{"id":1}', stream="Orders")
    done.refused("table `orders`", "the streams `Orders` and `orders` both want it", "`table`")


def test_a_state_of_null_is_a_commit_with_nothing_to_give_back_and_a_version_that_is_missing_is_said(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps({"destination": str(tmp_path / "lake")}))
    schema = {"type": "SCHEMA", "stream": "s", "key_properties": ["id"], "schema": {"properties": ID}}
    messages = [
        schema, {"type": "RECORD", "stream": "s", "record": {"id": 1}},
        {"type": "ACTIVATE_VERSION", "stream": "s"}, {"type": "STATE", "value": None},
    ]  # fmt: skip
    done = run(TARGET, "--config", tmp_path / "t.json", stdin=lines(*messages)).succeeded()
    assert done.out == ""
    assert "line 3: ACTIVATE_VERSION of stream `s` has no `version` and is ignored" in done.err
    assert len(files(tmp_path / "lake", "s")) == 1
