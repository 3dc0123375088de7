"""The same nights by the target alone, and by targets that land them and a job of Spark that merges them.

`scale.py [--rows N]`. The first night is a backfill of all rows; the second brings rows that are there and new ones,
late ones of all months, and a new column. After each the two tables are compared row by row. Both run on the same
machine: what it shows is what Spark costs, not what more machines bring. Needs `make .venv-iceberg/.ready` and Java.
Prints its table and keeps it as bench/results/scale.json.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import events
import figures
import measure

READERS = figures.ROOT / ".venv-iceberg" / "bin" / "python"
JAR = "lib/*/site-packages/snowpark_connect_deps_iceberg/jars/iceberg-spark-runtime-3.5_2.12-*.jar"
TARGETS = 2
FIRST = 1000
"""Rows of the first load, which makes the table."""
COLUMNS = [
    ("night", "night", None),
    ("rows", "rows", 0),
    ("by", "by", None),
    ("s", "seconds", 1),
    ("CPU s", "cpu", 1),
    ("peak MB", "peak", 0),
]
SETTINGS = {"table_format": "iceberg", "partition_by": events.MONTHS, "move_keys": False}
LANDING = {"table_format": "iceberg", "load_method": "append", "add_record_metadata": True}


def inputs(folder, rows):
    """Writes the messages of each night, whole and divided by key among the targets."""
    import duckdb

    size = rows // 10
    nights = {
        "first": events.relation(0, min(FIRST, rows), 7),
        "backfill": events.relation(0, rows, 7),
        "night": f"{events.night(rows, size, 7, 1)} union all select * from ({events.relation(0, size // 2, 7, 2)})",
    }
    with duckdb.connect() as connection:
        for name, query in nights.items():
            events.write_lines(connection, query, "singer", folder / name)
    with_column(folder / "night")
    for name in ("backfill", "night"):
        divide(folder / name)


def with_column(path):
    """Gives the messages of a file another column."""
    head, *rest = path.read_text().splitlines(keepends=True)
    schema = json.loads(head)
    schema["schema"]["properties"]["late_id"] = events.TEXT
    new = (line.replace('"media_id":', '"late_id":"x","media_id":') for line in rest)
    path.write_text(json.dumps(schema) + "\n" + "".join(new))


def divide(path):
    """Writes a file for each target. All rows of a key are in one of them."""
    with ExitStack() as stack, open(path) as whole:
        parts = [stack.enter_context(open(f"{path}.{part}", "w")) for part in range(TARGETS)]
        for line in whole:
            at = line.find('"event_key":"')
            own = parts if at < 0 or "SCHEMA" in line[:30] else [parts[int(line[at + 13 : at + 15], 16) % TARGETS]]
            for part in own:
                part.write(line)


def config(folder, name, settings):
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"destination": str(folder / "lake" / name), **settings}))
    return path


def shell(command):
    return measure.succeeded(measure.run(["bash", "-e", "-c", command]))


def load(folder, name, parts):
    """One target for each part, all at once."""
    runs = [
        f'{shlex.quote(str(measure.TARGET))} --config {folder}/{name}.json < {folder}/{part} > /dev/null & all+=" $!"'
        for part in parts
    ]
    return shell("all=''\n" + "\n".join(runs) + "\nfor one in $all; do wait $one; done")


def merge(folder, rows):
    (jar,) = READERS.parents[1].glob(JAR)
    command = [
        READERS.parent / "spark-submit",
        *("--master", "local[*]", "--driver-memory", "2g", "--jars", jar),
        *("--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1"),
        *(
            "--conf",
            "spark.driver.bindAddress=127.0.0.1",
            "--conf",
            f"spark.sql.shuffle.partitions={2 + rows // 200_000}",
        ),
        figures.ROOT / "deploy" / "spark" / "merge.py",
        *("--catalog", "folder", "--destination", folder / "lake" / "merged", "--table", events.STREAM),
    ]
    return shell(f"export PYSPARK_PYTHON={READERS}; {shlex.join(map(str, command))}")


def compare(folder):
    """Both tables have the same rows: their number."""
    script = (
        f"import sys, json; sys.path.insert(0, {str(figures.ROOT / 'tests')!r}); import iceberg_readers as readers\n"
        f"one, other = (f'{folder}/lake/{{name}}/{events.STREAM}' for name in ('alone', 'merged'))\n"
        "columns = [field.name for field in readers.table(one).schema().fields]\n"
        "print(json.dumps(readers.unlike(one, other, columns), default=str))"
    )
    done = subprocess.run([str(READERS), "-c", script], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    if found["missing"] or found["more"]:
        raise SystemExit(f"the tables differ: {found}")
    return found["rows"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=figures.RESULTS)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inputs:
        inputs(asked.inputs, asked.rows)
        return
    folder = measure.FOLDER / "scale"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = figures.place(["pyspark"])
    # In a process of its own: what DuckDB takes would count as the children's.
    subprocess.run([sys.executable, __file__, "--rows", str(asked.rows), "--inputs", str(folder)], check=True)
    for name, settings in (("alone", SETTINGS), ("merged", SETTINGS), ("merged__landing", LANDING)):
        config(folder, name, settings)
    for name in ("alone", "merged"):
        load(folder, name, ["first"])
    rows = []
    for night in ("backfill", "night"):
        parts = [f"{night}.{part}" for part in range(TARGETS)]
        with open(folder / night) as lines:
            sent = sum('"RECORD"' in line[:20] for line in lines)
        costs = {
            "the target alone": load(folder, "alone", [night]),
            f"{TARGETS} targets that land": load(folder, "merged__landing", parts),
            "the merge by Spark": merge(folder, asked.rows),
        }
        held = compare(folder)
        for by, cost in costs.items():
            own = {"seconds": cost.seconds, "cpu": cost.cpu, "peak": cost.peak}
            rows.append({"night": night, "rows": sent, "by": by, "held": held, **own})
    figures.show(figures.table(COLUMNS, rows))
    # A debug build is fast enough to compare rows, and no measure of the target.
    build = "release" if measure.BINARIES.name in ("release", "dist") else "other"
    settings = {"rows": asked.rows, "targets": TARGETS, "build": build}
    figures.keep("scale", asked.results, settings, rows, begun=begun)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
