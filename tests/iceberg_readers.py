"""Reads and writes Iceberg tables with programs of others: a request a line, an answer a line.

It runs in `.venv-iceberg` and imports nothing of this repository, so that what it finds was found by them alone;
`job` and `rows_of_files` run what we have written for them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyspark.sql import SparkSession

SCALA = "2.12"
"""That of the Spark on PyPI."""


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"{name} is not installed")
    return Path(next(iter(found.submodule_search_locations)))


def runtime() -> str:
    """Iceberg's own library for Spark."""
    (jar,) = package("snowpark_connect_deps_iceberg").glob(f"jars/iceberg-spark-runtime-3.5_{SCALA}-*.jar")
    return str(jar)


@cache
def spark(warehouse: str) -> SparkSession:
    """The one Spark, with the catalog `lake` of the tables below a folder."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.jars": runtime(),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.type": "hadoop",
        "spark.sql.catalog.lake.warehouse": warehouse,
        # We commit between what it reads.
        "spark.sql.catalog.lake.cache-enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        # A short life: compile once and quickly, and plan once.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.adaptive.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("iceberg")
    for key, value in settings.items():
        builder = builder.config(key, value)
    made: SparkSession = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made


@cache
def duck() -> DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "iceberg"):
        (extension,) = package(f"duckdb_extension_{name}").glob(f"extensions/*/{name}.duckdb_extension")
        connection.execute(f"load '{extension}'")
    connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
    return connection


def plain(value: Any) -> Any:
    """A value as JSON has it, whoever has read it."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        # PySpark gives the time of this process's zone, which is UTC, without the zone.
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, (date, Decimal)):
        return str(value)
    return value.hex() if isinstance(value, bytes) else value


def table(folder: str) -> Any:
    """The table of a folder for PyIceberg, as the folder's hint says."""
    from pyiceberg.table import StaticTable

    return StaticTable.from_metadata(folder)


def sql(warehouse: str, text: str) -> list[Any]:
    return [row.asDict(recursive=True) for row in spark(warehouse).sql(text).collect()]


MOVED = ("concurrently modified", "CommitFailedException", "ValidationException", "conflicting files")
"""What Spark says where another writer was faster, of which it retries no MERGE by itself."""


def rest_sql(warehouse: str, uri: str, texts: list[str], tries: int) -> int:
    """Spark's statements for the catalog `rest`, each again while another writer is faster. How often one was."""
    session = spark(warehouse)
    catalog = "spark.sql.catalog.rest"
    settings = {
        "type": "rest",
        "uri": uri,
        "cache-enabled": "false",
        "io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
    }
    session.conf.set(catalog, "org.apache.iceberg.spark.SparkCatalog")
    for key, value in settings.items():
        session.conf.set(f"{catalog}.{key}", value)
    failures = 0
    for text in texts:
        for left in reversed(range(tries)):
            try:
                session.sql(text).collect()
                break
            except Exception as error:
                if not left or not any(words in str(error) for words in MOVED):
                    raise
                failures += 1
    return failures


def rows(warehouse: str, by: str, folder: str, snapshot: int | None = None) -> list[Any]:
    """The rows of a table, now or at a snapshot."""
    if by == "spark":
        name = ".".join(["lake", *Path(folder).relative_to(warehouse).parts])
        return sql(warehouse, f"select * from {name}" + (f" version as of {snapshot}" if snapshot else ""))
    found: list[Any]
    if by == "duckdb":
        at = f", snapshot_from_id = {snapshot}" if snapshot else ""
        found = duck().sql(f"select * from iceberg_scan('{folder}'{at})").to_arrow_table().to_pylist()
    elif by == "polars":
        import polars

        found = polars.scan_iceberg(table(folder), snapshot_id=snapshot).collect().to_dicts()
    else:
        found = table(folder).scan(snapshot_id=snapshot).to_arrow().to_pylist()
    return found


def rows_of_files(folder: str, program: str) -> list[Any]:
    """The rows of the newest snapshot as dbt reads them, without DuckDB's extension: by a list of files, which a module
    of this repository makes."""
    sys.path.insert(0, str(Path(program).parent))
    module = importlib.import_module(Path(program).stem)
    found = module.current(folder)
    if not found.files:
        return []
    scan = module.scan_of(found.files)
    there = {row[0] for row in duck().sql(f"describe select * from {scan}").fetchall()}
    shown = ", ".join(f'"{name}"' if name in there else f'null as "{name}"' for name in found.columns)
    rows: list[Any] = duck().sql(f"select {shown} from {scan}").to_arrow_table().to_pylist()
    return rows


def rows_of_metadata(file: str, properties: dict[str, str]) -> list[Any]:
    """The rows of a table on S3, as PyIceberg reads them by a metadata file."""
    from pyiceberg.table import StaticTable

    found: list[Any] = StaticTable.from_metadata(file, properties).scan().to_arrow().to_pylist()
    return found


def catalog_table(uri: str, namespace: str, table: str) -> Any:
    """A table of a REST catalog for PyIceberg, which takes the credentials that it hands out."""
    from pyiceberg.catalog.rest import RestCatalog

    return RestCatalog("rest", uri=uri).load_table((namespace, table))


def catalog_rows(uri: str, namespace: str, table: str, by: str) -> list[Any]:
    """The rows of a table of a REST catalog."""
    found: list[Any]
    if by == "duckdb":
        connection = duck()
        (extension,) = package("duckdb_extension_httpfs").glob("extensions/*/httpfs.duckdb_extension")
        connection.execute(f"load '{extension}'")
        connection.execute(f"attach '' as rest (type iceberg, endpoint '{uri}', authorization_type 'none')")
        try:
            found = connection.sql(f"select * from rest.{namespace}.{table}").to_arrow_table().to_pylist()
        finally:
            connection.execute("detach rest")
    else:
        found = catalog_table(uri, namespace, table).scan().to_arrow().to_pylist()
    return found


def catalog_append(uri: str, namespace: str, table: str, rows: list[dict[str, Any]]) -> None:
    """PyIceberg adds rows to a table of a REST catalog."""
    import pyarrow

    opened = catalog_table(uri, namespace, table)
    whole = [{**row, "at": datetime.fromisoformat(row["at"])} for row in rows]
    opened.append(pyarrow.Table.from_pylist(whole, schema=opened.schema().as_arrow()))


def snapshots(folder: str) -> list[Any]:
    """The history of a table, oldest first."""
    found = []
    for log in table(folder).history():
        snapshot = table(folder).snapshot_by_id(log.snapshot_id)
        if snapshot:
            summary = {"operation": snapshot.summary.operation.value, **snapshot.summary.additional_properties}
            found.append({"id": snapshot.snapshot_id, "summary": summary})
    return found


def plan(folder: str, where: str) -> list[str]:
    """The files that PyIceberg reads for a condition."""
    return [task.file.file_path for task in table(folder).scan(row_filter=where).plan_files()]


def files(folder: str) -> list[Any]:
    """The live files, with the values of their partitions and what their manifests tell of each column."""
    from pyiceberg.conversions import from_bytes

    opened = table(folder)
    schema, found = opened.schema(), opened.inspect.files().to_pylist()
    keys = ("content", "file_path", "record_count", "partition", "file_size_in_bytes")
    answer = []
    for file in found:
        metrics: dict[str, Any] = {}
        for key in ("value_counts", "null_value_counts", "lower_bounds", "upper_bounds"):
            for column, value in file[key] or []:
                # Of columns that the schema has no more.
                if column in schema.field_ids:
                    kind = schema.find_type(column)
                    told = shown(kind, from_bytes(kind, value)) if key.endswith("bounds") else value
                    metrics.setdefault(schema.find_column_name(column), {})[key] = told
        answer.append({**{key: file.get(key) for key in keys}, "metrics": metrics})
    return answer


def shown(kind: Any, value: Any) -> Any:
    """A bound as a value of its type: PyIceberg has times and dates as numbers."""
    from pyiceberg.types import DateType, TimestamptzType

    if isinstance(kind, TimestamptzType) and isinstance(value, int):
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=value)
    return date(1970, 1, 1) + timedelta(days=value) if isinstance(kind, DateType) else value


def partitions(folder: str) -> list[Any]:
    """What divides the files: column, name and transform of each field."""
    opened = table(folder)
    schema = opened.schema()
    return [
        {"column": schema.find_column_name(field.source_id), "name": field.name, "transform": str(field.transform)}
        for field in opened.spec().fields
    ]


def transformed(folder: str, file: str) -> list[Any]:
    """The distinct values that the transforms of the spec, as PyIceberg computes them, make of a file's rows."""
    import pyarrow.parquet as pq

    opened = table(folder)
    schema, read = opened.schema(), pq.ParquetFile(file).read()
    answer = []
    for field in opened.spec().fields:
        kind = schema.find_type(field.source_id)
        # PyIceberg's own arithmetic, value by value, not that of its core.
        apply = field.transform.transform(kind)
        values = read[schema.find_column_name(field.source_id)]
        if str(kind) == "timestamptz":
            values = values.cast("int64")
        elif str(kind) == "date":
            values = values.cast("int32")
        made = {apply(value) for value in values.to_pylist()}
        answer.append(sorted(made, key=lambda value: (value is not None, value)))
    return answer


def unlike(one: str, other: str, columns: list[str]) -> dict[str, Any]:
    """The rows that one of two tables has and the other has not, and how many rows each has."""
    shown = ", ".join(f'"{column}"' for column in columns)
    first, second = (f"(select {shown} from iceberg_scan('{folder}'))" for folder in (one, other))
    answer: dict[str, Any] = {"rows": duck().sql(f"select count(*) from {first}").fetchall()[0][0]}
    for name, these, those in (("missing", second, first), ("more", first, second)):
        found = duck().sql(f"select * from {these} except all select * from {those} limit 5")
        answer[name] = found.to_arrow_table().to_pylist()
    return answer


def job(
    warehouse: str, program: str, destination: str, database: str, table: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """Runs the job that merges a landing table, or puts files together, as a part of this process: its own Spark would
    take longer than it does."""
    sys.path.insert(0, str(Path(program).parent))
    module = importlib.import_module(Path(program).stem)
    session = spark(warehouse)
    if settings.get("compact"):
        done: dict[str, Any] = module.compact(session, f"lake.{database}.{table}", 128)
        return done
    try:
        known = module.definition(session, destination, table)
        names = (f"lake.{name}.{table}" for name in (database, f"{database}__landing"))
        merged: dict[str, Any] = module.run(session, module.Merge.of(known, *names, **settings))
    except module.Failure as error:
        return {"refused": str(error)}
    return merged


COUNTS = [f"{kind}_{what}_count" for kind in ("added", "existing", "deleted") for what in ("files", "rows")]


def forget_counts(folder: str) -> None:
    """PyIceberg writes the list of the current snapshot anew, as one of version 1 that counts nothing."""
    from pyiceberg.manifest import MANIFEST_LIST_FILE_SCHEMAS, read_manifest_list, write_manifest_list

    opened = table(folder)
    names = [field.name for field in MANIFEST_LIST_FILE_SCHEMAS[2].fields]
    snapshot = opened.current_snapshot()
    manifests = list(read_manifest_list(opened.io.new_input(snapshot.manifest_list)))
    for manifest in manifests:
        for name in COUNTS:
            manifest[names.index(name)] = None
    output, ids = opened.io.new_output(snapshot.manifest_list), (snapshot.snapshot_id, snapshot.parent_snapshot_id)
    with write_manifest_list(1, output, *ids, None, "deflate") as writer:
        writer.add_manifests(manifests)


def counts(folder: str) -> list[Any]:
    """What the list of the current snapshot counts in each manifest, and what PyIceberg counts there itself."""
    opened = table(folder)
    answer = []
    for manifest in opened.current_snapshot().manifests(opened.io):
        entries = manifest.fetch_manifest_entry(opened.io, discard_deleted=False)
        counted = dict.fromkeys(COUNTS, 0)
        for entry in entries:
            kind = entry.status.name.lower()
            counted[f"{kind}_files_count"] += 1
            counted[f"{kind}_rows_count"] += entry.data_file.record_count
        answer.append({"told": {name: getattr(manifest, name) for name in COUNTS}, "counted": counted})
    return answer


def reachable(folder: str) -> list[str]:
    """Every file that the metadata names, in any snapshot."""
    opened = table(folder)
    found = {opened.metadata_location, *(log.metadata_file for log in opened.metadata.metadata_log)}
    for snapshot in opened.metadata.snapshots:
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(opened.io):
            found.add(manifest.manifest_path)
            for entry in manifest.fetch_manifest_entry(opened.io, discard_deleted=True):
                found.add(entry.data_file.file_path)
    return sorted(found)


VERBS: dict[str, Callable[..., Any]] = {
    "catalog_append": catalog_append,
    "catalog_rows": catalog_rows,
    "counts": counts,
    "files": files,
    "forget_counts": forget_counts,
    "job": job,
    "partitions": partitions,
    "plan": plan,
    "reachable": reachable,
    "rest_sql": rest_sql,
    "rows": rows,
    "rows_of_files": rows_of_files,
    "rows_of_metadata": rows_of_metadata,
    "snapshots": snapshots,
    "sql": sql,
    "transformed": transformed,
    "unlike": unlike,
}


def main() -> None:
    # What others print is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": plain(VERBS[request.pop("do")](**request))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
