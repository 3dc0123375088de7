"""Figures: kept as JSON with where and when they were measured, and shown as tables.

`docs/performance.md` is filled from these files by `scripts/performance.py`.
"""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


def said(*command):
    """What a program prints, in one line; nothing where there is none."""
    try:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return " ".join(done.stdout.split())


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def installed(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def place(packages):
    """The machine, the code and what else it was measured with."""
    changed = "+" if said("git", "status", "--porcelain", "--untracked-files=no") else ""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": said("git", "rev-parse", "--short=12", "HEAD") + changed,
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(pages / 1e9),
            "system": platform.platform(),
            # Of the minute before: whether others were at work.
            "load": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "rustc": said("rustc", "--version"),
            "python": platform.python_version(),
            **{name: found for name in packages if (found := installed(name))},
        },
    }


def keep(name, where, settings, rows, packages=(), begun=None):
    """Writes the figures of a measurement: its settings, and a row for each thing measured."""
    folder = Path(where)
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**(begun or place(packages)), "settings": settings, "rows": [rounded(row) for row in rows]}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    print(f"\nin {path}", file=sys.stderr)
    return whole


def rounded(row):
    """Three digits behind the point are more than a clock tells."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}


def kept(name, where=RESULTS):
    return json.loads((Path(where) / f"{name}.json").read_text())


def ratio(value, other):
    """How often one number is in another; None where one of them is not known."""
    return value / other if value is not None and other else None


def cell(value, digits):
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:,.{digits}f}"


def table(columns, rows):
    """Rows as Markdown. A column is its title, where its value is found, and how many digits follow the point; without
    digits it is text, to the left."""
    heads = [title for title, _, _ in columns]
    lines = [heads, [":--" if digits is None else "--:" for _, _, digits in columns]]
    for row in rows:
        values = [find(row) if callable(find) else row.get(find) for _, find, _ in columns]
        lines.append([cell(value, digits or 0) for value, (_, _, digits) in zip(values, columns, strict=True)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def show(text):
    print("\n" + text, flush=True)
