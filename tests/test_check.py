"""`maintain --check`: it finds what is wrong with a lake, whoever did it, and nothing where nothing is."""

import json
import threading
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from harness import TARGET, lines, run
from test_catalog import Lake as S3Lake
from test_catalog import record as day_record
from test_catalog import schema as day_schema

FORMATS = ["parquet", "iceberg"]
SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "key_properties": ["id"],
    "schema": {
        "properties": {
            "id": {"type": "string"},
            "day": {"type": "string", "format": "date"},
            "at": {"type": ["null", "string"], "format": "date-time"},
            "price": {"type": ["null", "number"], "multipleOf": 0.01},
            "share": {"type": ["null", "number"]},
            "is": {"type": ["null", "boolean"]},
            "in": {"type": ["null", "object"], "properties": {"x": {"type": "integer"}, "t": {"type": "string"}}},
            "many": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        }
    },
}


def record(number):
    values = {"id": f"key-{number:05}", "day": str(date(2026, number % 3 + 1, number % 28 + 1))}
    if number % 7:
        values |= {
            "at": f"2026-01-01T00:00:{number % 60:02}.5Z",
            "price": number / 4,
            "share": -number / 3,
            "is": number % 2 == 0,
            "in": {"x": number, "t": "ü" * (number % 90)},
            "many": [{"n": number}, {"n": None}] if number % 5 else [],
        }
    return {"type": "RECORD", "stream": "s", "record": values}


class Folder:
    """A lake in a folder: the table `s`, by month and in three shards."""

    def __init__(self, folder, table_format):
        self.lake, self.config = folder / "lake", folder / "t.json"
        self.format = table_format
        streams = {"s": {"partition_by": {"column": "day", "granularity": "month"}, "shards": 3}}
        settings = {"destination": str(self.lake), "table_format": table_format, "streams": streams}
        self.config.write_text(json.dumps(settings))
        self.load(range(600))
        self.load(range(300, 900))

    def load(self, numbers):
        state = {"type": "STATE", "value": {}}
        run(TARGET, "--config", self.config, stdin=lines(SCHEMA, *map(record, numbers), state)).succeeded()

    def check(self):
        return run(TARGET, "maintain", "--check", "--config", self.config)

    def faults(self):
        """What is wrong: how often, and examples, by kind."""
        done = run(TARGET, "maintain", "--check", "--report", "json", "--config", self.config)
        (table,) = json.loads(done.out)["tables"]
        faults = {fault["kind"]: (fault["count"], fault["examples"]) for fault in table["faults"]}
        assert done.code == (1 if faults else 0), done.err
        assert not faults or f"the check found {sum(count for count, _ in faults.values())} fault" in done.err
        return faults

    def files(self):
        """The files of the table as it is now."""
        if self.format == "parquet":
            return sorted((self.lake / "s").rglob("*.parquet"))
        newest = max((self.lake / "s" / "data").rglob("*.parquet"), key=lambda path: path.name.rsplit("-", 1)[0])
        run_name = newest.name.rsplit("-", 1)[0]
        return sorted(path for path in (self.lake / "s").rglob("*.parquet") if path.name.startswith(run_name))


@pytest.fixture(params=FORMATS)
def lake(request, tmp_path):
    return Folder(tmp_path, request.param)


def rewrite(path, change):
    """Puts other rows in the place of a file's, as another program would."""
    rows = pq.ParquetFile(path).read()
    pq.write_table(change(rows), path)


def test_a_lake_as_it_was_written_holds_what_it_promises(lake):
    done = lake.check().succeeded()
    assert "as promised" in done.out and "900" in done.out
    assert lake.faults() == {}


def test_a_row_that_is_there_twice_is_found(lake):
    path = lake.files()[0]
    rewrite(path, lambda rows: pa.concat_tables([rows, rows.slice(0, 2)]))
    faults = lake.faults()
    assert faults["key_twice"][0] == 2
    assert any(f"of {path}" in example.replace("file://", "") for example in faults["key_twice"][1])


def test_a_row_of_another_month_or_shard_is_found(lake):
    one, other = lake.files()[0], lake.files()[-1]
    rows = pq.ParquetFile(other).read()
    rewrite(one, lambda _: rows)
    other.write_bytes(b"")
    faults = lake.faults()
    assert faults["partition"][0] == rows.num_rows
    assert faults["unreadable"][0] == 1


def test_a_file_that_is_gone_is_found_where_a_snapshot_names_it(lake):
    lake.files()[0].unlink()
    expected = {"iceberg": {"gone": 1}, "parquet": {}}[lake.format]
    assert {kind: count for kind, (count, _) in lake.faults().items()} == expected


def test_a_footer_that_does_not_tell_the_truth_is_found(lake):
    """Other bytes of the same length in the place of the least key, in the footer alone."""
    path = lake.files()[0]
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    least = pc.min(pq.ParquetFile(path).read(["id"])["id"]).as_py().encode()
    assert whole[footer:].count(least) >= 1
    path.write_bytes(whole[:footer] + whole[footer:].replace(least, b"key-99999"))
    faults = lake.faults()
    assert any(
        "`id`" in example and "beyond the bounds of the footer" in example for example in faults["statistics"][1]
    ), faults


def test_a_manifest_that_does_not_tell_the_truth_is_found(tmp_path):
    lake = Folder(tmp_path, "iceberg")
    rewrite(lake.files()[0], lambda rows: rows.slice(1))
    count, examples = lake.faults()["manifest"]
    assert count >= 1 and any("rows: " in example and "by its manifest" in example for example in examples)


def test_columns_that_the_table_has_not_are_found(lake):
    rewrite(lake.files()[0], lambda rows: rows.append_column("theirs", pa.nulls(rows.num_rows, pa.int64())))
    assert lake.faults()["columns"][0] == 1


def test_a_sync_beside_it_does_no_harm(lake):
    """Files that are replaced meanwhile are no faults."""
    done = threading.Event()

    def load():
        while not done.is_set():
            lake.load(range(200, 400))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(5):
            assert lake.faults() == {}
    finally:
        done.set()
        thread.join()


def test_check_goes_with_nothing_that_changes_the_lake(lake):
    done = run(TARGET, "maintain", "--check", "--compact", "--config", lake.config)
    assert done.code == 2 and "--compact" in done.err


def test_the_catalog_is_compared(s3, tmp_path):
    lake = S3Lake(s3, tmp_path, "checked")
    lake.load(day_schema(), day_record(1), day_record(2, "2026-11-02")).succeeded()
    command = [TARGET, "maintain", "--check", "--config", lake.folder / "target.json"]
    assert "as promised" in run(*command).succeeded().out
    s3.glue.delete_partition(DatabaseName="checked", TableName="s", PartitionValues=["2026-11-02"])
    done = run(*command)
    assert done.code == 1 and "partitions that are missing: 1, such as `2026-11-02`" in done.out
