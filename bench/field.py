"""One night, done by us and by others: 100,000 rows, half of them new, into a table of 10 million, by key.

`field.py [--rows N] [--night N] [--seed N] [--only NAME …]`, in an environment with requirements-field.txt. All get the
same rows and the same table, prepared once and copied before each run, every run in a process of its own with a limit
of time and memory, and the rows are compared afterwards. Prints its table and keeps it as bench/results/field.json.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import figures
import measure

PACKAGES = ["deltalake", "dlt", "duckdb", "duckdb-extension-ducklake", "pyiceberg", "pyarrow"]
BY_MONTH = {"partition_by": {"column": "received_at", "granularity": "month"}}
OURS = {"target-s3-parquet, by month": BY_MONTH, "target-s3-parquet": {}}
OTHERS = [
    "delta-rs, by month",
    "delta-rs",
    "DuckDB table",
    "DuckLake, by month",
    "DuckLake",
    "DuckDB COPY, by month",
    "DuckDB COPY",
    "pyiceberg, by month",
    "pyiceberg",
    "dlt to Delta",
    "dlt to DuckDB",
]
COLUMNS = [
    ("who", "who", None),
    ("settings", "settings", None),
    ("s", "seconds", 2),
    ("CPU s", "cpu", 1),
    ("peak MB", "peak", 0),
    ("written, MB", "written", 0),
    ("rows", "outcome", None),
]
SCRIPT = Path(__file__).resolve().parent / "contenders.py"


class Contender:
    """Prepares its table, merges a night into it, and is compared with what must come of that."""

    def __init__(self, name, folder, asked):
        self.name, self.asked = name, asked
        self.given, self.work, self.prepared = folder / "given", folder / "work", folder / "prepared"
        self.limits = {"limit": asked.limit, "most": asked.most_gb * 1000}

    def run(self, step):
        if self.name not in OURS:
            command = [sys.executable, SCRIPT, self.name, step, self.work, self.given]
            cost = measure.run(command, **self.limits)
            if not cost.failure:
                # Without the start of Python and its imports, for those who have them in a program that runs on.
                cost.seconds = float((measure.FOLDER / "out").read_text().split()[-1])
            return cost
        config = self.work / "config.json"
        if step == "prepare":
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir(parents=True)
            config.write_text(json.dumps({"destination": str(self.work / "lake"), **OURS[self.name]}))
        rows = self.given / ("base.singer" if step == "prepare" else "night.singer")
        return measure.run([measure.TARGET, "--config", config], rows, **self.limits)

    def outcome(self, expected):
        command = [sys.executable, SCRIPT, self.name, "check", self.work]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"not read back: {(done.stderr.strip().splitlines() or ['?'])[-1][:120]}"
        return "equal" if json.loads(done.stdout) == expected else f"differ: {done.stdout.strip()}"

    def nights(self):
        """The cost of each run, until one fails."""
        costs = []
        for _ in range(self.asked.runs):
            shutil.rmtree(self.work, ignore_errors=True)
            # A copy, at the place at which it was prepared: some keep paths.
            shutil.copytree(self.prepared, self.work, symlinks=True)
            costs.append(self.run("merge"))
            if costs[-1].failure:
                break
        return costs

    def row(self, expected):
        made = self.run("prepare")
        found = {"who": self.name, "settings": self.settings()}
        if made.failure:
            return {**found, "outcome": f"could not make the table: {made.failure}"}
        shutil.rmtree(self.prepared, ignore_errors=True)
        self.work.rename(self.prepared)
        costs = self.nights()
        found |= {"prepared_seconds": made.seconds, "prepared_peak": made.peak}
        if costs[-1].failure:
            return {**found, "peak": costs[-1].peak, "outcome": costs[-1].failure}
        for name in ("seconds", "cpu", "written"):
            found[name] = statistics.median(getattr(cost, name) for cost in costs)
        found["all_seconds"] = [round(cost.seconds, 3) for cost in costs]
        return {**found, "peak": max(cost.peak for cost in costs), "outcome": self.outcome(expected)}

    def settings(self):
        if self.name in OURS:
            return "defaults" + (", by month of received_at" if OURS[self.name] else "")
        asked = [sys.executable, SCRIPT, self.name, "settings", self.work]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--night", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=600, help="seconds of a run")
    parser.add_argument("--most-gb", type=float, default=16, help="memory of a run")
    parser.add_argument("--only", nargs="+", choices=[*OURS, *OTHERS], default=[*OURS, *OTHERS])
    parser.add_argument("--results", default=figures.RESULTS)
    asked = parser.parse_args()
    begun = figures.place(PACKAGES)
    folder = measure.FOLDER.absolute() / "field"
    shutil.rmtree(folder, ignore_errors=True)
    inputs = [SCRIPT, "-", "inputs", folder / "given", asked.rows, asked.night, asked.seed]
    subprocess.run([sys.executable, *map(str, inputs)], check=True)
    expected = json.loads((folder / "given" / "expected.json").read_text())
    found = []
    for name in asked.only:
        found.append(Contender(name, folder, asked).row(expected))
        print(f"{name}: {found[-1].get('seconds')} s, {found[-1]['outcome']}", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    settings = {name: getattr(asked, name) for name in ("rows", "night", "seed", "runs", "limit", "most_gb")}
    figures.keep("field", asked.results, settings, found, begun=begun)
    figures.show(figures.table(COLUMNS, found))


if __name__ == "__main__":
    main()
