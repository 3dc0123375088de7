"""Prints what a local lake holds, three answers from it, and what to do next.

LAKE [TARGET [SECONDS]]: the folder, the program that has filled it, and how long that took.
"""

import os
import shlex
import sys
from pathlib import Path

import duckdb

ANSWERS = {
    "Top videos by hours watched": (
        ["fact_engagements", "dim_media"],
        """
        select m.name as video, round(e.hours_watched, 1) as hours, e.play_count as plays
        from fact_engagements e join dim_media m on m.hashed_id = e.media_id
        where e.date = (select max(date) from fact_engagements)
        order by e.hours_watched desc limit 5
        """,
    ),
    "Visitors by country": (
        ["dim_visitors"],
        """
        select coalesce(country, 'unknown') as country, count(*) as visitors
        from dim_visitors group by 1 order by 2 desc, 1 limit 5
        """,
    ),
    "Plays by day": (
        ["fact_engagements_byday"],
        """
        select date, sum(play_count)::bigint as plays, round(sum(hours_watched), 1) as hours
        from fact_engagements_byday group by 1 order by 1 desc limit 5
        """,
    ),
}


def text(cell):
    if isinstance(cell, int):
        return f"{cell:,}"
    return "" if cell is None else str(cell)


def table(header, rows):
    cells = [list(header), *([text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    numeric = [all(isinstance(row[column], (int, float)) for row in rows) for column in range(len(header))]
    for row in cells:
        line = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        print("  " + "  ".join(line).rstrip())


def in_units(count):
    """Bytes as a person reads them."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.{int(unit != 'B' and amount < 10)}f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def counted(count, one):
    return f"{count:,} {one}" + ("" if count == 1 else "s")


def program(path):
    """A program as one types it here."""
    near = os.path.relpath(path)
    return shlex.quote(str(path) if near.startswith("..") else near)


def next_commands(lake, target, tables):
    """Commands to go on with, and what each is good for."""
    yield "again: reads what is new and leaves the rest alone", "make run"
    if tables:
        table = "fact_events" if "fact_events" in tables else next(iter(tables))
        query = f"import duckdb; duckdb.read_parquet('{lake}/{table}/**/*.parquet').limit(5).show()"
        yield "look into a table", f'{program(sys.executable)} -c "{query}"'
    if target:
        settings = f"TARGET_S3_PARQUET_DESTINATION={shlex.quote(str(lake))}"
        yield "sizes of the lake, and what could be tidied up", f"{settings} {program(target)} maintain"


def main(lake, target=None, seconds=None):
    tables = {}
    for folder in sorted(path for path in lake.iterdir() if path.is_dir() and path.name != "_lake"):
        files = sorted(folder.rglob("*.parquet"))
        if files:
            tables[folder.name] = files
    connection = duckdb.connect()
    rows = []
    for name, files in tables.items():
        paths = [str(path) for path in files]
        relation = connection.read_parquet(paths, hive_partitioning=False, union_by_name=True)
        relation.create_view(name)
        size = sum(path.stat().st_size for path in files)
        rows.append((name, relation.count("*").fetchall()[0][0], len(files), size))
    print("\nTables in", lake)
    table(("table", "rows", "files", "bytes"), rows)
    for title, (needs, query) in ANSWERS.items():
        if all(name in tables for name in needs):
            result = connection.execute(query)
            header = [column[0] for column in result.description]
            print(f"\n{title}")
            table(header, result.fetchall())
    sums = [sum(row[column] for row in rows) for column in (1, 2, 3)]
    everything = [counted(len(rows), "table"), counted(sums[0], "row"), counted(sums[1], "file"), in_units(sums[2])]
    time = "" if seconds is None else f", in {counted(seconds, 'second')}"
    print(f"\n{', '.join(everything)} in {lake}{time}. What to try next:")
    for use, typed in next_commands(lake, target, tables):
        print(f"\n  # {use}\n  {typed}")
    print("\nQuestions as SQL, with their answers: docs/querying.md")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3], *map(int, sys.argv[3:4]))
