"""Beyond one machine: targets load a landing table at once, and Spark merges it as the target alone would have."""

import json
import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from harness import ROOT, TARGET, run
from iceberg_tables import PROPERTIES, PYTHON, Table, in_order, runtime, sample
from recipes import Desk
from test_iceberg import readers  # noqa: F401

pytestmark = pytest.mark.xdist_group("iceberg")

ROWS = int(os.environ.get("SPARK_ROWS", "3000"))
JOB = ROOT / "deploy" / "spark" / "merge.py"
LOADERS = 3


@pytest.fixture
def pair(readers, tmp_path):  # noqa: F811
    """Makes a table that is merged by Spark, its landing table, and one that the target alone upserts."""
    made = []

    def make(settings=None, name="s", **more):
        place = readers.warehouse / f"{tmp_path.name}_{len(made)}".lower().replace("-", "_")
        made.append(place)
        place.mkdir()
        tables = []
        for database in ("merged", "merged__landing", "alone"):
            (place / database).mkdir()
            tables.append(Table(readers, place / database, dict(settings or {}), name=name, **more))
        tables[1].settings = {"load_method": "append", "add_record_metadata": True, "shards": 1}
        return tables

    yield make
    for place in made:
        shutil.rmtree(place)


def merge(table, **settings):
    """The job, within the readers' Spark."""
    if ROWS > 100_000:
        return submitted(table, *(f"--{name.replace('moves', 'move').replace('_', '-')}" for name in settings))
    return table.readers.ask(
        "job",
        warehouse=str(table.readers.warehouse),
        program=str(JOB),
        destination=str(table.database),
        database=".".join(table.database.relative_to(table.readers.warehouse).parts),
        table=table.name,
        settings=settings,
    )


def submitted(table, *more, code=0):
    """The job, as anyone starts it who has PySpark and Iceberg's library, in another zone."""
    command = [PYTHON.parent / "spark-submit", "--master", "local[2]", "--driver-memory", "2g", "--jars", runtime()]
    for setting in (
        "spark.ui.enabled=false",
        "spark.driver.bindAddress=127.0.0.1",
        "spark.driver.host=127.0.0.1",
        # Few rows need no parallel shuffle.
        f"spark.sql.shuffle.partitions={1 + ROWS // 100_000}",
        "spark.driver.extraJavaOptions=-Duser.timezone=Asia/Tokyo",
    ):
        command += ["--conf", setting]
    command += [JOB, "--destination", table.database, "--catalog", "folder", "--table", table.name, *more]
    environment = {**os.environ, "TZ": "Asia/Tokyo", "PYSPARK_PYTHON": str(PYTHON)}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stderr[-3000:]
    # Both outputs of the job are one of spark-submit's.
    return json.loads(done.stdout.splitlines()[-1]) if code == 0 else done.stdout


def land(landing, parts):
    """Loads of several targets at once, the keys divided among them."""
    config = landing.config()
    with ThreadPoolExecutor(LOADERS) as pool:
        runs = pool.map(lambda part: run(TARGET, "--config", config, stdin=landing.messages(part)), parts)
    for done in runs:
        done.succeeded()


def divided(records):
    return [[record for record in records if record["id"] % LOADERS == part] for part in range(LOADERS)]


def assert_same(merged, alone):
    found = merged.readers.ask(
        "unlike", one=str(merged.folder), other=str(alone.folder), columns=list(alone.properties)
    )
    assert (found["missing"], found["more"]) == ([], [])
    return found["rows"]


@pytest.mark.parametrize(
    "settings",
    [
        {"partition_by": {"column": "at", "granularity": "month"}, "move_keys": False, "shards": 2},
        {"partition_by": {"column": "at", "granularity": "year"}, "move_keys": True},
    ],
    ids=["a key a partition", "keys are moved"],
)
def test_spark_makes_the_table_that_one_machine_makes(pair, settings):
    """Nights with new rows, changed ones, late ones of months before, and columns that come and grow."""
    merged, landing, alone = pair(settings)
    draw = random.Random(22)
    # The first load is the target's, which makes the definition.
    first = [sample(number) for number in range(50)]
    for table in (merged, alone):
        table.send(first).succeeded()
    nights = [
        [sample(number, 1) for number in range(ROWS)],
        # Changed rows, the same key several times, in the order in which they come; some in another month.
        [sample(draw.randrange(ROWS), version) for version in range(2, 4) for _ in range(ROWS // 4)],
        [
            sample(draw.randrange(ROWS + 100), 5, at=f"20{draw.randrange(10, 24)}-03-01T00:00:00+00:00")
            for _ in range(ROWS // 10)
        ],
    ]
    options = {"moves_keys": True} if settings["move_keys"] else {}
    for night, records in enumerate(nights):
        if night == 2:
            # New columns at the top and within a struct, and a number that needs more room.
            place = {**PROPERTIES["place"]["properties"], "street": {"type": "string"}}
            for table in (merged, landing, alone):
                table.properties["place"] = {"type": "object", "properties": place}
                table.properties |= {"kind": {"type": "integer"}, "late": {"type": "integer"}}
            records = [{**record, "kind": 2**40, "late": 1, "place": {"street": "x", "zip": 1}} for record in records]
        alone.send(records).succeeded()
        parts = divided(records)
        land(landing, parts)
        done = merge(merged, **options)
        assert done["landed_rows"] == len(records) and done["files"] >= len([part for part in parts if part])
        assert_same(merged, alone)
        assert landing.rows("pyiceberg") == []
    # By a commit of metadata alone, which writes no file.
    assert landing.snapshots()[-1]["summary"]["operation"] == "delete"
    assert "added-data-files" not in landing.snapshots()[-1]["summary"]
    assert merge(merged, **options)["landed_rows"] == 0
    # The target goes on, and a second merge behind it.
    more = [sample(number, 9, late=2) for number in range(0, 60, 7)]
    for table in (merged, alone):
        table.send(more).succeeded()
    rows = assert_same(merged, alone)
    done = merge(merged, compact=True)
    assert done["added"] <= done["rewritten"]
    assert assert_same(merged, alone) == rows
    assert merged.rows("spark") == in_order(merged.rows("pyiceberg"))


def test_what_cannot_be_merged_is_refused_and_nothing_is_changed(pair):
    merged, landing, _ = pair({})
    refused = submitted(merged, code=1)
    assert "error: " in refused and "the first load of a table, however small, is the target's" in refused
    merged.send([sample(1)]).succeeded()
    before = merged.tree()
    assert merge(merged)["landed_rows"] == 0, "nothing has landed yet"
    landing.settings = {"load_method": "append"}
    landing.send([sample(2)]).succeeded()
    assert "`add_record_metadata: true`" in merge(merged)["refused"]
    shutil.rmtree(landing.database)
    landing.database.mkdir()
    landing.settings["add_record_metadata"] = True
    landing.properties["flag"] = {"type": "string"}
    landing.send([sample(3, flag="x")]).succeeded()
    assert "the column `flag` is string in the landing table and boolean in the table" in merge(merged)["refused"]
    assert merged.tree() == before


def test_the_job_is_started_by_spark_submit_in_any_zone(pair):
    merged, landing, alone = pair({"partition_by": {"column": "at", "granularity": "month"}, "move_keys": False})
    first, second = ([sample(number, version) for number in range(40)] for version in (0, 1))
    for table in (merged, alone):
        table.send(first).succeeded()
    alone.send(second).succeeded()
    land(landing, divided(second))
    assert submitted(merged)["landed_rows"] == 40
    assert assert_same(merged, alone) == 40


def test_the_page_is_typed(simulator, s3, tmp_path):
    account = simulator(seed=21, medias=4, events=60, days=300)
    desk = Desk(tmp_path, account, s3, ICEBERG_JAR=str(runtime()), SPARK_LOCAL_IP="127.0.0.1")
    desk.variables["PATH"] = f"{PYTHON.parent}:{desk.variables['PATH']}"
    assert desk.work_through("docs/scale.md", "tests/test_spark_merge.py") == []


def test_the_partitions_of_a_merge_are_named_in_words_that_leave_out_other_files():
    import merge as job

    definition = {
        "table": "t",
        "table_format": "iceberg",
        "load_method": "upsert",
        "keys": ["id"],
        "columns": [{"name": "c", "kind": "timestamp"}],
        "partition_by": {"column": "c", "granularity": "month"},
    }
    month = job.Merge.of(definition, "t", "l")
    first = "timestamp '2026-01-01 00:00:00'"
    assert month.within(["2026-01-01 00:00:00", None]) == (
        f"((t.`c` >= {first} and t.`c` < {first} + interval 1 month)) or (t.`c` is null)"
    )
    assert replace(month, kind="string").within(["2026-'%"]) == r"(startswith(t.`c`, '2026-\'%'))"
    assert replace(month, kind="string", granularity=None).within(["a\\b"]) == r"(t.`c` = 'a\\b')"
    assert replace(month, kind="bigint", granularity=None).within(["7"]) == "(t.`c` = 7)"
    with pytest.raises(job.Failure, match="no Iceberg table"):
        job.Merge.of({**definition, "table_format": "parquet"}, "t", "l")
    with pytest.raises(job.Failure, match="not upserted"):
        job.Merge.of({**definition, "load_method": "append"}, "t", "l")
