#!/usr/bin/env python3
"""Packs the dashboard for Superset, with the address of your database: what *Import dashboards* takes.

bundle.py --uri 'awsathena+rest://@athena.REGION.amazonaws.com/wistia__marts?s3_staging_dir=…&work_group=…'
bundle.py --uri duckdb:////folder/page.work/marts.duckdb --schema wistia
"""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def packed(path: Path, uri: str, schema: str) -> str:
    """The text of a file, for this database."""
    text = path.read_text()
    if path.parent.name == "databases":
        # Between single quotes YAML knows no escapes but a doubled quote.
        quoted = "'" + uri.replace("'", "''") + "'"
        text = re.sub(r"^sqlalchemy_uri: .*$", lambda _: f"sqlalchemy_uri: {quoted}", text, flags=re.MULTILINE)
    return re.sub(r"^schema: .*$", f"schema: {schema}", text, flags=re.MULTILINE)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", required=True, help="SQLAlchemy's address of the database, without a password")
    parser.add_argument("--schema", default="wistia__marts", help="schema of the marts (default: wistia__marts)")
    parser.add_argument("--out", type=Path, default=Path("wistia-superset.zip"), help="file to write")
    chosen = parser.parse_args(argv)
    if not re.fullmatch(r"\w+", chosen.schema):
        parser.error(f"--schema {chosen.schema} is no name of a schema")
    files = sorted(HERE.rglob("*.yaml"))
    with zipfile.ZipFile(chosen.out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in files:
            bundle.writestr(f"wistia/{path.relative_to(HERE)}", packed(path, chosen.uri, chosen.schema))
    print(f"{chosen.out}: {len(files)} files; import it in Superset, Dashboards > Import dashboards")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
