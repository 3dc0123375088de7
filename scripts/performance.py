"""Fills docs/performance.md and docs/scale.md with the figures of bench/results, and draws charts. `--check` compares.

Run by `make bench-docs`. No figure is copied by hand, and a test compares the pages with what this would write.
"""

import argparse
import hashlib
import json
import re
import sys

import cores
import field
import figures
import growth
import scale
import tap
import target
import upsert

ROOT = figures.ROOT
PAGE = ROOT / "docs" / "performance.md"
PAGES = [PAGE, ROOT / "docs" / "scale.md"]
IMAGES = ROOT / "docs" / "images"
INSTRUCTIONS = ROOT / "tests" / "instructions.json"
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def measured(result):
    """Where and when it was measured, in a line."""
    machine, versions = result["machine"], result["versions"]
    others = ", ".join(f"{name} {number}" for name, number in versions.items() if name not in ("rustc", "python"))
    where = f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB"
    when = f"{result['date']}, commit {result['commit']}, load of the machine before: {machine['load']}"
    return f"\n{where}; {when}" + (f"; {others}" if others else "") + ".\n"


def rows_with(result, name):
    return [row for row in result["rows"] if name in row]


def of_growth(result):
    settings = result["settings"]
    return (
        figures.table(growth.COLUMNS, result["rows"])
        + measured(result)
        + f"`memory_mb` {settings['memory_mb']}, seed {settings['seed']}.\n"
    )


def given(result):
    """What went into a measurement of cores."""
    settings = result["settings"]
    size = f"{settings['events']:,} events, {settings['input_mb']:,.0f} MB"
    return f"{size}; medians of {settings['runs']}, taken in turn; cores given by {settings['by']}.\n"


def of_scale(result):
    is_release = result["settings"]["build"] == "release"
    build = "" if is_release else "The target was a debug build here, which is several times slower than a release.\n"
    return figures.table(scale.COLUMNS, result["rows"]) + measured(result) + build


def of_field(result):
    settings = result["settings"]
    what = f"{settings['night']:,} rows into {settings['rows']:,}; medians of {settings['runs']}"
    limits = f"at most {settings['limit']} s and {settings['most_gb']:g} GB a run"
    return figures.table(field.COLUMNS, result["rows"]) + measured(result) + f"{what}; {limits}.\n"


def of_delayed(result):
    settings = result["settings"]
    of = f"{settings['delay']:g} ms for each answer; medians of {settings['runs']}.\n"
    return figures.table(upsert.DELAYED, rows_with(result, "load")) + measured(result) + of


def of_instructions(result):
    names = {"dev": "the build that is tested", "release": "a release"}
    rows = [{"build": names.get(name, name), **counts} for name, counts in result.items() if isinstance(counts, dict)]
    columns = [("build", "build", None), ("append", "append", 0), ("of it encoding", "encode", 0), ("keys", "keys", 0)]
    return figures.table(columns, rows) + f"\n{result['rustc']}, {result['target']}.\n"


BLOCKS = {
    # The file of the figures, and what is made of them.
    "growth": ("growth", of_growth),
    "cores": ("cores", lambda result: figures.table(cores.OURS, result["rows"]) + measured(result) + given(result)),
    "duckdb": ("cores", lambda result: figures.table(cores.BESIDE, result["rows"])),
    "shapes": ("target", lambda result: figures.table(target.COLUMNS, result["rows"]) + measured(result)),
    "nights": ("upsert", lambda result: figures.table(upsert.NIGHTS, rows_with(result, "night")) + measured(result)),
    "delayed": ("upsert", of_delayed),
    "field": ("field", of_field),
    "tap": ("tap", lambda result: figures.table(tap.COLUMNS, result["rows"]) + measured(result)),
    "instructions": (None, of_instructions),
    "scale": ("scale", of_scale),
}
CHARTS = {
    # The figures that each is drawn from, by the function of its name in `performance_charts`.
    "growth_time": "growth",
    "growth_bytes": "growth",
    "growth_memory": "growth",
    "cores_rate": "cores",
    "field_time": "field",
    "field_memory": "field",
}


def figures_of(name):
    return figures.kept(name) if name else json.loads(INSTRUCTIONS.read_text())


def fill(page):
    """The page with the text of every block as it must be."""

    def block(match):
        start, name, end = match.groups()
        source, text = BLOCKS[name]
        return f"{start}\n{text(figures_of(source))}\n{end}"

    return BLOCK.sub(block, page)


def image(chart):
    return IMAGES / f"performance_{chart}.svg"


def fingerprint(source):
    """What a chart was drawn from, so that a chart of other figures is noticed."""
    return hashlib.sha256(json.dumps(figures.kept(source)["rows"], sort_keys=True).encode()).hexdigest()


def stale():
    """What does not say what was measured."""
    charts = [image(chart) for chart, source in CHARTS.items()]
    sources = [fingerprint(source) for source in CHARTS.values()]
    drawn = [path for path, source in zip(charts, sources, strict=True) if source not in text_of(path)]
    return drawn + [page for page in PAGES if fill(page.read_text()) != page.read_text()]


def text_of(path):
    return path.read_text() if path.exists() else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        found = [str(path.relative_to(ROOT)) for path in stale()]
        sys.exit(f"not of the figures in bench/results: {', '.join(found)}; run `make bench-docs`" if found else 0)

    import charts
    import performance_charts

    for page in PAGES:
        page.write_text(fill(page.read_text()))
    for chart, source in CHARTS.items():
        figure = getattr(performance_charts, chart)(figures.kept(source))
        charts.save(figure, image(chart), fingerprint(source))


if __name__ == "__main__":
    main()
