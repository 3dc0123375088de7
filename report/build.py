"""Builds the page of a lake: `make report LAKE=…`.

dbt makes the marts of the lake, in a DuckDB beside the page; each file of pages/ then becomes a page that is one file
of HTML, with its data and all that draws it inside.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import fsspec

from lake_marts import days_of, open_marts, tables_of
from page import PageError, read_page
from site_files import write_site

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent / "dbt"

sys.path.insert(0, str(PROJECT))

from lake_catalog import CatalogError, lend, tables_of_wistia  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", default="local/lake", help="folder or s3://bucket/prefix of the lake")
    parser.add_argument(
        "--catalog",
        metavar="NAME:NAMESPACE",
        default=os.environ.get("WISTIA_CATALOG", ""),
        help="catalog of its Iceberg tables: glue:wistia,wistia__personal, or one that PyIceberg knows by its name",
    )
    parser.add_argument("--out", type=Path, default=Path("local/report"), help="folder of the page")
    parser.add_argument("--pages", type=Path, default=HERE / "pages", help="folder of the Markdown files")
    parser.add_argument("--marts", type=Path, help="a DuckDB with the marts, instead of making them by dbt")
    return parser.parse_args()


def lake_of(text):
    """The lake as dbt finds it from its own folder."""
    if "://" in text:
        return text
    folder = Path(text).resolve()
    if not folder.is_dir():
        sys.exit(f"error: there is no lake at {folder}; `make run` makes one in local/lake")
    return str(folder)


def kept_by(catalog):
    """The tables of a catalog, where there is one."""
    try:
        return tables_of_wistia(catalog) if catalog else {}
    except CatalogError as problem:
        sys.exit(f"error: {problem}")


def make_marts(lake, catalog, work):
    """The DuckDB that dbt fills. What the lake lacks is no error: the page says it."""
    work.parent.mkdir(parents=True, exist_ok=True)
    # As a lake in a folder: for the one who builds it.
    work.mkdir(mode=0o700, exist_ok=True)
    database = work / "marts.duckdb"
    command = [Path(sys.executable).parent / "dbt", "--no-use-colors", "build", "--exclude-resource-type", "test"]
    command += ["--project-dir", PROJECT, "--profiles-dir", PROJECT]
    command += ["--target-path", work / "target", "--log-path", work / "logs"]
    done = subprocess.run(
        command,
        # Where the profile finds the plugin of the project.
        cwd=PROJECT,
        env={**os.environ, "WISTIA_LAKE": lake, "WISTIA_CATALOG": catalog, "WISTIA_DUCKDB": str(database)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = [line for line in done.stdout.splitlines() if line[10:].strip()]
        sys.exit("\n".join(["error: dbt could not make the marts:", *said[-25:], done.stderr[-2000:]]))
    return database


def main():
    chosen = arguments()
    lake = lake_of(chosen.lake)
    kept = kept_by(chosen.catalog)
    out = chosen.out.resolve()
    database = chosen.marts or make_marts(lake, chosen.catalog, out.with_name(f"{out.name}.work"))
    files = sorted(chosen.pages.glob("*.md"))
    if not files:
        sys.exit(f"error: there is no page in {chosen.pages}")
    pages, problems = [], []
    with duckdb.connect(str(database), read_only=True) as connection:
        if lake.startswith("s3://"):
            # As dbt reads it: views of the marts read the lake itself, and DuckDB's own way is an extension to fetch.
            connection.register_filesystem(fsspec.filesystem("s3"))
        for name, table in kept.items():
            lend(connection, name, table)
        open_marts(connection)
        tables, days = tables_of(connection), days_of(connection)
        for path in files:
            try:
                pages.append(read_page(path, connection))
            except PageError as problem:
                problems += problem.lines
    if problems:
        sys.exit("\n".join(f"error: {line}" for line in problems))
    if not any(table["is_there"] for table in tables):
        print(f"{lake} has no table of Wistia's: the page says how to fill one", file=sys.stderr)
    first = write_site(out, pages, tables, days, chosen.lake)
    print(f"the page: {first.as_uri()}")


if __name__ == "__main__":
    main()
