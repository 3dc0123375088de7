"""Reads lakes back, and says what the tables must look like."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from harness import Json, Simulator

STRING, BIGINT, INT, DOUBLE, BOOLEAN, DATE = (
    pa.string(),
    pa.int64(),
    pa.int32(),
    pa.float64(),
    pa.bool_(),
    pa.date32(),
)


def array(of: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", of))


ASSET = pa.struct(
    [
        ("url", STRING),
        ("width", BIGINT),
        ("height", BIGINT),
        ("file_size", BIGINT),
        ("content_type", STRING),
        ("type", STRING),
    ]
)
TABLES = {
    "dim_media": [
        ("id", BIGINT),
        ("name", STRING),
        ("type", STRING),
        ("archived", BOOLEAN),
        ("created", STRING),
        ("updated", STRING),
        ("duration", DOUBLE),
        ("hashed_id", STRING),
        ("description", STRING),
        ("progress", DOUBLE),
        ("status", STRING),
        ("thumbnail", pa.struct([("url", STRING), ("width", BIGINT), ("height", BIGINT)])),
        ("section", STRING),
        ("project", pa.struct([("id", BIGINT), ("name", STRING), ("hashed_id", STRING)])),
        ("assets", array(ASSET)),
        ("tags", array(STRING)),
        (
            "subfolder",
            pa.struct(
                [
                    ("hashed_id", STRING),
                    ("name", STRING),
                    ("description", STRING),
                    ("position", BIGINT),
                    ("created", STRING),
                    ("updated", STRING),
                ]
            ),
        ),
        ("deleted_at", STRING),
    ],
    "dim_visitors": [("visitor_id", STRING), ("ip_address", STRING), ("country", STRING)],
    "fact_engagements": [
        ("media_id", STRING),
        ("date", DATE),
        ("load_count", BIGINT),
        ("play_count", BIGINT),
        ("play_rate", DOUBLE),
        ("hours_watched", DOUBLE),
        ("engagement", DOUBLE),
        ("visitors", BIGINT),
    ],
    "fact_engagements_byday": [
        ("media_id", STRING),
        ("date", STRING),
        ("load_count", BIGINT),
        ("play_count", BIGINT),
        ("hours_watched", DOUBLE),
    ],
    "fact_engagement_graph": [
        ("media_id", STRING),
        ("engagement", DOUBLE),
        ("engagement_data", array(BIGINT)),
        ("rewatch_data", array(BIGINT)),
    ],
    "fact_events": [
        ("received_at", STRING),
        ("event_key", STRING),
        ("region", STRING),
        ("city", STRING),
        ("lat", DOUBLE),
        ("lon", DOUBLE),
        ("org", STRING),
        ("email", INT),
        ("percent_viewed", DOUBLE),
        ("embed_url", STRING),
        ("conversion_type", STRING),
        ("iframe_heatmap_url", STRING),
        ("visitor_key", STRING),
        (
            "user_agent_details",
            pa.struct([("browser", STRING), ("browser_version", STRING), ("platform", STRING), ("mobile", BOOLEAN)]),
        ),
        ("media_id", STRING),
        ("media_name", STRING),
        ("media_url", STRING),
        ("thumbnail", ASSET),
        ("country", STRING),
        ("is_new_lead", BOOLEAN),
    ],
}
"""The six tables of the lake, with their physical types."""

# The columns of personal data of viewers, by table.
PERSONAL = {
    "dim_visitors": {"visitor_id", "ip_address"},
    "fact_events": {"visitor_key", "city", "lat", "lon", "org", "embed_url", "iframe_heatmap_url"},
    "visitors": {"visitor_key", "visitor_identity", "last_event_key", "identifying_event_key"},
}


def marked(schema: Json) -> set[str]:
    """The columns of a JSON Schema that are marked as personal."""
    return {name for name, column in schema["properties"].items() if column.get("x-personal") is True}


KEYS = {
    "dim_media": ["id"],
    "dim_visitors": ["visitor_id"],
    "fact_engagements": ["media_id", "date"],
    "fact_engagements_byday": ["media_id", "date"],
    "fact_engagement_graph": ["media_id"],
    "fact_engagement_graph_points": ["media_id", "position"],
    "fact_events": ["event_key"],
    "fact_account_byday": ["date"],
    "fact_media_timeseries": ["media_id", "date"],
    "fact_media_actions": ["media_id", "date", "type"],
    "dim_deleted_media": ["hashed_id"],
    "dim_projects": ["id"],
    "dim_tags": ["name"],
    "dim_channels": ["id"],
    "bridge_media_channel": ["media_id", "channel_id", "source"],
    "visitors": ["visitor_key"],
}


def files(lake: Path | str, table: str | None = None) -> list[Path]:
    """The Parquet files of a table, or of all."""
    folder = Path(lake) / table if table else Path(lake)
    return sorted(path for path in folder.rglob("*.parquet") if "_lake" not in path.parts)


def fingerprints(lake: Path) -> dict[str, tuple[int, int]]:
    """What changes when a file is written again."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in files(lake)}


def order(rows: Iterable[Json], keys: list[str]) -> list[Json]:
    return sorted(rows, key=lambda row: tuple(str(row[key]) for key in keys))


def pyarrow_rows(lake: Path, table: str) -> list[Json]:
    """All rows, file by file, in the order of the key."""
    rows = [row for path in files(lake, table) for row in pq.ParquetFile(path).read().to_pylist()]
    for row in rows:
        for name, value in row.items():
            if hasattr(value, "isoformat"):
                row[name] = value.isoformat()
    return order(rows, KEYS[table])


def duckdb_rows(lake: Path, table: str) -> list[Json]:
    """The same rows, as DuckDB reads them."""
    paths = [str(path) for path in files(lake, table)]
    if not paths:
        return []
    with duckdb.connect() as connection:
        relation = connection.execute(
            "select to_json(t) from read_parquet($paths, hive_partitioning = false) t", {"paths": paths}
        )
        rows = [json.loads(row) for (row,) in relation.fetchall()]
    return order(rows, KEYS[table])


def duckdb_types(path: Path) -> dict[str, str]:
    with duckdb.connect() as connection:
        described = connection.execute(
            "describe select * from read_parquet($path, hive_partitioning = false)", {"path": str(path)}
        )
        return {name: kind for name, kind, *_ in described.fetchall()}


def assert_equals(
    simulator: Simulator,
    lake: Path,
    tables: Iterable[str] = TABLES,
    start: date | str | None = None,
    end: date | str | None = None,
    deleted: bool = False,
) -> None:
    """Every table holds what is true of the account, no more and no less."""
    for table in tables:
        truth = order(simulator.truth(table, start, end, deleted), KEYS[table])
        held = pyarrow_rows(lake, table)
        missing = {identity(row, table) for row in truth} - {identity(row, table) for row in held}
        assert not missing, f"{table}: {len(missing)} rows are missing, such as {min(missing)}"
        assert len(held) == len(truth), f"{table}: {len(held)} rows, not {len(truth)}"
        for mine, true in zip(held, truth, strict=True):
            assert mine == true, f"{table}: {mine} is not {true}"
        assert duckdb_rows(lake, table) == truth, f"{table}: DuckDB reads something else"


def identity(row: Json, table: str) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in KEYS[table])
