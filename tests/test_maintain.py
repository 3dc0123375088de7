"""`maintain`: what it reports, and that what it changes are files, never rows."""

import itertools
import json
import random
import subprocess

import pyarrow.parquet as pq
import pytest

from harness import TARGET, environment, kill_after, lines, run
from lake import files
from test_commit import SCHEMA, leftovers, read, records, state, unfinished

KEYLESS = {**SCHEMA, "key_properties": []}
PARTITION = {"s": {"partition_by": {"column": "month"}}}


@pytest.fixture
def lake(tmp_path):
    """A lake in a folder, with the runs that load and maintain it."""

    class Lake:
        folder = tmp_path / "lake"

        def settings(self, **settings):
            (tmp_path / "t.json").write_text(
                json.dumps({"destination": str(self.folder), "streams": PARTITION, **settings})
            )
            return tmp_path / "t.json"

        def load(self, *messages, **settings):
            return run(TARGET, "--config", self.settings(**settings), stdin=lines(*messages)).succeeded()

        def maintain(self, *flags, **settings):
            return run(TARGET, "maintain", "--config", self.settings(**settings), "--report", "json", *flags)

        def report(self, *flags, **settings):
            return json.loads(self.maintain(*flags, **settings).succeeded().out)

        def is_killed(self, seconds, *flags):
            """Maintains, and is killed then. Whether that was its end, and in the middle of something."""
            command = [TARGET, "maintain", "--config", self.settings(), *flags]
            before = unfinished(self.folder)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
            killed = kill_after(process, seconds)
            assert killed or process.returncode == 0
            return killed and bool(unfinished(self.folder) - before)

        def ids(self):
            return sorted(
                row["id"] for path in files(self.folder, "s") for row in pq.ParquetFile(path).read(["id"]).to_pylist()
            )

    return Lake()


def appended(lake, times=4):
    for part in range(times):
        lake.load(KEYLESS, *records(part * 24, 24), state(part))


def test_the_report_names_small_files_sizes_and_orphans(lake):
    appended(lake)
    stray = lake.folder / "s" / "p_month=2026-01" / "notes.json"
    stray.write_text("{}")
    (lake.folder / "other").mkdir()
    (lake.folder / "other" / "x.parquet").write_bytes(b"")
    report = lake.report()
    (table,) = report["tables"]
    assert (table["table"], table["load_method"], table["files"], table["partitions"], table["small_files"]) == (
        "s",
        "append",
        48,
        12,
        48,
    )
    assert table["bytes"] == sum(path.stat().st_size for path in files(lake.folder, "s"))
    assert table["orphans"] == ["s/p_month=2026-01/notes.json"] and report["unknown"] == ["other/x.parquet"]
    text = run(TARGET, "maintain", "--config", lake.settings()).succeeded().out
    assert "maintain --compact" in text and "notes.json" in text and "other/x.parquet" in text


def test_compaction_keeps_every_row_and_few_files(lake):
    appended(lake)
    before, ids = files(lake.folder, "s"), lake.ids()
    planned = lake.report("--compact", "--dry-run")
    assert files(lake.folder, "s") == before
    done = lake.report("--compact")
    assert done == planned and len(done["tables"][0]["actions"]) == 12
    assert len(files(lake.folder, "s")) == 12 and lake.ids() == ids
    assert not leftovers(lake.folder)
    assert lake.report("--compact")["tables"][0]["actions"] == []
    lake.load(KEYLESS, *records(200, 12), state(9))
    assert len(lake.ids()) == len(ids) + 12


def test_a_compaction_that_dies_is_brought_to_its_end(lake):
    chance, expected, killed = random.Random(76), [], 0
    while killed < 12:
        appended(lake, 3)
        expected += range(72)
        killed += lake.is_killed(chance.uniform(0.005, 0.12), "--compact")
    lake.report("--compact")
    appended(lake, 1)
    assert lake.ids() == sorted([*expected, *range(24)])
    assert not leftovers(lake.folder)


@pytest.mark.parametrize("shards", [3, 1])
def test_a_table_is_cut_anew_and_loaded_as_before(lake, shards):
    lake.load(SCHEMA, *records(0, 600), state(1), shards=4 - shards)
    before = read(lake.folder)
    planned = lake.report("--shards", shards, "--dry-run")
    assert len(files(lake.folder, "s")) == 12 * (4 - shards)
    done = lake.report("--shards", shards)
    assert done == planned and done["tables"][0]["actions"] == [
        {"action": "reshard", "from": 4 - shards, "to": shards, "partitions": 12}
    ]
    assert len(files(lake.folder, "s")) == 12 * shards and read(lake.folder) == before
    assert len(lake.ids()) == 600
    # What is loaded next finds its keys again.
    lake.load(SCHEMA, *records(300, 600, "b"), state(2))
    found = read(lake.folder)
    assert len(lake.ids()) == len(found) == 900 and all(
        value[0] == ("a" if number < 300 else "b") for number, value in found.items()
    )


def test_a_cut_that_dies_is_refused_until_it_is_brought_to_its_end(lake):
    lake.load(SCHEMA, *records(0, 24_000), state(1))
    before, chance = read(lake.folder), random.Random(77)
    killed, wanted = 0, itertools.cycle([5, 2, 7, 3, 6, 1])
    while killed < 4:
        died = lake.is_killed(chance.uniform(0.02, 0.3), "--shards", str(next(wanted)))
        definition = json.loads((lake.folder / "_lake" / "tables" / "s.json").read_text())
        if cut := definition.get("resharding"):
            killed += died
            refused = run(TARGET, "--config", lake.settings(), stdin=lines(SCHEMA, *records(0, 1), state(2)))
            refused.refused("`s`", f"maintain --table s --shards {cut}")
            assert set(read(lake.folder)) == set(before), "no row is ever missing"
    lake.report("--shards", "4")
    assert read(lake.folder) == before and len(lake.ids()) == 24_000
    assert len(files(lake.folder, "s")) == 48 and not leftovers(lake.folder)


def rows_of(listed):
    """The rows of files that were listed, or nothing where one of them is gone by now."""
    try:
        return [row["id"] for path in listed for row in pq.ParquetFile(path).read(["id"]).to_pylist()]
    except FileNotFoundError:
        return None


def test_a_reader_that_takes_its_time_while_a_table_is_cut_misses_no_row(lake):
    lake.load(SCHEMA, *records(0, 12_000), state(1))
    everything, gone, read_late = set(range(12_000)), 0, 0
    for shards in (3, 2, 5, 1):
        # Listed before the cut, and read once it has begun, in between, and when it is over.
        listed = files(lake.folder, "s")
        command = [TARGET, "maintain", "--config", lake.settings(), "--shards", str(shards)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        while process.poll() is None:
            between = files(lake.folder, "s")
            for planned in (listed, between):
                found = rows_of(planned)
                assert found is None or set(found) == everything, f"{len(everything - set(found))} rows are missing"
                read_late += found is not None
        assert process.returncode == 0
        found = rows_of(listed)
        assert found is None or set(found) == everything, f"{len(everything - set(found))} rows are missing"
        gone += found is None
        assert lake.ids() == sorted(everything)
    assert gone == 4 and read_late > 4


def test_a_table_is_read_by_the_last_release_until_it_is_cut(lake):
    lake.load(SCHEMA, *records(0, 24), state(1), shards=2, streams={})
    definition = lake.folder / "_lake" / "tables" / "s.json"
    before = json.loads(definition.read_text())
    assert before["format"] == 1 and not {"first_shard", "resharding_first"} & set(before)
    lake.report("--shards", "3")
    cut = json.loads(definition.read_text())
    assert (cut["format"], cut["first_shard"], cut["shards"]) == (2, 2, 3)
    assert {path.name for path in files(lake.folder, "s")} <= {f"part-0000{number}.parquet" for number in (2, 3, 4)}


def test_objects_that_a_cut_has_left_are_named_and_go(lake):
    lake.load(SCHEMA, *records(0, 240), state(1))
    old = [(path, path.read_bytes()) for path in files(lake.folder, "s")]
    ends = {
        "a sync": lambda: lake.load(SCHEMA, *records(0, 1), state(2)),
        "--compact": lambda: lake.report("--compact"),
        "another cut": lambda: lake.report("--shards", "4"),
    }
    lake.report("--shards", "3")
    for end in ends.values():
        # As if `maintain` had died before it removed them.
        for path, content in old:
            path.write_bytes(content)
        assert len(lake.ids()) == 480
        (table,) = lake.report()["tables"]
        assert table["unfinished"] == [{"obsolete": 12}] and table["orphans"] == []
        assert "12 objects of before it was cut" in run(TARGET, "maintain", "--config", lake.settings()).succeeded().out
        end()
        assert lake.ids() == list(range(240))
        assert lake.report()["tables"][0]["unfinished"] == []


def types(folder):
    """The types that the column `n` has in the files."""
    return {str(pq.read_schema(path).field("n").type) for path in files(folder, "s")}


def numbered(kind, *ids):
    """Rows in 40 partitions, with a number of this type."""
    properties = {"id": {"type": "integer"}, "part": {"type": "string"}, "n": {"type": kind}, "v": {"type": "string"}}
    yield {**SCHEMA, "schema": {"properties": properties}}
    for number in ids:
        values = {"id": number, "part": f"{number % 40:02}", "n": number, "v": f"{number:0200}"}
        yield {"type": "RECORD", "stream": "s", "record": values}
    yield state(len(ids))


def test_a_widening_that_dies_leaves_one_type_or_is_named_and_ended(lake):
    by_part = {"streams": {"s": {"partition_by": {"column": "part"}}}}
    command = [TARGET, "--config", lake.settings(**by_part)]
    chance, named, mixed = random.Random(80), 0, 0
    attempts = 0
    # How long a run takes depends on the machine: some more are killed until one dies at the right moment.
    while attempts < 12 or (not named and attempts < 100):
        attempt, attempts = attempts, attempts + 1
        lake.load({**SCHEMA, "stream": "other"}, state(1), **by_part)
        for path in [*files(lake.folder, "s"), lake.folder / "_lake/tables/s.json"]:
            path.unlink(missing_ok=True)
        lake.load(*numbered("integer", *range(4000)), **by_part)
        assert types(lake.folder) == {"int64"}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        )
        process.stdin.write(lines(*numbered("number", 7)).encode())
        process.stdin.close()
        kill_after(process, chance.uniform(0.02, 0.4))
        left = types(lake.folder)
        assert left <= {"int64", "double"}
        (table,) = [table for table in lake.report(**by_part)["tables"] if table["table"] == "s"]
        assert len(left) == 1 or table["unfinished"] == ["widening"]
        mixed += len(left) > 1
        if table["unfinished"]:
            named += 1
            if attempt % 2:
                assert {"action": "finish", "left": "widening"} in lake.report("--compact", **by_part)["tables"][-1][
                    "actions"
                ]
            else:
                lake.load(*numbered("number"), **by_part)
            assert types(lake.folder) == {"double"}
            assert lake.report(**by_part)["tables"][-1]["unfinished"] == []
        assert lake.ids() == list(range(4000))
    assert named > 0
    print(f"{named} of {attempts} died while a column became wider, {mixed} left two types")


def test_maintenance_on_s3(lake, s3, tmp_path):
    bucket = s3.bucket("maintained")
    settings = s3.settings(f"s3://{bucket}/lake")
    for part in range(3):
        lake.load(
            {**KEYLESS, "stream": "log"},
            *({**message, "stream": "log"} for message in records(part * 12, 12)),
            state(part),
            **settings,
        )
    lake.load(SCHEMA, *records(0, 120), state(4), **settings)
    actions = {
        table["table"]: table["actions"] for table in lake.report("--compact", "--shards", 2, **settings)["tables"]
    }
    assert actions["log"] == [{"action": "compact", "partition": "", "files": 3, "bytes": actions["log"][0]["bytes"]}]
    assert actions["s"] == [{"action": "reshard", "from": 1, "to": 2, "partitions": 12}]
    copy = s3.download(bucket, tmp_path / "copy", "lake")
    assert len(files(copy, "log")) == 1 and len(files(copy, "s")) == 24
    assert len(read(copy)) == 120 and len(read(copy, "log")) == 36


def test_a_table_that_is_not_there_is_named(lake):
    lake.load(SCHEMA, *records(0, 1), state(1))
    lake.maintain("--table", "other").refused("`other`", "it has s")
    assert len(lake.report("--table", "s*")["tables"]) == 1


VISITS = {"visitor_key": {"type": ["null", "string"]}, "who": {"type": "object", "properties": {"mail": {}}}}


def visits(stream, *keys):
    """Rows of visitors in a stream."""
    schema = {"properties": {"id": {"type": "integer"}, **VISITS}}
    yield {"type": "SCHEMA", "stream": stream, "key_properties": ["id"], "schema": schema}
    for number, key in enumerate(keys):
        record = {"id": number, "visitor_key": key, "who": {"mail": f"{key}@example.com"}}
        yield {"type": "RECORD", "stream": stream, "record": record}
    yield state(1)


def visitors(folder, table):
    rows = (row for path in files(folder, table) for row in pq.ParquetFile(path).read().to_pylist())
    return sorted(row["visitor_key"] for row in rows)


def test_a_person_is_erased_in_every_table(lake, tmp_path):
    methods = {"streams": {"a": {"load_method": "append"}}}
    lake.load(*visits("u", "ann", "bob", "cid"), *visits("a", "bob", "bob", "dan"), *visits("o", "cid"), **methods)
    done = lake.maintain("--erase", "visitor_key=bob", "--dry-run").succeeded()
    told = {table["table"]: table["actions"] for table in json.loads(done.out)["tables"]}
    assert told == {
        "a": [{"action": "erase", "rows": 2, "files": 1}],
        "o": [{"action": "erase", "rows": 0, "files": 0}],
        "u": [{"action": "erase", "rows": 1, "files": 1}],
    }
    assert visitors(lake.folder, "a") == ["bob", "bob", "dan"]
    done = lake.maintain("--erase", "visitor_key=bob").succeeded()
    assert "bob" not in done.out + done.err
    assert visitors(lake.folder, "u") == ["ann", "cid"] and visitors(lake.folder, "a") == ["dan"]
    # No byte of it is left in the lake.
    assert not [path for path in lake.folder.rglob("*") if path.is_file() and b"bob@" in path.read_bytes()]
    values = tmp_path / "values"
    values.write_text("cid@example.com\nnobody@example.com\n")
    text = run(
        TARGET, "maintain", "--config", lake.settings(), "--table", "u", "--erase", f"who.mail=@{values}"
    ).succeeded()
    assert "u: rows erased: 1, files written again: 1" in text.out
    assert visitors(lake.folder, "u") == ["ann"] and visitors(lake.folder, "o") == ["cid"]
    # The table goes on, and who comes again is there again.
    lake.load(*visits("u", "eve", "bob"), **methods)
    assert visitors(lake.folder, "u") == ["bob", "eve"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("who", ["--erase", "a column and a value"]),
        ("=x", ["--erase", "a column and a value"]),
        ("visitor_key=", ["--erase", "no value"]),
        ("visitor_key=@/no/such/file", ["/no/such/file"]),
        ("visitor=secret@example.com", ["no column `visitor`", "`u`"]),
        ("who=secret@example.com", ["`who`", "struct<mail:string>"]),
        ("id=secret@example.com", ["`id`", "not every value is an integer"]),
    ],
)
def test_what_cannot_be_erased_is_said_without_the_value(lake, asked, words):
    lake.load(*visits("u", "ann"))
    done = lake.maintain("--erase", asked)
    done.refused(*words)
    assert "secret" not in done.out + done.err
    assert visitors(lake.folder, "u") == ["ann"]


def test_a_person_is_erased_on_s3_while_a_sync_runs(s3, tmp_path):
    bucket = s3.bucket("erase")
    settings = tmp_path / "t.json"
    settings.write_text(json.dumps(s3.settings(f"s3://{bucket}/lake")))
    load = [TARGET, "--config", settings]
    run(*load, stdin=lines(*visits("u", *[f"v{number}" for number in range(50)]))).succeeded()
    beside = subprocess.Popen(
        [str(word) for word in load], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(), text=True,
    )  # fmt: skip
    beside.stdin.write(lines(*visits("u", *[f"w{number}" for number in range(25)])))
    done = run(TARGET, "maintain", "--config", settings, "--report", "json", "--erase", "visitor_key=v40").succeeded()
    beside.communicate(timeout=60)
    assert beside.returncode == 0
    assert json.loads(done.out)["tables"][0]["actions"] == [{"action": "erase", "rows": 1, "files": 1}]
    rows = run(TARGET, "maintain", "--config", settings, "--report", "json", "--dry-run", "--erase", "visitor_key=v40")
    assert json.loads(rows.succeeded().out)["tables"][0]["actions"][0]["rows"] == 0
    both = run(
        *[TARGET, "maintain", "--config", settings, "--report", "json", "--dry-run"],
        *[word for number in range(50) for word in ("--erase", f"id={number}")],
    )
    assert json.loads(both.succeeded().out)["tables"][0]["actions"][0]["rows"] == 49
