"""The lake that the queries and their documentation are about: a simulated account that is the same
on every day and every machine, with all streams."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

import redshift
from harness import PARTITIONS, ROOT, TAP, Json, Pipe, Simulator, run
from lake import files

DEPLOY = ROOT / "deploy"

ACCOUNT = {"seed": 1, "medias": 25, "events": 5000, "days": 700, "today": "2026-06-30"}
DAYS = {"start": "2024-07-01", "end": "2026-06-30"}
RULES = [
    {"channel": "YouTube", "name": "(?i)youtube"},
    {"channel": "Facebook", "name": "(?i)facebook"},
    {"channel": "Academy", "name": "(?i)price|onboarding"},
]
"""Wistia knows a channel "Academy" too, and some medias are in it by both."""


def every_stream() -> Json:
    """The catalog with all streams selected."""
    catalog: Json = json.loads(run(TAP, "--discover").succeeded().out)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = True
    return catalog


class Demo:
    """The account and its lake in a folder."""

    def __init__(self, folder: Path) -> None:
        self.simulator = Simulator(**ACCOUNT)
        # Before the first sync: what was measured on a later day was restored.
        self.simulator.delete(self.simulator.truth("dim_media")[-1]["hashed_id"])
        settings = self.simulator.settings(start_date=DAYS["start"], end_date=DAYS["end"], channel_rules=RULES)
        target = {"destination": str(folder / "lake"), "streams": PARTITIONS}
        job = Pipe(folder, settings, target, every_stream())
        self.lake = job.lake
        self.rows: dict[str, list[Json]] = {}
        try:
            tap, _ = job.sync()
            self.messages = tap.out
        except BaseException:
            self.stop()
            raise

    def truth(self, table: str) -> list[Json]:
        """The true rows of a table."""
        if table not in self.rows:
            self.rows[table] = self.simulator.truth(table, DAYS["start"], DAYS["end"])
        return self.rows[table]

    def stop(self) -> None:
        self.simulator.stop()


def scan(lake: Path, table: str) -> str:
    """A table with its partition key, as DuckDB reads it."""
    paths = [str(path) for path in files(lake, table)]
    return f"read_parquet({paths}, hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"


def connect(lake: Path, schema: str, personal: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB that sees the tables of a lake as Glue would show them: in two databases, of which the second
    has the tables with personal data."""
    connection = duckdb.connect()
    # Sums of doubles depend on who adds them up.
    connection.execute("set threads = 1")
    for database in (schema, personal):
        connection.execute(f"attach ':memory:' as {database}")
    for table in sorted(path.name for path in lake.iterdir() if path.name != "_lake"):
        database = personal if table in redshift.PERSONAL else schema
        connection.execute(f"create view {database}.{table} as select * from {scan(lake, table)}")
    return connection


def warehouse(lake: Path) -> duckdb.DuckDBPyConnection:
    """A Redshift that was set up, in which nobody is refused anything."""
    connection = connect(lake, redshift.EXTERNAL, redshift.EXTERNAL_PERSONAL)
    redshift.set_up(connection)
    return connection


def analyst(lake: Path) -> duckdb.DuckDBPyConnection:
    """The same as analysts have it: without the tables with personal data."""
    connection = warehouse(lake)
    connection.execute(f"detach {redshift.EXTERNAL_PERSONAL}")
    return connection


def text_of(question: str, engine: str) -> str:
    """The text of a question for an engine; what is in a list is put in as the engine takes it."""
    text = (DEPLOY / "redshift" / f"{question}.sql").read_text()
    own = (DEPLOY / engine / "media_tags.sql").read_text().split("\n", 1)[1].rstrip(";\n")
    return re.sub(r"(with tagged as \().*?(\n\)\n)", rf"\1\n{own}\2", text, flags=re.DOTALL)


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], Sequence[Sequence[Any]]]:
    """The columns and rows of an answer."""
    answer = connection.execute(sql)
    return [column[0] for column in answer.description], answer.fetchall()
