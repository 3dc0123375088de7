"""For any schema and any records that fit it, pyarrow reads back what went in."""

import json
import string
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import TARGET, lines, run
from lake import files

NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8)
SCALARS = st.sampled_from(
    [
        ({"type": "integer"}, st.integers(-(2**63), 2**63 - 1)),
        ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False)),
        ({"type": "boolean"}, st.booleans()),
        ({"type": "string"}, st.text(st.characters(exclude_categories=["Cs"]), max_size=30)),
    ]
)


def nullable(kind):
    """A type, and the values of it with null among them."""
    schema, values = kind
    return {**schema, "type": ["null", schema["type"]]}, st.none() | values


def structs(inner):
    return st.dictionaries(NAMES, inner, min_size=1, max_size=4).map(
        lambda fields: (
            {"type": "object", "properties": {name: schema for name, (schema, _) in fields.items()}},
            st.fixed_dictionaries({name: values for name, (_, values) in fields.items()}),
        )
    )


def lists(inner):
    return inner.map(lambda kind: ({"type": "array", "items": kind[0]}, st.lists(kind[1], max_size=4)))


KINDS = st.recursive(SCALARS.map(nullable), lambda inner: (structs(inner) | lists(inner)).map(nullable), max_leaves=12)
TABLES = st.dictionaries(NAMES, KINDS, min_size=1, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), table=TABLES)
def test_what_goes_in_comes_out(data, table):
    properties = {name: schema for name, (schema, _) in table.items()}
    row = st.fixed_dictionaries({name: values for name, (_, values) in table.items()})
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    messages = [{"type": "SCHEMA", "stream": "s", "key_properties": [], "schema": {"properties": properties}}]
    messages += [{"type": "RECORD", "stream": "s", "record": row} for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "t.json"
        config.write_text(json.dumps({"destination": f"{folder}/lake"}))
        run(TARGET, "--config", config, stdin=lines(*messages, {"type": "STATE", "value": {}})).succeeded()
        (path,) = files(f"{folder}/lake", "s")
        assert pq.ParquetFile(path).read().to_pylist() == rows
