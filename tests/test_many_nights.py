"""A lake of Iceberg tables over many nights beside a plain one: growth, kills, and Spark at work in between.

`NIGHTS=60 pytest tests/test_many_nights.py` has more of them.
"""

import json
import os
import random
import shutil
from urllib.parse import urlparse

import pytest

from harness import PARTITIONS, TARGET, Pipe, run
from iceberg_tables import readers_in
from lake import TABLES, assert_equals, pyarrow_rows

NIGHTS = int(os.environ.get("NIGHTS", "6"))

# One Spark for all of them.
pytestmark = pytest.mark.xdist_group("iceberg")


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    yield from readers_in(tmp_path_factory.mktemp("nights"))


def job(folder, server, destination, table_format):
    folder.mkdir()
    settings = {"destination": str(destination), "table_format": table_format, "streams": PARTITIONS}
    return Pipe(folder, server.settings(), settings)


def as_pyiceberg_has_it(readers, lake, folder):
    """The files of the current snapshots, as PyIceberg names them, where a plain lake would have them."""
    shutil.rmtree(folder, ignore_errors=True)
    for table in TABLES:
        (folder / table).mkdir(parents=True)
        for number, file in enumerate(readers.ask("files", folder=str(lake / table))):
            assert file["content"] == 0, "nobody writes delete files here"
            path = urlparse(file["file_path"]).path
            (folder / table / f"{number}.parquet").symlink_to(path)
    return folder


def check(config):
    done = run(TARGET, "maintain", "--check", "--report", "json", "--config", config).succeeded()
    return {table["table"]: table["rows"] for table in json.loads(done.out)["tables"]}


def test_after_every_night_both_hold_what_is_true(simulator, readers, tmp_path):
    server = simulator(seed=22, medias=12, events=400, days=60)
    database = readers.warehouse / "nights"
    plain = job(tmp_path / "plain", server, tmp_path / "plain" / "lake", "parquet")
    iceberg = job(tmp_path / "iceberg", server, database, "iceberg")
    luck = random.Random(22)
    kills = 0
    for night in range(NIGHTS):
        if night:
            server.grow(
                new_events=luck.randrange(60),
                late_events=luck.randrange(10),
                risen_events=luck.randrange(20),
                new_medias=int(luck.random() < 0.2),
                restated_days=luck.randrange(3),
            )
        for lake in (plain, iceberg):
            while luck.random() < 0.4:
                kills += lake.kill_target_after(luck.uniform(0.02, 0.5))
            lake.sync()
        if night % 10 == 5:
            for table in ("fact_events", "fact_engagements_byday"):
                every = f"table => 'nights.{table}', options => map('rewrite-all', 'true')"
                readers.sql(f"call lake.system.rewrite_data_files({every})")
            readers.sql("call lake.system.rewrite_manifests('nights.fact_events')")
        if night % 10 == 9:
            run(TARGET, "maintain", "--expire", "--config", iceberg.folder / "target.json").succeeded()
        if night % 10 in (5, 9) or night == NIGHTS - 1:
            assert_equals(server, plain.lake)
            assert_equals(server, as_pyiceberg_has_it(readers, database, tmp_path / "current"))
    assert kills
    held = {table: len(pyarrow_rows(plain.lake, table)) for table in TABLES}
    assert check(plain.folder / "target.json") == check(iceberg.folder / "target.json") == held
    for table, rows in held.items():
        for by in ("spark", "duckdb"):
            found = readers.ask("rows", warehouse=str(readers.warehouse), by=by, folder=str(database / table))
            assert len(found) == rows, f"{by}: {table}"
