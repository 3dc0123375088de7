"""Measures the target, side by side with DuckDB reading the same file under the same schema."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from singer import EVENT

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "target" / "release" / "target-s3-parquet"
FOLDER = HERE.parent / "target" / "bench"
RUNS = 5


def made(shape, count):
    """The file of a shape, made once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{shape}-{count}.singer"
    if not path.exists():
        part = path.with_suffix(".part")
        with open(part, "w") as out:
            subprocess.run([sys.executable, HERE / "singer.py", shape, str(count)], stdout=out, check=True)
        part.rename(path)
    return path


def load(source, keep=False, verb=(), **settings):
    """Seconds and peak memory in MB of one run."""
    lake = FOLDER / "lake"
    if not keep:
        shutil.rmtree(lake, ignore_errors=True)
    config = FOLDER / "config.json"
    config.write_text(json.dumps({"destination": str(lake), **settings}))
    started = time.monotonic()
    with open(source) as stdin, open(FOLDER / "log", "w") as log:
        process = subprocess.Popen(
            [TARGET, *verb, "--config", config], stdin=stdin, stdout=subprocess.DEVNULL, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (FOLDER / "log").read_text()[-2000:]
    return time.monotonic() - started, usage.ru_maxrss / 1024


def duckdb_type(schema):
    """The DuckDB type of a property."""
    kind = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "object" in kind:
        return (
            "STRUCT("
            + ", ".join(f'"{name}" {duckdb_type(inner)}' for name, inner in schema["properties"].items())
            + ")"
        )
    return {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}[kind[-1]]


DUCKDB = """
import sys, time, duckdb
source, target, codec, record = sys.argv[1:]
connection = duckdb.connect()
connection.execute("SET threads=2; SET preserve_insertion_order=true; SET enable_progress_bar=false")
started = time.monotonic()
connection.execute(f\"\"\"COPY (SELECT unnest(record) FROM read_json('{source}', format='newline_delimited',
    columns={{'type': 'VARCHAR', 'record': '{record}'}}) WHERE type = 'RECORD')
    TO '{target}' (FORMAT parquet, COMPRESSION {codec})\"\"\")
print(time.monotonic() - started)
"""


def duckdb(source, codec):
    command = [
        sys.executable,
        "-c",
        DUCKDB,
        source,
        FOLDER / "duckdb.parquet",
        codec,
        duckdb_type({"type": "object", "properties": EVENT}),
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def versus(records=500_000):
    source = made("events", records)
    size = source.stat().st_size / 1e6
    print(f"{records:,} events, {size:.0f} MB, local, append; seconds are medians of {RUNS}, taken in turn")
    for codec in ("snappy", "zstd"):
        ours, theirs, memory = [], [], 0
        for _ in range(RUNS):
            seconds, peak = load(source, load_method="append", compression=codec)
            ours.append(seconds)
            memory = max(memory, peak)
            theirs.append(duckdb(source, codec))
        own, other = statistics.median(ours), statistics.median(theirs)
        print(
            f"  {codec:7} target {own:.2f} s ({size / own:.0f} MB/s, {memory:.0f} MB peak), "
            f"DuckDB {other:.2f} s: {other / own:.2f} times its rate"
        )


def shapes():
    for shape, count in [("six", 600_000), ("interleaved", 500_000), ("wide", 5_000), ("long", 300), ("deep", 100_000)]:
        source = made(shape, count)
        seconds, memory = load(source, load_method="append")
        print(f"  {shape:12} {source.stat().st_size / 1e6 / seconds:5.0f} MB/s, {seconds:.2f} s, {memory:.0f} MB peak")


def longer():
    source = made("events", 5_000_000)
    for method in ("append", "upsert"):
        seconds, memory = load(source, load_method=method)
        print(f"  ten times longer, {method}: {seconds:.1f} s, {memory:.0f} MB peak")


def upsert(records=500_000):
    seconds, memory = load(made("events", records))
    print(f"  upsert into an empty lake: {seconds:.2f} s, {memory:.0f} MB peak")
    seconds, memory = load(made("events", records), keep=True)
    print(f"  the same again: {seconds:.2f} s, {memory:.0f} MB peak")


def airbyte(records=500_000):
    """The verb `write` next to the same records as Singer messages."""
    singer = made("events", records)
    messages = singer.with_suffix(".airbyte")
    if not messages.exists():
        with open(singer) as lines, open(messages, "w") as out:
            for line in lines:
                message = json.loads(line)
                if message["type"] == "RECORD":
                    body = {"stream": message["stream"], "data": message["record"], "emitted_at": 1_795_458_926_348}
                    out.write(
                        json.dumps({"type": "RECORD", "record": body}, separators=(",", ":"), ensure_ascii=False) + "\n"
                    )
                elif message["type"] == "SCHEMA":
                    stream = {"name": message["stream"], "json_schema": message["schema"]}
            status = {"stream_descriptor": {"name": stream["name"]}, "status": "COMPLETE"}
            trace = {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}
            out.write(json.dumps({"type": "TRACE", "trace": trace}) + "\n")
        catalog = {"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}
        (FOLDER / "catalog.json").write_text(json.dumps(catalog))
    write = ("write", "--catalog", FOLDER / "catalog.json")
    size = singer.stat().st_size / 1e6
    for metadata in (False, True):
        settings = {"load_method": "append", "add_record_metadata": metadata}
        seconds = {"singer": [], "airbyte": []}
        for _ in range(RUNS):
            seconds["singer"].append(load(singer, **settings)[0])
            seconds["airbyte"].append(load(messages, verb=write, **settings)[0])
        own, other = statistics.median(seconds["singer"]), statistics.median(seconds["airbyte"])
        columns = "with" if metadata else "without"
        print(
            f"  {columns} metadata columns: Singer {own:.2f} s ({size / own:.0f} MB/s), "
            f"Airbyte {other:.2f} s: {other / own:.2f} times as long"
        )


if __name__ == "__main__":
    for name in sys.argv[1:] or ["versus", "shapes", "upsert"]:
        globals()[name]()
