"""Fills docs/querying.md with the queries and what they answer on the demo lake, and draws its charts.

Run by `make docs`. A test compares the page with what this would write.
"""

import hashlib
import json
import re
import tempfile
from pathlib import Path

import redshift
from demo import Demo, analyst, ask
from harness import ROOT

PAGE = ROOT / "docs" / "querying.md"
IMAGES = ROOT / "docs" / "images"
QUERIES = ROOT / "deploy" / "redshift"
BLOCK = re.compile(r"(<!-- (query|answer): (\S+)(?: first (\d+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def answer(connection, question):
    """The columns and rows of an answer."""
    query = redshift.question((QUERIES / f"{question}.sql").read_text())
    return ask(connection, redshift.to_duckdb(query))


def fill(page, connection):
    """The page with the text of every block as it must be."""

    def block(match):
        start, kind, question, first, end = match.groups()
        if kind == "query":
            text = f"```sql\n{(QUERIES / f'{question}.sql').read_text()}```\n"
        else:
            text = table(*answer(connection, question), first=first and int(first))
        return f"{start}{text}{end}"

    return BLOCK.sub(block, page)


def table(columns, rows, first=None):
    """An answer as a table in Markdown, or its first rows and how many more there are."""
    shown = rows[:first]
    numeric = [
        all(value is None or isinstance(value, (int, float)) for value in column) for column in zip(*rows, strict=True)
    ]
    lines = [columns, ["--:" if right else ":--" for right in numeric]]
    lines += [[cell(value) for value in row] for row in shown]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text + (f"\n… and {len(rows) - len(shown):,} more rows.\n" if len(shown) < len(rows) else "")


def cell(value):
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f"{value:,}"
    return " ".join(value.split()).replace("|", "\\|")


def fingerprint(*answers):
    """What a chart was drawn from, so that a chart of other figures is noticed."""
    return hashlib.sha256(json.dumps(answers, ensure_ascii=False).encode()).hexdigest()


CHARTS = {
    "engagement_trends": "trends",
    "active_regions": "regions",
    "watch_time_by_channel": "channels",
    "drop_off": "drop_off",
}
"""The charts, and the functions of `charts` that draw them."""


def main():
    import charts

    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder))
        try:
            connection = analyst(demo.lake)
            PAGE.write_text(fill(PAGE.read_text(), connection))
            for question, chart in CHARTS.items():
                found = answer(connection, question)
                charts.save(getattr(charts, chart)(*found), IMAGES / f"{question}.svg", fingerprint(*found))
        finally:
            demo.stop()


if __name__ == "__main__":
    main()
