"""What the lake must hold after Airbyte's smoke test of destinations."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
from airbyte.cli.smoke_test_source import _scenarios as scenarios


def tables(lake, namespace):
    """The rows of every stream, by the stream's name as the definitions know it."""
    found = {}
    for path in sorted((Path(lake) / "_lake" / "tables").glob("*.json")):
        definition = json.loads(path.read_text())
        space, _, stream = definition["stream"].partition(".")
        if space == namespace:
            names = {column["name"]: column["source"] for column in definition["columns"]}
            paths = sorted((Path(lake) / definition["table"]).rglob("*.parquet"))
            rows = [row for file in paths for row in pq.ParquetFile(file).read().to_pylist()]
            found[stream] = [{names[name]: value for name, value in row.items()} for row in rows]
    return found


def stored(value, schema):
    """A value as its column holds it."""
    branches = [branch for branch in schema.get("oneOf", []) if branch != {"type": "null"}]
    if len(branches) == 1:
        return stored(value, branches[0])
    kinds = schema.get("type", [])
    kinds = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
    if value is None:
        return None
    if len(kinds) != 1:
        # A union of scalars is text, as is anything without one type.
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    (kind,) = kinds
    if kind == "integer":
        return value if -(2**63) <= value < 2**63 else None
    if kind == "number":
        return float(value)
    if kind == "string" and schema.get("format") == "date":
        return date.fromisoformat(value)
    if kind == "string" and schema.get("format") == "date-time":
        return datetime.fromisoformat(value).astimezone(UTC)
    if kind == "object" and schema.get("properties"):
        return {name: stored(value.get(name), inner) for name, inner in schema["properties"].items()}
    if kind == "array":
        inner = schema.get("items") or {}
        return [stored(item, inner) for item in value]
    if kind == "object":
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return value


def folded(row):
    """Nested names are snake case in the lake; times compare as text."""
    if isinstance(row, datetime):
        return row.astimezone(UTC).isoformat()
    if isinstance(row, dict):
        return {name.lower(): folded(value) for name, value in row.items()}
    return [folded(item) for item in row] if isinstance(row, list) else row


def assert_values(lake, namespace):
    held = tables(lake, namespace)
    checked = 0
    for scenario in scenarios.PREDEFINED_SCENARIOS:
        name, schema = scenario["name"], scenario["json_schema"]
        records = scenarios.get_scenario_records(scenario)
        if not records:
            assert name not in held
            continue
        keys = [path[0] for path in scenario.get("primary_key") or []]
        expected = records
        if keys:
            # The newest row of each key.
            expected = list({tuple(record.get(key) for key in keys): record for record in records}.values())
        wanted = [
            {column: stored(record.get(column), inner) for column, inner in schema["properties"].items()}
            for record in expected
        ]
        own = [{name: value for name, value in row.items() if not name.startswith("_airbyte_")} for row in held[name]]
        assert sorted(map(repr, map(folded, own))) == sorted(map(repr, map(folded, wanted))), name
        assert all(row["_airbyte_meta"]["changes"] == [] for row in held[name]), name
        checked += 1
    assert checked == 21
