"""Checks a lake against its data contract by datacontract-cli: `make contract LAKE=…`.

The tool is given a DuckDB with a view of each table, or a copy where the lake is on S3: of Parquet files alone it would
look at no type.
"""

import argparse
import copy
import os
import sys
import tempfile
from pathlib import Path

import duckdb
import fsspec
import yaml
from datacontract.data_contract import DataContract

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "dbt"))

from lake_iceberg import Unreadable, scan_of, tables_of  # noqa: E402

CONTRACT = ROOT / "schemas" / "wistia.odcs.yaml"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", default="local/lake", help="folder or s3://bucket/prefix of the lake")
    parser.add_argument("--contract", type=Path, default=CONTRACT, help="the contract, if it is one of yours")
    parser.add_argument("--stale", action="store_true", help="say nothing of rows that are old")
    return parser.parse_args()


def pattern_of(lake, name):
    """The files of a table that is a folder, if it has any."""
    store, path = fsspec.core.url_to_fs(lake)
    walk = store.walk(f"{path}/{name}")
    has_one = any(file.endswith(".parquet") for _, _, files in walk for file in files)
    return [f"{lake}/{name}/**/*.parquet"] if has_one else []


def open_lake(lake, names, database):
    """Makes a DuckDB of the tables that are there, and says which columns each has."""
    iceberg, columns, remote = tables_of(lake), {}, "://" in lake
    with duckdb.connect(str(database)) as connection:
        if remote:
            connection.register_filesystem(fsspec.filesystem(lake.partition("://")[0]))
        for name in names:
            table = iceberg.get(name)
            if isinstance(table, Unreadable):
                sys.exit(f"error: {lake}/{name} is an Iceberg table that cannot be read by its files: {table}")
            files = table.files if table else pattern_of(lake, name)
            if not files:
                continue
            scan = scan_of(files)
            there = [row[0] for row in connection.execute(f"describe select * from {scan}").fetchall()]
            # An older file of an Iceberg table may have columns that the table has no more.
            columns[name] = [column for column in there if not table or column in table.columns]
            shown = ", ".join(f'"{column}"' for column in columns[name])
            connection.execute(f"create {'table' if remote else 'view'} {name} as select {shown} from {scan}")
    return columns


def what_is_there(contract, columns):
    """The part of the contract that this lake can keep, and what is left out of it, in words.

    A table that is read by default has to be there, and so has each column but those that are personal: a catalog
    of the tap may leave these out.
    """
    part, left, missing = copy.deepcopy(contract), [], []
    for table in contract["schema"]:
        if table["name"] not in columns:
            chosen = "default" in table.get("tags", [])
            (missing if chosen else left).append(f"{table['name']} is not in the lake")
    part["schema"] = [table for table in part["schema"] if table["name"] in columns]
    for table in part["schema"]:
        for column in list(table["properties"]):
            gone = column["name"] not in columns[table["name"]]
            if gone and column.get("classification") == "personal" and not column.get("required"):
                table["properties"].remove(column)
                left.append(f"{table['name']}.{column['name']} is personal and not in the lake")
    there = {table["name"] for table in part["schema"]}
    part["slaProperties"] = [
        promise for promise in part.get("slaProperties", []) if promise["element"].partition(".")[0] in there
    ]
    return part, left, missing


def place_of(check):
    return ".".join(part for part in (check.model, check.field) if part)


def main():
    chosen = arguments()
    lake = chosen.lake.rstrip("/")
    if "://" not in lake:
        lake = os.path.abspath(lake)
        if not os.path.isdir(lake):
            sys.exit(f"error: there is no lake at {lake}; `make run` makes one in local/lake")
    contract = yaml.safe_load(chosen.contract.read_text())
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "lake.duckdb"
        columns = open_lake(lake, [table["name"] for table in contract["schema"]], database)
        part, left, missing = what_is_there(contract, columns)
        if not part["schema"]:
            sys.exit(f"error: {lake} has no table of the contract")
        part["servers"] = [{"server": "lake", "type": "duckdb", "database": str(database), "schema": "main"}]
        if chosen.stale:
            part["slaProperties"] = []
        run = DataContract(data_contract_str=yaml.safe_dump(part), server="lake").test()
    for line in left:
        print(f"not checked: {line}")
    bad = [f"failed: {line}" for line in missing]
    for check in run.checks:
        result = check.result.value
        if result != "passed":
            line = f"{result}: {place_of(check)}: {check.name}" + (f": {check.reason}" if check.reason else "")
            bad.append(" ".join(line.split()))
    for line in bad:
        print(line)
    print(f"{len(run.checks)} checks of {len(part['schema'])} tables in {chosen.lake}, {len(bad)} did not pass")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
