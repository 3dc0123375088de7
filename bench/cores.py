"""Cores against seconds, rate, CPU and memory, next to DuckDB: with the order of the rows kept, and given up.

`cores.py [--cores 1 2 4 8 16] [--events N] [--seed N] [--by taskset|setting]`: the same events of 1 kB by each, in
turn, and the median of each. The cores are given by taskset; with `--by setting` by the setting `threads` alone. Prints
its table and keeps it as bench/results/cores.json.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
from dataclasses import replace

import figures
import measure
from singer import EVENT

CODECS = ["snappy", "zstd"]
OURS = [
    ("codec", "codec", None),
    ("cores", "cores", 0),
    ("append, s", lambda row: row["append"]["seconds"], 2),
    ("GB/s", lambda row: row["append"]["rate"], 2),
    ("CPU s", lambda row: row["append"]["cpu"], 1),
    ("peak MB", lambda row: row["append"]["peak"], 0),
    ("upsert, s", lambda row: row["upsert"]["seconds"], 2),
    ("× append", lambda row: row["upsert"]["seconds"] / row["append"]["seconds"], 2),
    ("CPU s", lambda row: row["upsert"]["cpu"], 1),
    ("peak MB", lambda row: row["upsert"]["peak"], 0),
]
BESIDE = [
    *OURS[:3],
    ("DuckDB in order, s", lambda row: row["ordered"]["seconds"], 2),
    ("× ours", lambda row: row["ordered"]["seconds"] / row["append"]["seconds"], 2),
    ("CPU s", lambda row: row["ordered"]["cpu"], 1),
    ("peak MB", lambda row: row["ordered"]["peak"], 0),
    ("order given up, s", lambda row: row["unordered"]["seconds"], 2),
    ("× ours", lambda row: row["unordered"]["seconds"] / row["append"]["seconds"], 2),
    ("peak MB", lambda row: row["unordered"]["peak"], 0),
]


def duckdb_type(schema):
    """The DuckDB type of a property."""
    kind = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "object" in kind:
        inner = (f'"{name}" {duckdb_type(property)}' for name, property in schema["properties"].items())
        return f"STRUCT({', '.join(inner)})"
    return {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}[kind[-1]]


DUCKDB = """
import sys, time, duckdb
source, target, codec, record, threads, ordered = sys.argv[1:]
connection = duckdb.connect()
connection.execute(f"SET threads={threads}; SET preserve_insertion_order={ordered}; SET enable_progress_bar=false")
started = time.monotonic()
connection.execute(f\"\"\"COPY (SELECT unnest(record) FROM read_json('{source}', format='newline_delimited',
    columns={{'type': 'VARCHAR', 'record': '{record}'}}) WHERE type = 'RECORD')
    TO '{target}' (FORMAT parquet, COMPRESSION {codec})\"\"\")
print(time.monotonic() - started)
"""


def duckdb(source, codec, cores, ordered):
    """DuckDB reads the same file with the same types. Its time is of its COPY alone, without the start of Python."""
    types = duckdb_type({"type": "object", "properties": EVENT})
    parquet = measure.FOLDER / "duckdb.parquet"
    command = [sys.executable, "-c", DUCKDB, source, parquet, codec, types, cores, str(ordered).lower()]
    cost = measure.succeeded(measure.run(command, cores=cores))
    return replace(cost, seconds=float((measure.FOLDER / "out").read_text()))


def target(source, cores=None, **settings):
    """One load into an empty lake."""
    lake = measure.FOLDER / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    config = measure.FOLDER / "config.json"
    config.write_text(json.dumps({"destination": str(lake), **settings}))
    return measure.succeeded(measure.run([measure.TARGET, "--config", config], source, cores))


def medians(costs, size):
    seconds = statistics.median(cost.seconds for cost in costs)
    return {
        "seconds": seconds,
        "rate": size / seconds / 1000,
        "cpu": statistics.median(cost.cpu for cost in costs),
        "peak": max(cost.peak for cost in costs),
        "all_seconds": [round(cost.seconds, 3) for cost in costs],
    }


def by_turns(source, codec, cores, runs, by):
    """The medians of each, taken in turn: what disturbs one disturbs all."""
    threads = {"threads": cores} if by == "setting" else {}
    given = None if by == "setting" else cores

    contenders = {
        "append": lambda: target(source, given, load_method="append", compression=codec, **threads),
        "upsert": lambda: target(source, given, compression=codec, **threads),
        "ordered": lambda: duckdb(source, codec, cores, True),
        "unordered": lambda: duckdb(source, codec, cores, False),
    }
    costs = {name: [] for name in contenders}
    for _ in range(runs):
        for name, once in contenders.items():
            costs[name].append(once())
    size = source.stat().st_size / 1e6
    return {"codec": codec, "cores": cores, **{name: medians(found, size) for name, found in costs.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    have = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    default = [cores for cores in (1, 2, 4, 8, 16) if cores <= have]
    parser.add_argument("--cores", type=int, nargs="+", default=default)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--codecs", nargs="+", default=CODECS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--by", choices=["taskset", "setting"], default="taskset")
    parser.add_argument("--results", default=figures.RESULTS)
    asked = parser.parse_args()
    begun = figures.place(["duckdb"])
    path = measure.FOLDER / f"kb-{asked.events}-{asked.seed}.singer"
    source = measure.made_by_printing("singer.py", path, "events", asked.events, asked.seed)
    found = []
    for codec in asked.codecs:
        for cores in asked.cores:
            found.append(by_turns(source, codec, cores, asked.runs, asked.by))
            print(f"{codec}, {cores} cores: {found[-1]['append']['seconds']:.2f} s", file=sys.stderr, flush=True)
    settings = {
        "events": asked.events,
        "input_mb": source.stat().st_size / 1e6,
        "seed": asked.seed,
        "runs": asked.runs,
        "by": asked.by,
    }
    figures.keep("cores", asked.results, settings, found, begun=begun)
    figures.show(figures.table(OURS, found))
    figures.show(figures.table(BESIDE, found))


if __name__ == "__main__":
    main()
