"""The files of which an Iceberg table consists now: DuckDB reads them without its extension for Iceberg, which it would
have to download.

duckdb_plugin.py makes them known to the macros in macros/lake.sql.
"""

import os
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import fsspec
from pyiceberg.manifest import DataFileContent, FileFormat
from pyiceberg.table import StaticTable

FILE_IO = {"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO"}
"""fsspec takes credentials and endpoint from where the AWS tools do; PyIceberg's other way wants pyarrow."""
DATABASE = "wistia_iceberg"


class Unreadable(Exception):
    """Why the files of a table cannot be read one by one."""


class Elsewhere(Unreadable):
    """The folder does not know them."""


@dataclass
class Table:
    """What is to be read of a table: these columns of these files."""

    columns: list = field(default_factory=list)
    files: list = field(default_factory=list)


def others_of_a_name(table):
    """The fields that are gone from a table and whose names others have now, by their ids.

    Files are read by the names of their columns, and a file has the names of its day: no field may have had two.
    """
    now = {number: table.schema().find_column_name(number) for number in table.schema().field_ids}
    others = {}
    for schema in table.metadata.schemas:
        for number in schema.field_ids:
            name = schema.find_column_name(number)
            if now.get(number, name) != name:
                raise Unreadable(f"somebody has renamed its column {name} to {now[number]}")
            if number not in now and name in now.values():
                others[number] = name
    return others


def check_file(file, others):
    """A file that can be read by names. Its metrics say which fields it has; of what is in lists they may not."""
    if file.content != DataFileContent.DATA:
        raise Unreadable("it has delete files of another writer; docs/iceberg.md says how to write them out")
    if file.file_format != FileFormat.PARQUET:
        raise Unreadable(f"it has files of {file.file_format.value}")
    for number, name in others.items():
        if not file.value_counts or number in file.value_counts or "element" in name.split("."):
            raise Unreadable(f"somebody has removed its column {name} and made another of that name")


def path_of(uri):
    """A file as DuckDB names it."""
    return urlsplit(uri).path if uri.startswith("file:") else uri


def newest(table):
    """A table of PyIceberg's at its newest snapshot."""
    if table.metadata.format_version > 2:
        raise Unreadable(
            f"it is of version {table.metadata.format_version} of Iceberg, and 2 is the newest that is read"
        )
    others = others_of_a_name(table)
    found = Table([column.name for column in table.schema().fields])
    snapshot = table.current_snapshot()
    if snapshot is None:
        return found
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            check_file(entry.data_file, others)
            found.files.append(path_of(entry.data_file.file_path))
    found.files.sort()
    return found


def current(place):
    """The table of a folder, here or on S3."""
    store, path = fsspec.core.url_to_fs(place)
    if not store.exists(f"{path}/metadata/version-hint.text"):
        raise Elsewhere("it is in a catalog, which alone knows its newest snapshot")
    return newest(StaticTable.from_metadata(place if "://" in place else os.path.abspath(place), FILE_IO))


def looked_at(look, *words):
    """A table, or why it is not to be read."""
    try:
        return look(*words)
    except Unreadable as problem:
        return problem
    except (OSError, ValueError) as problem:
        return Unreadable(f"its metadata cannot be read: {' '.join(str(problem).split())}")


def tables_of(lake, known=()):
    """The Iceberg tables in the folder of a lake by their names, but those that are known: each a Table, or why it is
    not."""
    store, path = fsspec.core.url_to_fs(lake)
    store.invalidate_cache()
    found = {}
    for folder in store.ls(path, detail=False) if store.isdir(path) else []:
        name = folder.rstrip("/").rpartition("/")[2]
        # Only this folder is listed: a table may have a thousand others.
        if name not in known and store.glob(f"{path}/{name}/metadata/*.metadata.json"):
            found[name] = looked_at(current, f"{lake}/{name}")
    return found


def scan_of(files):
    """The rows of some files, in DuckDB's words. A column that a file does not have is null in its rows."""
    texts = ("'" + file.replace("'", "''") + "'" for file in files)
    return f"read_parquet([{', '.join(texts)}], hive_partitioning = false, union_by_name = true)"


def told(connection, lake, kept=None):
    """Makes the tables known to the queries of a DuckDB: those that a catalog keeps, and those that are their own."""
    kept = kept or {}
    tables = {**kept, **tables_of(lake, kept)}
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"attach if not exists ':memory:' as {DATABASE}")
        cursor.execute(
            f"create or replace table {DATABASE}.main.tables "
            "(name varchar, place varchar, columns varchar[], files varchar[], problem varchar)"
        )
        for name, table in tables.items():
            place = f"{name} in the catalog" if name in kept else f"{lake}/{name}"
            if isinstance(table, Unreadable):
                hint = ": name that by WISTIA_CATALOG" if isinstance(table, Elsewhere) else ""
                row = [[], [], f"{table}{hint}"]
            else:
                row = [table.columns, table.files, None]
            cursor.execute(f"insert into {DATABASE}.main.tables values (?, ?, ?, ?, ?)", [name, place, *row])
