"""Rows against seconds, CPU, bytes and memory, for every way in which rows enter a table.

`growth.py [--rows 1 2 4 8 16] [--seed N] [--loads append upsert …]`: millions of rows with random keys and times, each
way into a table of its own. Prints its table and keeps it as bench/results/growth.json.
"""

import argparse
import json
import shutil
import sys

import events
import figures
import measure

BY_MONTH = {"partition_by": events.MONTHS}
LOADS = {
    # Settings, the form of the input, and the load that it is held against.
    "append": ({"load_method": "append"}, "singer", None),
    "append, 24 months": ({"load_method": "append", **BY_MONTH}, "singer", None),
    "upsert": ({}, "singer", "append"),
    "upsert, 24 months": (BY_MONTH, "singer", "append, 24 months"),
    "upsert, 16 shards": ({"shards": 16}, "singer", "append"),
    "overwrite": ({"load_method": "overwrite"}, "singer", "append"),
    "ACTIVATE_VERSION": ({}, "versioned", "append"),
    "Airbyte refresh": ({}, "airbyte", "append"),
}
COLUMNS = [
    ("load", "load", None),
    ("million rows", lambda row: f"{row['rows'] / 1e6:g}", 0),
    ("s", "seconds", 1),
    ("× append", "of_append", 2),
    ("CPU s", "cpu", 1),
    ("× append", "cpu_of_append", 2),
    ("to the lake, MB", "written", 0),
    ("to temporary files, MB", "temporary", 0),
    ("the table, MB", "final", 0),
    ("written / table", "amplification", 2),
    ("peak MB", "peak", 0),
]


def catalog(generation):
    """A refresh of Airbyte that replaces all of an earlier generation."""
    stream = {"name": events.STREAM, "json_schema": events.SCHEMA, "source_defined_primary_key": [[events.KEY]]}
    configured = {
        "stream": stream,
        "sync_mode": "full_refresh",
        "destination_sync_mode": "append_dedup",
        "primary_key": [[events.KEY]],
        "generation_id": generation,
        "minimum_generation_id": generation,
        "sync_id": generation,
    }
    return {"streams": [configured]}


def command(form, settings, generation):
    """The command that loads an input of a form."""
    config = measure.FOLDER / "config.json"
    config.write_text(json.dumps(settings))
    if form != "airbyte":
        return [measure.TARGET, "--config", config]
    (measure.FOLDER / "catalog.json").write_text(json.dumps(catalog(generation)))
    return [measure.TARGET, "write", "--config", config, "--catalog", measure.FOLDER / "catalog.json"]


def source(form, rows, seed, version=2):
    path = measure.FOLDER / f"events-{rows}-{seed}-{version}.{form}"
    return measure.made("events.py", path, "--seed", seed, "--version", version, form, rows)


def load(name, rows, seed, more):
    """One load into an empty table; a version or a generation takes the place of a small one that is there."""
    settings, form, _ = LOADS[name]
    lake = measure.FOLDER / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    settings = {"destination": str(lake), **settings, **more}
    if form != "singer":
        first = source(form, max(rows // 1000, 10), seed + 1, version=1)
        measure.succeeded(measure.run(command(form, settings, 1), first))
    large = source(form, rows, seed)
    cost = measure.succeeded(measure.run(command(form, settings, 2), large))
    final, files = measure.size(lake)
    shutil.rmtree(lake)
    if form != "singer":
        large.unlink()
    return {"load": name, "rows": rows, **vars(cost), "final": final, "files": files}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="+", default=[1, 2, 4, 8, 16], help="in millions")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS))
    parser.add_argument("--memory-mb", type=int, default=256)
    parser.add_argument("--results", default=figures.RESULTS)
    asked = parser.parse_args()
    begun = figures.place(["duckdb"])
    found = []
    for millions in asked.rows:
        rows = int(millions * 1e6)
        for name in asked.loads:
            row = load(name, rows, asked.seed, {"memory_mb": asked.memory_mb})
            append = next((one for one in found if (one["load"], one["rows"]) == (LOADS[name][2], rows)), None)
            for ours, measured in (("of_append", "seconds"), ("cpu_of_append", "cpu")):
                row[ours] = append and figures.ratio(row[measured], append[measured])
            row["amplification"] = figures.ratio(row["written"], row["final"])
            found.append(row)
            print(f"{name}, {rows:,} rows: {row['seconds']:.2f} s", file=sys.stderr, flush=True)
        source("singer", rows, asked.seed).unlink()
    settings = {"memory_mb": asked.memory_mb, "seed": asked.seed}
    figures.keep("growth", asked.results, settings, found, begun=begun)
    figures.show(figures.table(COLUMNS, found))


if __name__ == "__main__":
    main()
