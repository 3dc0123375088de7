"""A lake that the last release has written is read and gone on with, whatever it left half done.

`fixtures/lake-0.1.0` was written by that release's program; its `make.py` says how.
"""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness import JSON_LOG, TARGET, lines, run
from lake import files

FIXTURE = Path(__file__).parent / "fixtures" / "lake-0.1.0"
TABLES = ("people", "log", "whole", "versioned", "refreshed")
STATE = {"bookmarks": {"people": {"at": 2}}}


@pytest.fixture
def lake(tmp_path):
    shutil.copytree(FIXTURE, tmp_path / "run")
    return tmp_path / "run"


def helpers():
    """The rows and schemas by which the fixture was made."""
    names = {"__name__": "fixture", "__file__": str(FIXTURE / "make.py")}
    source = (FIXTURE / "make.py").read_text()
    exec(source[: source.index("os.chdir(HERE)")].replace("sys.argv[1]", "'-'"), names)
    return names


MADE = helpers()


def load(lake, messages, *arguments):
    settings = lake / "settings.json"
    state = ["--state-out", lake / "state.json"]
    return run(TARGET, "--config", settings, *state, *arguments, *JSON_LOG, stdin=lines(*messages), cwd=lake)


def rows(lake, table):
    """Every row of a table by its id, however often it is there."""
    found = {}
    for file in files(lake / "lake", table):
        for row in pq.ParquetFile(file).read().to_pylist():
            found.setdefault(row["id"], []).append(row["name"])
    return found


def names(first, second=(), word="second"):
    return {i: [f"{word} {i}" if i in second else f"first {i}"] for i in {*first, *second}}


def test_its_rows_are_replaced_added_to_and_overwritten(lake):
    later = range(15, 25)
    messages = []
    for stream in ("people", "log", "whole", "versioned"):
        keys = () if stream == "log" else ("id",)
        more = {"version": 100} if stream == "versioned" else {}
        messages += [MADE["schema"](stream, *keys), *MADE["records"](stream, later, "second", **more)]
    # What was not acknowledged when its run died comes again, and is not there twice.
    messages += MADE["records"]("log", range(100, 104), "unacknowledged")
    done = load(lake, [*messages, {"type": "STATE", "value": STATE}]).succeeded()
    assert done.summary["streams"]["log"]["recognised"] == 4
    assert rows(lake, "people") == names(range(20), later)
    assert rows(lake, "versioned") == names(range(20), later)
    assert rows(lake, "whole") == names([], later)
    added = {i: [f"first {i}"] for i in range(20)}
    for i in later:
        added.setdefault(i, []).append(f"second {i}")
    added |= {i: [f"unacknowledged {i}"] for i in range(100, 104)}
    assert {i: sorted(found) for i, found in rows(lake, "log").items()} == added
    assert not list((lake / "lake/_lake/commits").iterdir())
    assert json.loads((lake / "state.json").read_text()) == STATE


def test_the_same_rows_again_change_no_object(lake):
    before = {file: file.read_bytes() for table in ("people", "versioned") for file in files(lake / "lake", table)}
    messages = [MADE["schema"]("people", "id"), *MADE["records"]("people", range(20), "first")]
    messages += [MADE["schema"]("versioned", "id"), *MADE["records"]("versioned", range(20), "first", version=100)]
    load(lake, [*messages, {"type": "STATE", "value": STATE}]).succeeded()
    assert {
        file: file.read_bytes() for table in ("people", "versioned") for file in files(lake / "lake", table)
    } == before


def test_its_versions_count(lake):
    messages = [
        MADE["schema"]("versioned", "id"),
        *MADE["records"]("versioned", range(3), "second", version=200),
        {"type": "ACTIVATE_VERSION", "stream": "versioned", "version": 200},
        {"type": "STATE", "value": STATE},
    ]
    load(lake, messages).succeeded()
    assert rows(lake, "versioned") == names([], range(3))


def test_a_column_widens_in_all_of_its_objects(lake):
    schema = json.loads(json.dumps(MADE["schema"]("people", "id")))
    schema["schema"]["properties"]["n"] = {"type": ["null", "integer"]}
    schema["schema"]["properties"]["new"] = {"type": ["null", "string"]}
    load(lake, [schema, *MADE["records"]("people", [3], "second"), {"type": "STATE", "value": STATE}]).succeeded()
    assert rows(lake, "people") == names(range(20), [3])
    types = {str(pq.read_schema(file).field("n").type) for file in files(lake / "lake", "people")}
    assert types == {"int64"}


def test_a_generation_that_broke_off_goes_on_and_replaces_the_table(lake):
    stream = {
        "stream": {"name": "refreshed", "json_schema": MADE["SCHEMA"], "supported_sync_modes": ["full_refresh"]},
        "sync_mode": "full_refresh",
        "destination_sync_mode": "overwrite",
        "generation_id": 2,
        "minimum_generation_id": 2,
        "sync_id": 3,
    }
    (lake / "catalog.json").write_text(json.dumps({"streams": [stream]}))
    record = {"stream": "refreshed", "data": MADE["row"](5, "second 5"), "emitted_at": 1795458926348}
    status = {"stream_descriptor": {"name": "refreshed"}, "status": "COMPLETE"}
    trace = {"type": "STREAM_STATUS", "emitted_at": 1795458926348, "stream_status": status}
    messages = [{"type": "RECORD", "record": record}, {"type": "TRACE", "trace": trace}]
    command = [TARGET, "write", "--config", lake / "settings.json", "--catalog", lake / "catalog.json"]
    run(*command, stdin=lines(*messages), cwd=lake).succeeded()
    assert rows(lake, "refreshed") == names([], range(6))


def test_it_is_reported_and_cut_into_other_shards(lake):
    settings = lake / "settings.json"
    report = json.loads(run(TARGET, "maintain", "--config", settings, "--report", "json", cwd=lake).succeeded().out)
    assert {table["table"]: table["load_method"] for table in report["tables"]} == {
        "people": "upsert",
        "log": "append",
        "whole": "overwrite",
        "versioned": "upsert",
        "refreshed": "append",
    }
    assert report["unknown"] == []
    run(TARGET, "maintain", "--config", settings, "--table", "people", "--shards", "3", cwd=lake).succeeded()
    assert rows(lake, "people") == names(range(20))
