"""Iceberg tables as others read and write them: PyIceberg, DuckDB, polars and Spark, in turn with us."""

import copy
import json
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import pytest

import test_airbyte_destination as airbyte
import test_spark as values
from harness import TARGET, kill_after, run
from iceberg_tables import PROPERTIES, PYTHON, READERS, Table, in_order, readers_in, row_of, runtime, sample
from recipes import Desk, blocks
from verbs import Destination

# One Spark for all of them.
pytestmark = pytest.mark.xdist_group("iceberg")

DIVISIONS = {
    "undivided": {},
    "year of a time": {"partition_by": {"column": "at", "granularity": "year"}},
    "month of a time": {"partition_by": {"column": "at", "granularity": "month"}},
    "hour of a time": {"partition_by": {"column": "at", "granularity": "hour"}},
    "day of a date": {"partition_by": {"column": "day", "granularity": "day"}},
    "month of a text": {"partition_by": {"column": "text_day", "granularity": "month"}},
    "text": {"partition_by": {"column": "country"}},
    "number": {"partition_by": {"column": "kind"}},
    "buckets of a number": {"shards": 3},
    "month and buckets": {"partition_by": {"column": "at", "granularity": "month"}, "shards": 2},
}
MONTHS = DIVISIONS["month of a time"]


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    yield from readers_in(tmp_path_factory.mktemp("iceberg"))


@pytest.fixture
def table(readers, tmp_path):
    """Makes a table in a database of its own."""
    made = []

    def make(settings=None, **more):
        database = readers.warehouse / f"{tmp_path.name.replace('-', '_')}_{len(made)}".lower()
        database.mkdir()
        made.append(Table(readers, database, {"move_keys": False, **(settings or {})}, **more))
        return made[-1]

    yield make
    for done in made:
        shutil.rmtree(done.database)


def samples(*numbers, version=0, **more):
    return [sample(number, version, **more) for span in numbers for number in span]


@pytest.mark.parametrize("division", DIVISIONS)
def test_every_reader_finds_every_snapshot_of_a_table_however_it_is_divided(table, division):
    made = table(DIVISIONS[division])
    made.upsert(samples(range(60)))
    made.upsert(samples(range(3, 9), range(60, 70), version=1))
    made.check()
    made.check_history()
    assert made.orphans() == set()
    assert [part["transform"].partition("[")[0] for part in made.ask("partitions")] == {
        "undivided": [],
        "year of a time": ["year"],
        "month of a time": ["month"],
        "hour of a time": ["hour"],
        "day of a date": ["day"],
        "month of a text": ["truncate"],
        "text": ["identity"],
        "number": ["identity"],
        "buckets of a number": ["bucket"],
        "month and buckets": ["month", "bucket"],
    }[division]


@pytest.mark.parametrize(
    ("columns", "transform"), [(("code", "id"), "bucket[4]"), (("at", "id"), "bucket[4]"), (("day",), "bucket[4]")]
)
def test_keys_of_every_kind_are_in_the_buckets_that_others_look_for_them_in(table, columns, transform):
    made = table({"shards": 4}, keys=columns)
    numbers = range(80) if "id" in columns else range(20)
    records = samples(numbers)
    made.upsert(list({tuple(r[c] for c in columns): r for r in records}.values()))
    made.check(["pyiceberg", "spark"])
    assert [part["transform"] for part in made.ask("partitions")] == [transform]
    assert len({str(file["partition"]) for file in made.files()}) > 1


@pytest.mark.parametrize("division", ["undivided", "month of a time", "buckets of a number"])
def test_a_plain_table_becomes_one_by_adopting_its_files(table, division):
    made = table({**DIVISIONS[division], "table_format": "parquet"})
    made.send(samples(range(40))).succeeded()
    run(TARGET, "maintain", "--config", made.config(), "--to", "iceberg").succeeded()
    made.settings["table_format"] = "iceberg"
    # Files of before have no ids: they are read by their names.
    made.hold([row_of(record) for record in samples(range(40))])
    for reader in READERS:
        assert made.rows(reader) == in_order(made.expected), reader
    made.upsert(samples(range(3, 9), range(40, 50), version=1))
    for reader in READERS:
        assert made.rows(reader) == in_order(made.expected), reader
    made.check_history()
    assert made.orphans() == set()


def test_a_row_that_changes_its_partition_leaves_the_old_one(table):
    made = table({**MONTHS, "move_keys": True})
    made.upsert(samples(range(40)))
    made.upsert(samples(range(10), version=1, at="2030-06-01T00:00:00+00:00"))
    made.upsert(samples(range(5, 15), version=2, at=None))
    made.check()
    made.check_history(["pyiceberg", "spark"])


def test_every_kind_of_load_is_a_snapshot_that_every_reader_finds(table):
    appended = table({**MONTHS, "load_method": "append"}, name="appended")
    for version in range(3):
        records = samples(range(20), version=version)
        appended.send(records).succeeded()
        appended.hold(appended.expected + [row_of(record) for record in records])
    appended.check()
    appended.check_history()

    replaced = table({**MONTHS, "load_method": "overwrite"}, name="replaced")
    for version in range(3):
        records = samples(range(version * 5, 20), version=version)
        replaced.send(records).succeeded()
        replaced.hold([row_of(record) for record in records])
    replaced.check()
    replaced.check_history()

    versions = table(MONTHS, name="versions")
    for version in range(1, 4):
        records = samples(range(version * 5, 20), version=version)
        versions.send(records, version=version).succeeded()
        versions.hold([row_of(record) for record in records])
    versions.check()
    versions.send([], version=9).succeeded()
    versions.hold([])
    versions.check()
    versions.check_history()
    for done in (appended, replaced, versions):
        assert done.orphans() == set()


@pytest.mark.parametrize("mode", ["append", "append_dedup", "overwrite"])
def test_a_generation_of_airbyte_takes_the_place_of_those_before_once_it_is_complete(table, tmp_path, mode):
    made = table()
    destination = Destination(tmp_path, {"destination": str(made.database), "table_format": "iceberg"})

    def sync(generation, minimum, numbers, value, *end):
        records = [airbyte.record({"id": number, "v": value}) for number in numbers]
        return destination.write(airbyte.refresh(generation, minimum, mode), [*records, airbyte.state(value), *end])

    def held(by):
        return sorted((row["id"], row["v"]) for row in made.rows(by))

    complete = airbyte.status()
    sync(1, 0, [1, 2], "a", complete).succeeded()
    sync(2, 2, [2, 3], "b")
    # Rows of a generation are seen when it is complete.
    before = [(1, "a"), (2, "a")]
    assert [held(by) for by in READERS] == [before] * 4
    sync(2, 2, [4], "c", complete).succeeded()
    assert [held(by) for by in READERS] == [[(2, "b"), (3, "b"), (4, "c")]] * 4
    first = made.snapshots()[0]["id"]
    assert sorted((row["id"], row["v"]) for row in made.rows("spark", first)) == before
    made.orphans()


def test_columns_come_and_grow_and_every_snapshot_stays_as_it_was(table):
    made = table(MONTHS)
    integer, text = {"type": "integer"}, {"type": "string"}
    made.properties = {
        "id": integer,
        "at": PROPERTIES["at"],
        "small": PROPERTIES["kind"],
        "grows": integer,
        "place": {"type": "object", "properties": {"zip": integer}},
        "tags": PROPERTIES["tags"],
    }

    def record(number, **more):
        at = f"2026-0{number % 3 + 1}-01T00:00:00+00:00"
        return {
            "id": number,
            "at": at,
            "small": 7,
            "grows": number,
            "place": {"zip": 1},
            "tags": [{"name": "a"}],
            **more,
        }

    def widen(rows, **more):
        """Rows of before, as they are read with the columns of now."""
        for row in rows:
            if row["place"]:
                row["place"].setdefault("city", None)
            row.update({name: row.get(name) for name in more})

    made.upsert([record(n) for n in range(12)])
    # New columns, at the top and within a struct; `int` becomes `bigint`.
    old = copy.deepcopy(made.expected)
    made.properties["place"] = {"type": "object", "properties": {"zip": integer, "city": text}}
    # Not a list: PyIceberg 0.12 reads one that a file does not have as an empty one.
    made.properties |= {"late": PROPERTIES["place"], "small": integer}
    widen(made.expected, late=None)
    new = {"place": {"zip": 2, "city": "x"}, "late": {"city": "b", "zip": 3}, "small": 2**40}
    made.upsert([record(n, **new) for n in range(3, 15, 3)])
    made.check()
    ids = {file["file_path"] for file in made.files()}
    # What cannot be promoted is written anew, in the same snapshot.
    made.properties["grows"] = {"type": "number"}
    made.upsert([record(20, grows=0.5, place={"zip": 1, "city": None}, late=None)])
    made.check()
    assert not ids & {file["file_path"] for file in made.files()}
    first = made.snapshots()[0]["id"]
    for reader in ("pyiceberg", "duckdb", "spark"):
        assert made.rows(reader, first) == in_order(old), reader
    assert made.orphans() == set()


def test_readers_leave_out_what_a_condition_cannot_be_true_for(table):
    made = table(DIVISIONS["month and buckets"])
    made.upsert(samples(range(100)))

    def read(where):
        return {Path(path).parent.name for path in made.ask("plan", where=where)}, len(made.ask("plan", where=where))

    months, total = read("id != 123456789")
    assert len(months) == 5 and total == 10
    assert read("at >= '1981-02-01T00:00:00+00:00' and at < '1981-03-01T00:00:00+00:00'") == ({"month=1981-02"}, 2)
    assert read("id = 13")[1] <= 5, "a key is in one bucket of each month"
    one = sample(31)
    assert read(f"id = {one['id']} and at = '{one['at']}'")[1] == 1
    assert read("at > '2040-01-01T00:00:00+00:00'")[1] == 0
    hours = table(DIVISIONS["hour of a time"])
    hours.upsert([sample(number, at=f"2026-01-31T{number:02d}:30:00Z") for number in range(24)])
    within = "at >= '2026-01-31T13:00:00+00:00' and at < '2026-01-31T14:00:00+00:00'"
    (file,) = hours.ask("plan", where=within)
    assert Path(file).parent.name == "hour=2026-01-31T13"


def test_values_at_the_edge_of_each_type_are_the_same_for_all_and_within_their_bounds(table):
    made = table(properties=values.PROPERTIES)
    # What cannot be raised by a character at its end, or ends within one where it is cut.
    texts = ["\U0010ffff" * 30, "a" + "\U0010ffff" * 30, "\ud7ff" * 17, "🐢" * 40, "é" * 16, "é" * 17, "\x00"]
    records = [*values.RECORDS, *({"id": number, "text": text} for number, text in enumerate(texts, 10))]
    made.send(records).succeeded()
    read = made.rows("spark")
    assert {row["id"]: row["text"] for row in read} == {record["id"]: record.get("text") for record in records}
    assert made.rows("duckdb") == made.rows("polars") == read
    # PyIceberg 0.12 has an empty list where there is none of structs.
    assert made.rows("pyiceberg") == in_order({**row, "structs": row["structs"] or []} for row in read)
    made.hold(read)
    made.check_files()
    for number, text in enumerate(texts, 10):
        alone = table(properties={"id": {"type": "integer"}, "text": {"type": "string"}})
        alone.upsert([{"id": number, "text": text}])
        alone.check_files()
        # Who believes the bounds finds the row.
        assert len(alone.ask("plan", where=f"id = {number} and text >= '{text[:5]}'")) == 1


SPARK = {
    "MERGE": """
        merge into {table} t using (select * from {table} where id < 0) u on t.id = u.id
        when matched then update set score = -1""",
    "UPDATE": "update {table} set score = -1 where id < 0",
    "DELETE": "delete from {table} where id < 0",
    "DELETE of a partition": "delete from {table} where at >= timestamp '1981-02-01' and at < timestamp '1981-03-01'",
    "INSERT": """
        insert into {table}
        select id + 100000, code, at, day, text_day, country, kind, flag, score, price, place, tags, counts
        from {table} where id < 0""",
    "rewrite_data_files": """
        call lake.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))""",
    "rewrite_manifests": "call lake.system.rewrite_manifests('{table}')",
    "expire_snapshots": """
        call lake.system.expire_snapshots(table => '{table}', older_than => timestamp '2099-1-1', retain_last => 1)""",
    "ADD COLUMN": "alter table {table} add columns (more string, other struct<a: int>)",
    "rollback": "call lake.system.rollback_to_snapshot('{table}', {first})",
    "a branch and a tag": "alter table {table} create tag kept",
}


@pytest.mark.parametrize("statement", SPARK)
def test_we_go_on_after_what_spark_does_to_a_table(table, statement):
    made = table(DIVISIONS["month and buckets"])
    made.upsert(samples(range(40)))
    first = made.snapshots()[0]["id"]
    made.upsert(samples(range(30, 50), version=1))
    made.readers.sql(SPARK[statement].format(table=made.spark, first=first))
    rows = copy.deepcopy(made.expected)
    negative = [row for row in rows if row["id"] < 0]
    for row in negative if statement in ("MERGE", "UPDATE") else ():
        row["score"] = -1
    if statement == "DELETE":
        rows = [row for row in rows if row not in negative]
    elif statement == "DELETE of a partition":
        rows = [row for row in rows if not row["at"].startswith("1981-02")]
    elif statement == "INSERT":
        rows += [{**row, "id": row["id"] + 100000} for row in negative]
    elif statement == "ADD COLUMN":
        rows = [{**row, "more": None, "other": None} for row in rows]
    elif statement == "rollback":
        rows = copy.deepcopy(made.history[first])
    if statement == "ADD COLUMN":
        # It makes no snapshot.
        made.expected = rows
    else:
        made.hold(rows)
    made.check(["spark", "pyiceberg"])
    records = samples(range(5, 45, 3), range(60, 70), version=2)
    made.send(records).succeeded()
    made.take(records)
    if statement == "ADD COLUMN":
        made.hold([{"more": None, "other": None, **row} for row in made.expected])
    made.check()
    made.check_history(["pyiceberg", "spark"])
    assert made.orphans() == set()
    # Spark goes on as well.
    made.readers.sql(f"delete from {made.spark} where id >= 0")
    assert made.rows("pyiceberg") == in_order(row for row in made.expected if row["id"] < 0)


def test_the_page_is_typed(readers, simulator, s3, tmp_path):
    account = simulator(seed=21, medias=4, events=60, days=300)
    page, test = "docs/iceberg.md", "tests/test_iceberg.py"
    desk = Desk(tmp_path, account, s3, ICEBERG_JAR=str(runtime()), SPARK_LOCAL_IP="127.0.0.1")
    desk.variables["PATH"] = f"{PYTHON.parent}:{desk.variables['PATH']}"
    assert desk.work_through(page, test) == []


def test_rows_that_others_delete_by_files_of_deletes_are_not_brought_back(table):
    made = table(MONTHS)
    made.upsert(samples(range(40)))
    made.readers.sql(f"alter table {made.spark} set tblproperties ('write.delete.mode' = 'merge-on-read')")
    made.readers.sql(f"delete from {made.spark} where id = -50")
    before = made.tree()
    made.send(samples(range(10), version=1)).refused("`s`", "delete files", "merge-on-read", "rewrite_data_files")
    assert made.tree() == before
    with pytest.raises(AssertionError, match="delete files of another writer"):
        made.rows_of_files()
    (remedy,) = [block for block in blocks("docs/iceberg.md") if "remove-dangling-deletes" in block.text]
    for statement in remedy.text.strip().split(";"):
        if statement:
            made.readers.sql(statement.replace("wistia.fact_events", made.spark.removeprefix("lake.")))
    made.hold([row for row in made.expected if row["id"] != -50])
    made.upsert(samples(range(1, 10), version=1))
    made.check()


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (["rename column score to points"], "has renamed its column score to points"),
        (["drop column score", "add columns (score double)"], "has removed its column score and made another"),
    ],
)
def test_names_that_files_do_not_tell_apart_are_refused_by_the_list_of_files(table, statements, why):
    made = table(MONTHS)
    made.upsert(samples(range(10)))
    for statement in statements:
        assert made.rows_of_files()
        made.readers.sql(f"alter table {made.spark} {statement}")
    with pytest.raises(AssertionError, match=why):
        made.rows_of_files()


def test_a_column_that_is_gone_is_not_read_from_the_files_that_have_it(table):
    made = table(MONTHS)
    made.upsert(samples(range(10)))
    made.readers.sql(f"alter table {made.spark} drop column score")
    without = [{name: value for name, value in row.items() if name != "score"} for row in made.expected]
    assert made.rows_of_files() == made.rows("pyiceberg") == in_order(without)


def test_four_runs_at_once_lose_nothing_and_write_nothing_twice(table):
    made = table(MONTHS)
    made.upsert(samples(range(40)))
    spans = [range(number * 20, number * 20 + 30) for number in range(4)]
    config = made.config()
    # The last twenty of each are the first of the next, with the same values: whoever is last has written them.
    messages = [made.messages(samples(span, version=1)) for span in spans]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda sent: run(TARGET, "--config", config, stdin=sent), messages))
    for done in runs:
        done.succeeded()
    made.take(samples(*spans, version=1))
    made.check(["pyiceberg", "spark"])
    assert {snapshot["summary"]["singer.run"] for snapshot in made.snapshots()} != {None}
    assert len(made.snapshots()) == 5


def test_four_runs_append_at_once_and_nothing_is_lost(table):
    made = table({**MONTHS, "load_method": "append"})
    config = made.config()
    parts = [samples(range(number * 20, number * 20 + 20)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda part: run(TARGET, "--config", config, stdin=made.messages(part)), parts))
    for done in runs:
        done.succeeded()
    made.hold([row_of(record) for part in parts for record in part])
    made.check(["pyiceberg", "spark"])


def test_a_run_that_is_killed_at_any_moment_leaves_the_table_as_it_was_or_done(table):
    made = table(MONTHS)
    made.upsert(samples(range(60)))
    began = time.monotonic()
    made.send(samples(range(40))).succeeded()
    # How long a run takes that nobody kills, and a little more.
    took = 1.2 * (time.monotonic() - began)
    draw = random.Random(22)
    killed = 0
    for version in range(1, 25):
        records = samples(range(version, version + 40), version=version)
        process = Popen([TARGET, "--config", str(made.config())], stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, text=True)
        process.stdin.write(made.messages(records))
        process.stdin.close()
        was = kill_after(process, draw.uniform(0, took))
        killed += was
        # All of the run, or nothing.
        before, made_rows = in_order(made.expected), made.rows("pyiceberg")
        if made_rows != before:
            made.take(records)
            assert made_rows == in_order(made.expected)
        else:
            assert was
        made.upsert(records)
    assert killed
    made.check()
    live = set(made.ask("reachable"))
    # What a job of another writer left that died as well.
    left = made.folder / "data" / "00000-1-0b1cbf5c-a8f4-4f8c-9f0e-4b5a8e6f1c52-00001.parquet"
    left.write_bytes(b"cut off")
    orphans = made.orphans()
    assert str(left) in orphans and not orphans & {path.removeprefix("file:") for path in live}
    expire = [TARGET, "maintain", "--expire", "--report", "json", "--config", made.config()]
    for flags in (["--dry-run"], []):
        report = json.loads(run(*expire, *flags).succeeded().out)
        assert report["tables"][0]["actions"][0]["orphans"] == len(orphans), orphans
    assert made.orphans() == set()
    made.check()


def test_manifests_that_a_list_does_not_count_are_counted_and_keep_their_rows(table):
    made = table(MONTHS)
    made.upsert(samples(range(60)))
    made.upsert(samples(range(0, 60, 5), version=1))
    made.ask("forget_counts")
    # One month is written anew, and the others are carried over.
    made.upsert(samples(range(1, 60, 5), version=2))
    counts = made.ask("counts")
    assert len(counts) > 1
    for manifest in counts:
        assert manifest["told"] == manifest["counted"]
    made.check()
