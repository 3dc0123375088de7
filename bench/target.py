"""Other shapes of input, the same rows again, and Airbyte's messages next to Singer's.

`target.py [--scale SHARE] [--shapes NAME …] [--runs N]`. Prints its table and keeps it as bench/results/target.json.
"""

import argparse
import json
import shutil
import statistics

import figures
import measure

SHAPES = {
    # What it is, and how many records.
    "six": ("the shape of the tap's own output: six streams", 600_000),
    "interleaved": ("500 streams, one record at a time", 500_000),
    "wide": ("2,000 columns", 5_000),
    "long": ("strings of a megabyte", 300),
    "deep": ("objects and lists, thirty levels deep", 100_000),
}
EVENTS = 500_000
COLUMNS = [
    ("input", "input", None),
    ("load", "load", None),
    ("s", "seconds", 2),
    ("MB/s", "rate", 0),
    ("CPU s", "cpu", 2),
    ("peak MB", "peak", 0),
]


def source(shape, count):
    return measure.made_by_printing("singer.py", measure.FOLDER / f"{shape}-{count}.singer", shape, count)


def load(path, settings, verb=(), keep=False):
    lake = measure.FOLDER / "lake"
    if not keep:
        shutil.rmtree(lake, ignore_errors=True)
    config = measure.FOLDER / "config.json"
    config.write_text(json.dumps({"destination": str(lake), **settings}))
    return measure.succeeded(measure.run([measure.TARGET, *verb, "--config", config], path))


def row(name, how, path, costs):
    """The medians of some runs."""
    seconds = statistics.median(cost.seconds for cost in costs)
    return {
        "input": name,
        "load": how,
        "seconds": seconds,
        "rate": path.stat().st_size / 1e6 / seconds,
        "cpu": statistics.median(cost.cpu for cost in costs),
        "peak": max(cost.peak for cost in costs),
    }


def of_airbyte(path):
    """The same records as Airbyte's messages, and the catalog that they need."""
    messages = path.with_suffix(".airbyte")
    with open(path) as lines, open(messages, "w") as out:
        for line in lines:
            message = json.loads(line)
            if message["type"] == "RECORD":
                body = {"stream": message["stream"], "data": message["record"], "emitted_at": 1_795_458_926_348}
                put(out, {"type": "RECORD", "record": body})
            elif message["type"] == "SCHEMA":
                stream = {"name": message["stream"], "json_schema": message["schema"]}
        status = {"stream_descriptor": {"name": stream["name"]}, "status": "COMPLETE"}
        put(out, {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}})
    catalog = measure.FOLDER / "catalog.json"
    modes = {"sync_mode": "full_refresh", "destination_sync_mode": "append"}
    catalog.write_text(json.dumps({"streams": [{"stream": stream, **modes}]}))
    return messages, ("write", "--catalog", catalog)


def put(out, message):
    out.write(json.dumps(message, separators=(",", ":"), ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1, help="share of the records")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--results", default=figures.RESULTS)
    asked = parser.parse_args()
    begun = figures.place([])
    append = {"load_method": "append"}
    found = []
    for shape in asked.shapes:
        what, count = SHAPES[shape]
        # Half a million records in 500 streams are a thousand each.
        path = source(shape, max(int(count * asked.scale), 500 if shape == "interleaved" else 10))
        found.append(row(what, "append", path, [load(path, append) for _ in range(asked.runs)]))
    path = source("events", max(int(EVENTS * asked.scale), 10))
    first, again = [], []
    for _ in range(asked.runs):
        first.append(load(path, {}))
        again.append(load(path, {}, keep=True))
    found += [row("events of 1 kB", "upsert", path, first), row("the same again", "upsert", path, again)]
    messages, write = of_airbyte(path)
    for metadata in (False, True):
        settings = {**append, "add_record_metadata": metadata}
        columns = "with metadata columns" if metadata else "without metadata columns"
        costs = [(load(path, settings), load(messages, settings, write)) for _ in range(asked.runs)]
        found.append(row(f"events, {columns}", "append, Singer", path, [singer for singer, _ in costs]))
        found.append(row(f"events, {columns}", "append, Airbyte", messages, [airbyte for _, airbyte in costs]))
    figures.keep("target", asked.results, {"scale": asked.scale, "runs": asked.runs}, found, begun=begun)
    figures.show(figures.table(COLUMNS, found))


if __name__ == "__main__":
    main()
