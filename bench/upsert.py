"""Nights: a small increment into a large lake, and many partitions and tables on an S3 whose answers take a while.

`upsert.py [--events N …] [--where folder s3] [--formats parquet iceberg] [--partitions N] [--tables N]
[--delay MS]`. What a night costs must follow the two months that it touches, not the lake; what many objects cost must
not be their number times the delay. The S3 is `s3_server.py`. Prints its tables and
keeps them as bench/results/upsert.json.
"""

import argparse
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import events
import figures
import measure

ROWS_OF_A_PARTITION = 20
NIGHTS = [
    ("where", "where", None),
    ("tables", "format", None),
    ("rows", "rows", 0),
    ("made in, s", "made", 1),
    ("a night of", "night", 0),
    ("s", "seconds", 2),
    ("CPU s", "cpu", 2),
    ("read, MB", "read", 0),
    ("written, MB", "written", 0),
    ("peak MB", "peak", 0),
]
DELAYED = [
    ("load", "load", None),
    ("s", "seconds", 2),
    ("CPU s", "cpu", 2),
    ("GET", "GET", 0),
    ("PUT", "PUT", 0),
    ("POST", "POST", 0),
    ("DELETE", "DELETE", 0),
    ("peak MB", "peak", 0),
]


class Server:
    """The S3 of this folder, and what it has counted."""

    def __init__(self, delay):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        script = Path(__file__).resolve().parent / "s3_server.py"
        self.process = subprocess.Popen([sys.executable, str(script), str(self.port), str(delay)])
        for _ in range(100):
            try:
                self.counts()
            except urllib.error.URLError:
                time.sleep(0.05)
            else:
                break

    def counts(self):
        """Requests by their method and bytes, since it was last asked."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/counts", timeout=10) as answer:
            return json.load(answer)

    def settings(self):
        s3 = {
            "endpoint_url": f"http://127.0.0.1:{self.port}",
            "force_path_style": True,
            "region": "us-east-1",
            "access_key_id": "bench",
            "secret_access_key": "bench",
        }
        return {"destination": "s3://bench/lake", "s3": s3}


@contextmanager
def lake(where, delay=0):
    """The settings of an empty lake, and its server if it has one."""
    if where == "folder":
        folder = measure.FOLDER / "lake"
        shutil.rmtree(folder, ignore_errors=True)
        yield {"destination": str(folder)}, None
        shutil.rmtree(folder)
    else:
        server = Server(delay)
        try:
            yield server.settings(), server
        finally:
            server.process.kill()
            server.process.wait()


def load(settings, source, server):
    """The cost of a run; on S3, what was read and written is what the server has counted."""
    config = measure.FOLDER / "config.json"
    config.write_text(json.dumps(settings))
    if server:
        server.counts()
    row = vars(measure.succeeded(measure.run([measure.TARGET, "--config", config], source)))
    if server:
        counts = server.counts()
        row |= {name: counts.get(name, 0) for name in ("GET", "HEAD", "PUT", "POST", "DELETE")}
        row |= {"read": counts.get("sent", 0) / 1e6, "written": counts.get("received", 0) / 1e6}
    return row


def input_of(rows, seed, *more):
    path = measure.FOLDER / f"events-{'-'.join(map(str, [rows, seed, *more]))}.singer"
    return measure.made("events.py", path, "--seed", seed, *more, "singer", rows)


def nights(where, table_format, rows, asked):
    """One percent of a lake comes, half of it new, in two of its 24 months; night after night."""
    size = max(rows // 100, 2)
    with lake(where) as (settings, server):
        settings = {**settings, "partition_by": events.MONTHS, "table_format": table_format}
        made = load(settings, input_of(rows, asked.seed), server)
        sources = [input_of(rows, asked.seed, "--night", size, "--seen", seen + 1) for seen in range(asked.runs)]
        costs = [load(settings, source, server) for source in sources]
    for source in sources:
        source.unlink()
    found = {name: statistics.median(cost[name] for cost in costs) for name in ("seconds", "cpu", "read", "written")}
    found["all_seconds"] = [round(cost["seconds"], 3) for cost in costs]
    peak = max(cost["peak"] for cost in [made, *costs])
    return {
        "where": where,
        "format": table_format,
        "rows": rows,
        "made": made["seconds"],
        "night": size,
        **found,
        "peak": peak,
    }


def partitioned(path, partitions, seed):
    """A few rows in each of many partitions."""
    chance = random.Random(seed)
    numbers = list(range(partitions * ROWS_OF_A_PARTITION))
    chance.shuffle(numbers)
    properties = {"id": {"type": "integer"}, "part": {"type": "string"}, "value": {"type": "number"}}
    with open(path, "w") as out:
        write(out, {"type": "SCHEMA", "stream": "t", "schema": {"properties": properties}, "key_properties": ["id"]})
        for number in numbers:
            record = {"id": number, "part": f"p{number % partitions:05}", "value": chance.random()}
            write(out, {"type": "RECORD", "stream": "t", "record": record})
        write(out, {"type": "STATE", "value": {"done": seed}})
    return path


def tables(path, count):
    """A few rows in each of many tables."""
    properties = {"id": {"type": "integer"}, "value": {"type": "string"}}
    with open(path, "w") as out:
        for number in range(count):
            stream = {"type": "SCHEMA", "stream": f"t{number}", "key_properties": ["id"]}
            write(out, {**stream, "schema": {"properties": properties}})
            for row in range(ROWS_OF_A_PARTITION):
                record = {"id": row, "value": f"value {row}"}
                write(out, {"type": "RECORD", "stream": f"t{number}", "record": record})
        write(out, {"type": "STATE", "value": {"done": True}})
    return path


def write(out, message):
    out.write(json.dumps(message) + "\n")


def delayed(asked):
    """Loads into many objects on an S3 that takes its time for each answer."""
    measure.FOLDER.mkdir(parents=True, exist_ok=True)
    night = [partitioned(measure.FOLDER / f"night-{number}.singer", asked.partitions, number) for number in (1, 2)]
    many = tables(measure.FOLDER / "tables.singer", asked.tables)
    split = {"partition_by": {"column": "part"}}
    of = f"{asked.partitions} partitions"
    plan = [
        ([f"append, {of}"], {"load_method": "append", **split}, night[:1]),
        ([f"overwrite, {of}", f"overwrite again, {of}"], {"load_method": "overwrite", **split}, night),
        ([f"upsert, first night, {of}", f"upsert, second night, {of}"], split, night),
        ([f"{asked.tables} tables", f"{asked.tables} tables, second night"], {}, [many, many]),
    ]
    found = []
    for names, more, sources in plan:
        costs = []
        for _ in range(asked.runs):
            with lake("s3", asked.delay) as (settings, server):
                costs.append([load({**settings, **more}, source, server) for source in sources])
        for number, name in enumerate(names):
            runs = sorted((run[number] for run in costs), key=lambda run: run["seconds"])
            found.append({"load": name, **runs[len(runs) // 2]})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--where", nargs="+", choices=["folder", "s3"], default=["folder", "s3"])
    parser.add_argument("--formats", nargs="+", choices=["parquet", "iceberg"], default=["parquet", "iceberg"])
    parser.add_argument("--partitions", type=int, default=500)
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--delay", type=float, default=40, help="milliseconds of each answer of S3")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--results", default=figures.RESULTS)
    asked = parser.parse_args()
    begun = figures.place(["duckdb"])
    large = [
        nights(where, table_format, rows, asked)
        for rows in asked.events
        for where in asked.where
        for table_format in asked.formats
    ]
    many = delayed(asked) if "s3" in asked.where else []
    settings = {name: getattr(asked, name) for name in ("partitions", "tables", "delay", "seed", "runs")}
    figures.keep("upsert", asked.results, settings, large + many, begun=begun)
    figures.show(figures.table(NIGHTS, large))
    figures.show(figures.table(DELAYED, many))


if __name__ == "__main__":
    main()
