"""Iceberg tables that the target fills, and what others find in them."""

from __future__ import annotations

import json
import operator
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from harness import ROOT, TARGET, Json, Run, lines, run

PYTHON = ROOT / ".venv-iceberg" / "bin" / "python"
JARS = "lib/*/site-packages/snowpark_connect_deps_iceberg/jars/iceberg-spark-runtime-3.5_2.12-*.jar"
"""Iceberg's library for the Spark of PyPI. Otherwise it is on Maven Central."""
READERS = ("pyiceberg", "duckdb", "polars", "spark")

PROPERTIES: Json = {
    "id": {"type": "integer"},
    "code": {"type": "string"},
    "at": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "text_day": {"type": "string"},
    "country": {"type": "string"},
    "kind": {"type": "integer", "minimum": 0, "maximum": 100},
    "flag": {"type": "boolean"},
    "score": {"type": "number"},
    "price": {"type": "number", "multipleOf": 0.01},
    "place": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}}},
    "tags": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    "counts": {"type": "array", "items": {"type": "integer"}},
}
"""A column of each type, with those that tables are divided by."""


def runtime() -> Path:
    """Iceberg's library for Spark, of the environment of the readers."""
    if not PYTHON.exists():
        missing = "the readers of Iceberg are not installed: make .venv-iceberg/.ready"
        # Nobody looks at what a CI skips.
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    (jar,) = PYTHON.parents[1].glob(JARS)
    return jar


def sample(number: int, version: int = 0, **more: object) -> Json:
    """A record. What it is divided by stays the same in every version."""
    month, day = number % 5, number % 28 + 1
    record: Json = {
        "id": number * 7 - 50,
        # Longer than what manifests keep of a text, in characters of one to four bytes.
        "code": f"🐢żółw-{number % 13:02d}-{'x' * (number % 20)}-{number}",
        "at": f"{1968 + month * 13}-{month + 1:02d}-{day:02d}T23:59:59.{number % 1000:03d}+00:00",
        "day": f"{1965 + month}-0{month + 1}-{day:02d}",
        "text_day": f"2026-0{month + 1}-{day:02d}",
        "country": ["DE", "Zürich", "", "a/b c", None][number % 5],
        "kind": [0, 1, 2, None][number % 4],
        "flag": [True, False, None][number % 3],
        "score": number / 8 - version,
        "price": (number * 37 - 999) / 100,
        "place": None if number % 6 == 0 else {"city": f"c{number}", "zip": number + version},
        "tags": [{"name": f"t{version}"}, {"name": None}][: number % 3],
        "counts": None if number % 7 == 0 else [number, None, version],
    }
    return {**record, **more}


def row_of(record: Json, columns: Iterable[str] = PROPERTIES) -> Json:
    """The row that a record must be."""
    row = {column: record.get(column) for column in columns}
    if isinstance(row.get("price"), float):
        row["price"] = f"{Decimal(str(row['price'])):.2f}"
    if at := row.get("at"):
        head, dot, rest = at.replace(".000+", "+").partition(".")
        row["at"] = f"{head}.{rest[:3]}000{rest[3:]}" if dot else head
    return row


def in_order(rows: Iterable[Json]) -> list[Json]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


class Readers:
    """PyIceberg, DuckDB, polars and Spark, in a process of their own."""

    def __init__(self, warehouse: Path) -> None:
        self.warehouse = warehouse
        command = [str(PYTHON), str(ROOT / "tests" / "iceberg_readers.py")]
        # Spark has no time but that of its zone.
        environment = {**os.environ, "TZ": "UTC", "PYTHONPATH": ""}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def ask(self, do: str, **request: object) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the readers have died"
        answer = json.loads(line)
        assert "answer" in answer, answer["error"]
        return answer["answer"]

    def sql(self, text: str) -> list[Json]:
        """What Spark answers."""
        answer: list[Json] = self.ask("sql", warehouse=str(self.warehouse), text=text)
        return answer

    def stop(self) -> None:
        if self.process.stdin and self.process.stdout:
            self.process.stdin.close()
            self.process.wait(60)
            self.process.stdout.close()


def readers_in(folder: Path) -> Iterator[Readers]:
    """Readers for a fixture, which end with it."""
    runtime()
    started = Readers(folder)
    yield started
    started.stop()


@dataclass
class Table:
    """A table of one stream, with what was sent to it."""

    readers: Readers
    database: Path
    settings: Json = field(default_factory=dict)
    properties: Json = field(default_factory=lambda: dict(PROPERTIES))
    keys: tuple[str, ...] = ("id",)
    name: str = "s"
    expected: list[Json] = field(default_factory=list)
    """The rows that it must have."""
    history: dict[int, list[Json]] = field(default_factory=dict)
    """Those that it must have had, by snapshot."""

    @property
    def folder(self) -> Path:
        return self.database / self.name

    @property
    def spark(self) -> str:
        """Its name in Spark."""
        return f"lake.{self.database.name}.{self.name}"

    def config(self, **more: object) -> Path:
        settings = {"destination": str(self.database), "table_format": "iceberg", **self.settings, **more}
        path = self.database.parent / f"{self.database.name}.json"
        path.write_text(json.dumps(settings))
        return path

    def messages(self, records: Iterable[Json], *, version: int | None = None) -> str:
        schema = {"properties": self.properties}
        head = {"type": "SCHEMA", "stream": self.name, "key_properties": list(self.keys), "schema": schema}
        own = {} if version is None else {"version": version}
        sent = [{"type": "RECORD", "stream": self.name, "record": record, **own} for record in records]
        activate = [] if version is None else [{"type": "ACTIVATE_VERSION", "stream": self.name, "version": version}]
        return lines(head, *sent, *activate, {"type": "STATE", "value": {"sent": len(sent)}})

    def send(self, records: Iterable[Json], *, version: int | None = None, **more: Any) -> Run:
        """One run of the target."""
        return run(TARGET, "--config", self.config(**more), stdin=self.messages(records, version=version))

    def upsert(self, records: list[Json], **more: Any) -> None:
        """Sends records, each of which takes the place of the row with its key."""
        self.send(records, **more).succeeded()
        self.take(records)

    def take(self, records: Iterable[Json]) -> None:
        """What an upsert of these must make of the rows."""
        rows = {self.key(row): row for row in self.expected}
        rows.update({self.key(row): row for row in (row_of(record, self.properties) for record in records)})
        self.hold(list(rows.values()))

    def key(self, row: Json) -> tuple[Any, ...]:
        return tuple(row[key] for key in self.keys)

    def hold(self, rows: list[Json]) -> None:
        """These are the rows from the newest snapshot on."""
        self.expected = rows
        self.history[self.snapshots()[-1]["id"]] = rows

    def snapshots(self) -> list[Json]:
        found: list[Json] = self.readers.ask("snapshots", folder=str(self.folder))
        return found

    def ask(self, do: str, **request: object) -> Any:
        return self.readers.ask(do, folder=str(self.folder), **request)

    def rows(self, by: str, snapshot: int | None = None) -> list[Json]:
        found = self.ask("rows", warehouse=str(self.readers.warehouse), by=by, snapshot=snapshot)
        return in_order(found)

    def rows_of_files(self) -> list[Json]:
        """The rows as dbt reads them on DuckDB."""
        return in_order(self.ask("rows_of_files", program=str(ROOT / "dbt" / "lake_iceberg.py")))

    def files(self) -> list[Json]:
        found: list[Json] = self.ask("files")
        return found

    def check(self, readers: Iterable[str] = READERS) -> None:
        """Every reader finds the rows that must be there, and the metadata tells the truth about the files."""
        for reader in readers:
            assert self.rows(reader) == in_order(self.expected), reader
        assert self.rows_of_files() == in_order(self.expected), "the list of files"
        self.check_files()

    def check_history(self, readers: Iterable[str] = READERS) -> None:
        """Every reader finds what was there in each snapshot that is kept."""
        kept = {snapshot["id"] for snapshot in self.snapshots()}
        for snapshot, rows in self.history.items():
            for reader in readers if snapshot in kept else ():
                # What came later is of no snapshot before it.
                columns = set(rows[0]) if rows else set()
                found = [{name: row[name] for name in columns & set(row)} for row in self.rows(reader, snapshot)]
                assert in_order(found) == in_order(rows), (reader, snapshot)

    def check_files(self) -> None:
        files = self.files()
        assert {file["content"] for file in files} <= {0}, "there are files of deletes"
        fields = self.ask("partitions")
        assert sum(file["record_count"] for file in files) == len(self.expected)
        for file in files:
            path = file["file_path"].removeprefix("file:")
            held = pq.ParquetFile(path).read()
            assert (held.num_rows, Path(path).stat().st_size) == (file["record_count"], file["file_size_in_bytes"])
            if fields:
                values = [[file["partition"][part["name"]]] for part in fields]
                assert [[str(v) for v in value] for value in values] == [
                    [str(v) for v in found] for found in map(days, self.ask("transformed", file=path), fields)
                ], path
            for name, metrics in file["metrics"].items():
                assert_bounds(name, metrics, held)
            told = {name for name, metrics in file["metrics"].items() if "lower_bounds" in metrics}
            assert told >= {name for name in self.keys if held[name].null_count == 0}, "a key without a bound"

    def orphans(self) -> set[str]:
        """What Spark would remove of the folder, as nothing names it."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                # It keeps what is young.
                os.utime(path, (0, 0))
        name = self.spark.removeprefix("lake.")
        found = self.readers.sql(f"call lake.system.remove_orphan_files(table => '{name}', dry_run => true)")
        return {row["orphan_file_location"].removeprefix("file:") for row in found}

    def tree(self) -> dict[str, bytes]:
        """Every file below it, but the checksums that Spark writes."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".crc")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


def days(values: list[Any], part: Json) -> list[Any]:
    """PyIceberg shows the partition of a day as a date."""
    from datetime import date, timedelta

    if part["transform"] != "day":
        return values
    return [None if value is None else date(1970, 1, 1) + timedelta(days=value) for value in values]


def assert_bounds(name: str, metrics: Json, held: Any) -> None:
    """What a manifest tells of a column, or of a field of a struct, holds for every row of the file."""
    head, *inner = name.split(".")
    if "element" in inner:
        assert not {"lower_bounds", "upper_bounds"} & set(metrics), f"a bound of {name}, of which a row has many"
        return
    values = held[head].to_pylist()
    for part in inner:
        values = [None if value is None else value[part] for value in values]
    assert metrics["value_counts"] == len(values), name
    assert metrics["null_value_counts"] == sum(value is None for value in values), name
    there = [value for value in values if value is not None]
    for key, holds in (("lower_bounds", operator.le), ("upper_bounds", operator.ge)):
        if key in metrics:
            kind = type(there[0])
            bound = kind(metrics[key]) if kind in (int, float, Decimal) else metrics[key]
            found = (value if isinstance(value, (str, int, float, Decimal)) else iso(value) for value in there)
            assert all(holds(bound, value) for value in found), (name, bound)


def iso(value: Any) -> str:
    """A time as the readers' answers have it."""
    from datetime import UTC, datetime

    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
