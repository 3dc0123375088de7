"""Merges a landing table into its Iceberg table, newest row of each key first: where a table outgrows one machine.

Any number of targets append to the landing table at once, which never makes one wait for another; one job of Spark then
does what the target's upsert does on one machine, with the same rows as its result:

    spark-submit merge.py --destination s3://BUCKET/lake/wistia --database wistia --table fact_events

Keys and partitions are those of the table's own definition, which the target keeps in `_lake/tables` of the
destination. The landing table has the same name, in the database `DATABASE__landing`. With `--compact` it puts small
files of the table together instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

ORDER = "_sdc_sequence"
"""What says which row of a key is the newest: the time at which a run began, in microseconds, plus the line of its
record. `add_record_metadata` of the target makes it."""
CATALOG = "lake"
DATED = ("timestamp", "date")
CHARACTERS = {"year": 4, "month": 7, "day": 10, "hour": 13}
"""Of a time that is text: it begins with them."""
SETTINGS = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    f"spark.sql.catalog.{CATALOG}": "org.apache.iceberg.spark.SparkCatalog",
    # A table that was read is read again: others commit meanwhile.
    f"spark.sql.catalog.{CATALOG}.cache-enabled": "false",
    # Days are days of UTC.
    "spark.sql.session.timeZone": "UTC",
}
MOVED = ("concurrently modified", "CommitFailedException", "ValidationException", "conflicting files")
"""What Iceberg says where another writer was faster, of which it retries no MERGE by itself."""


class Failure(Exception):
    """Why the job stopped, in a sentence with what to do."""


@dataclass(frozen=True)
class Merge:
    """What a merge of a table needs to know of it."""

    table: str
    landing: str
    keys: list[str]
    partition: str | None = None
    """The column that divides it."""
    granularity: str | None = None
    kind: str = ""
    """The type of that column, as the definition has it."""
    moves_keys: bool = False
    order: str = ORDER

    @classmethod
    def of(cls, definition: dict[str, Any], table: str, landing: str, **more: Any) -> Merge:
        """That of a definition, as the target keeps it."""
        name = definition["table"]
        if definition.get("table_format") != "iceberg":
            raise Failure(f"`{name}` is no Iceberg table; load it into one first, with `table_format: iceberg`")
        if definition["load_method"] != "upsert" or not definition["keys"]:
            raise Failure(f"`{name}` is not upserted, so that there is nothing to merge by: load it directly")
        by = definition.get("partition_by") or {}
        kinds = {column["name"]: column["kind"] for column in definition["columns"]}
        column = by.get("column")
        return cls(
            table,
            landing,
            definition["keys"],
            column,
            by.get("granularity"),
            str(kinds.get(column)),
            **more,
        )

    def part(self, side: str) -> str | None:
        """The partition of a row, as an expression that is the same for all rows of one."""
        if self.partition is None:
            return None
        column = f"{side}.{quoted(self.partition)}"
        if self.granularity is None:
            return column
        if self.kind not in DATED:
            return f"substring({column}, 1, {CHARACTERS[self.granularity]})"
        return f"cast(date_trunc('{self.granularity}', {column}) as {self.kind})"

    def identity(self, side: str) -> list[str]:
        """What makes two rows the same one. A key may be in the table once a partition, unless keys are moved."""
        keys = [f"{side}.{quoted(key)}" for key in self.keys]
        part = self.part(side)
        return keys if self.moves_keys or part is None else [*keys, part]

    def within(self, parts: list[str | None]) -> str:
        """The rows of these partitions, in words by which Iceberg leaves out the files of all others."""
        column = f"t.{quoted(self.partition or '')}"
        return " or ".join(f"({self.within_one(column, part)})" for part in parts)

    def within_one(self, column: str, part: str | None) -> str:
        if part is None:
            return f"{column} is null"
        first = f"{self.kind} {text(part)}" if self.kind in DATED else text(part)
        if self.granularity is None:
            return f"{column} = {first if self.kind in (*DATED, 'string') else part}"
        if self.kind not in DATED:
            return f"startswith({column}, {first})"
        return f"({column} >= {first} and {column} < {first} + interval 1 {self.granularity})"


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def aligned(value: str, own: DataType, wanted: DataType) -> str:
    """A value of the landing table as one of the table: fields that it has not are null."""
    from pyspark.sql.types import ArrayType, StructType

    if own == wanted:
        return value
    if isinstance(own, StructType) and isinstance(wanted, StructType):
        there = {field.name: field.dataType for field in own.fields}
        parts = []
        for field in wanted.fields:
            kind = there.get(field.name)
            inner = "null" if kind is None else aligned(f"{value}.{quoted(field.name)}", kind, field.dataType)
            parts += [text(field.name), f"cast({inner} as {sql_type(field.dataType)})"]
        return f"if({value} is null, null, named_struct({', '.join(parts)}))"
    if isinstance(own, ArrayType) and isinstance(wanted, ArrayType):
        # Lambdas within lambdas have names of their own.
        name = f"x{value.count('->')}{len(value)}"
        return f"transform({value}, {name} -> {aligned(name, own.elementType, wanted.elementType)})"
    return f"cast({value} as {sql_type(wanted)})"


def sql_type(kind: DataType) -> str:
    """A type in SQL, with names that may need quotes."""
    from pyspark.sql.types import ArrayType, StructType

    if isinstance(kind, StructType):
        return "struct<" + ", ".join(f"{quoted(f.name)}: {sql_type(f.dataType)}" for f in kind.fields) + ">"
    if isinstance(kind, ArrayType):
        return f"array<{sql_type(kind.elementType)}>"
    return str(kind.simpleString())


def columns_of(landing: DataFrame, table: DataFrame) -> list[str]:
    """The columns of the landing table that are the table's: not those that only say where a row came from."""
    return [name for name in landing.columns if not name.startswith("_sdc_") or name in table.columns]


def evolve(spark: SparkSession, merge: Merge, landing: DataFrame) -> None:
    """Gives the table what the landing table has and it has not: columns, fields, larger types."""
    table = spark.table(merge.table)
    wanted = columns_of(landing, table)
    changes: list[str] = []
    differences(landing.select(*map(quoted, wanted)).schema, table.schema, "", changes)
    for change in changes:
        spark.sql(f"alter table {merge.table} {change}")


def differences(own: DataType, there: DataType, path: str, changes: list[str]) -> None:
    """What a type has to become to hold another one too."""
    from pyspark.sql.types import ArrayType, StructType

    if isinstance(own, StructType) and isinstance(there, StructType):
        known = {field.name: field.dataType for field in there.fields}
        for field in own.fields:
            inner = f"{path}.{quoted(field.name)}" if path else quoted(field.name)
            if field.name in known:
                differences(field.dataType, known[field.name], inner, changes)
            else:
                changes.append(f"add column {inner} {sql_type(field.dataType)}")
    elif isinstance(own, ArrayType) and isinstance(there, ArrayType):
        differences(own.elementType, there.elementType, f"{path}.element", changes)
    elif own != there:
        wider = promoted(own.simpleString(), there.simpleString())
        if wider is None:
            raise Failure(
                f"the column {path} is {own.simpleString()} in the landing table and {there.simpleString()} in the "
                "table, which Iceberg cannot make of it: send one record of that stream to the table itself by the "
                "target, which writes the table anew, then merge"
            )
        if wider != there.simpleString():
            changes.append(f"alter column {path} type {wider}")


def promoted(own: str, there: str) -> str | None:
    """The type of both values, where Iceberg can make it of the table's."""
    ranks = {"int": 1, "bigint": 2}
    if own in ranks and there in ranks:
        return max(own, there, key=ranks.__getitem__)
    # Whole numbers are doubles as well, as the target has it.
    if there == "double" and own in (*ranks, "float"):
        return there
    if own.startswith("decimal") and there.startswith("decimal"):
        (digits, scale), (have, same) = (map(int, kind[8:-1].split(",")) for kind in (own, there))
        return f"decimal({max(digits, have)},{same})" if scale == same else None
    return None


def newest(spark: SparkSession, merge: Merge, landing: DataFrame) -> DataFrame:
    """The newest row of each key, with the table's columns."""
    table = spark.table(merge.table)
    there = {field.name: field.dataType for field in landing.schema.fields}
    columns = []
    for field in table.schema.fields:
        own = there.get(field.name)
        value = "null" if own is None else aligned(f"l.{quoted(field.name)}", own, field.dataType)
        columns.append(f"cast({value} as {sql_type(field.dataType)}) as {quoted(field.name)}")
    landing.createOrReplaceTempView("landing_rows")
    # Of what landed the newest row of a key is taken, whichever partition it is in: as of one commit of the target.
    same, order = ", ".join(f"l.{quoted(key)}" for key in merge.keys), f"l.{quoted(merge.order)}"
    return spark.sql(
        f"select {', '.join(columns)} from (select l.*, row_number() over (partition by {same} order by {order} desc) "
        "as _place from landing_rows l) l where l._place = 1"
    )


def files_of(spark: SparkSession, name: str) -> tuple[int | None, Any]:
    """The snapshot of a table as it is now, and the table as Iceberg has it."""
    table = spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, name)
    snapshot = table.currentSnapshot()
    return (None if snapshot is None else snapshot.snapshotId()), table


def empty(table: Any, snapshot: int) -> int:
    """Takes the files that a snapshot has out of a table, by a commit of metadata. What came later stays."""
    delete, count = table.newDelete(), 0
    tasks = table.newScan().useSnapshot(snapshot).planFiles()
    try:
        files = tasks.iterator()
        while files.hasNext():
            delete.deleteFile(files.next().file())
            count += 1
    finally:
        tasks.close()
    if count:
        delete.commit()
    return count


def run(spark: SparkSession, merge: Merge, attempts: int = 5) -> dict[str, Any]:
    """One merge of all that has landed. What it did."""
    if not spark.catalog.tableExists(merge.landing):
        return {"table": merge.table, "landed_rows": 0, "files": 0}
    snapshot, handle = files_of(spark, merge.landing)
    landing = None if snapshot is None else spark.read.option("snapshot-id", snapshot).table(merge.landing)
    rows = 0 if landing is None else landing.count()
    done = {"table": merge.table, "landed_rows": rows, "files": 0}
    if snapshot is None or landing is None or not rows:
        return done
    if merge.order not in landing.columns:
        raise Failure(
            f"the landing table has no column `{merge.order}`, which says what row is the newest: load it with "
            "`add_record_metadata: true`, or name a column by --order"
        )
    evolve(spark, merge, landing)
    source = newest(spark, merge, landing)
    source.createOrReplaceTempView("newest_rows")
    same = [f"{one} <=> {other}" for one, other in zip(merge.identity("t"), merge.identity("u"))]
    part = merge.part("l")
    if part is not None and not merge.moves_keys:
        # As text: a time in Python is one of the zone of this machine.
        found = spark.sql(f"select distinct cast({part} as string) from landing_rows l").collect()
        parts = [row[0] for row in found]
        same.append(f"({merge.within(parts)})")
    columns = [quoted(name) for name in source.columns]
    statement = (
        f"merge into {merge.table} t using newest_rows u on {' and '.join(same)} "
        f"when matched then update set {', '.join(f't.{name} = u.{name}' for name in columns)} "
        f"when not matched then insert ({', '.join(columns)}) values ({', '.join(f'u.{name}' for name in columns)})"
    )
    for attempt in range(1, attempts + 1):
        try:
            spark.sql(statement)
            break
        except Exception as error:
            if attempt == attempts or not any(words in str(error) for words in MOVED):
                raise
            print(f"another writer was faster, attempt {attempt} of {attempts}: {error}", file=sys.stderr)
    # A job that dies before this merges the same rows again, which changes nothing.
    done["files"] = empty(handle, snapshot)
    return done


def compact(spark: SparkSession, table: str, file_mb: int) -> dict[str, Any]:
    """Puts small files together, then manifests, and lets snapshots go that are older than three days."""
    name = table.partition(".")[2]
    options = f"map('target-file-size-bytes', '{file_mb * 1024 * 1024}')"
    made = spark.sql(f"call {CATALOG}.system.rewrite_data_files(table => '{name}', options => {options})").collect()[0]
    spark.sql(f"call {CATALOG}.system.rewrite_manifests('{name}')")
    since = (datetime.now(timezone.utc) - timedelta(days=3)).strftime("%Y-%m-%d %H:%M:%S")
    spark.sql(
        f"call {CATALOG}.system.expire_snapshots(table => '{name}', older_than => timestamp '{since}', "
        "retain_last => 5)"
    )
    return {"table": table, "rewritten": made["rewritten_data_files_count"], "added": made["added_data_files_count"]}


def definition(spark: SparkSession, destination: str, table: str) -> dict[str, Any]:
    """What the target knows of a table."""
    path = f"{destination.rstrip('/')}/_lake/tables/{table}.json"
    try:
        text: str = spark.read.text(path, wholetext=True).collect()[0][0]
    except Exception as error:
        raise Failure(
            f"{path} cannot be read: the first load of a table, however small, is the target's, which makes its "
            f"definition ({str(error).splitlines()[0]})"
        ) from error
    found: dict[str, Any] = json.loads(text)
    return found


def session(options: argparse.Namespace) -> SparkSession:
    """Spark with the catalog of the lake: Glue, or the folders themselves.

    Set here, before Spark begins, as Glue wants it where no argument of the job says it
    (https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-format-iceberg.html).
    """
    from pyspark.sql import SparkSession

    settings = dict(SETTINGS)
    if options.catalog == "glue":
        settings[f"spark.sql.catalog.{CATALOG}.type"] = "glue"
        settings[f"spark.sql.catalog.{CATALOG}.io-impl"] = "org.apache.iceberg.aws.s3.S3FileIO"
    else:
        settings[f"spark.sql.catalog.{CATALOG}.type"] = "hadoop"
    settings[f"spark.sql.catalog.{CATALOG}.warehouse"] = options.destination.rstrip("/").rpartition("/")[0]
    builder = SparkSession.builder.appName(f"merge {options.table}")
    for key, value in settings.items():
        builder = builder.config(key, value)
    made: SparkSession = builder.getOrCreate()
    return made


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--destination", required=True, help="of the target that makes the table: a folder or s3:// URL"
    )
    parser.add_argument("--database", help="of the table in the catalog (default: the last part of the destination)")
    parser.add_argument("--table", required=True, help="or several, with a comma between them")
    parser.add_argument("--landing", help="database of the landing table (default: DATABASE__landing)")
    parser.add_argument("--catalog", choices=("glue", "folder"), default="glue")
    parser.add_argument("--order", default=ORDER, help=f"column that says which row is the newest (default: {ORDER})")
    parser.add_argument(
        "--move-keys", action="store_true", help="as the target's `move_keys`: a key is in one partition"
    )
    parser.add_argument("--attempts", type=int, default=5, help="where other writers are faster (default: 5)")
    parser.add_argument("--compact", action="store_true", help="put small files together; merge nothing")
    parser.add_argument("--file-mb", type=int, default=128, help="of a compacted file (default: 128)")
    # Glue adds arguments of its own.
    return parser.parse_known_args(argv)[0]


def one(spark: SparkSession, options: argparse.Namespace, name: str) -> dict[str, Any]:
    """What is to be done for a table."""
    database = options.database or options.destination.rstrip("/").rpartition("/")[2]
    if options.compact:
        return compact(spark, f"{CATALOG}.{database}.{name}", options.file_mb)
    names = (
        f"{CATALOG}.{quoted(each)}.{quoted(name)}" for each in (database, options.landing or f"{database}__landing")
    )
    known = definition(spark, options.destination, name)
    return run(spark, Merge.of(known, *names, moves_keys=options.move_keys, order=options.order), options.attempts)


def main(argv: list[str]) -> int:
    options = arguments(argv)
    spark, failed = session(options), 0
    for name in options.table.split(","):
        try:
            print(json.dumps(one(spark, options, name)))
        except Failure as error:
            failed = 1
            print(f"error: {name}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Glue takes a SystemExit without an error for one as well.
    if code:
        sys.exit(code)
