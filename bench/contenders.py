"""The programs of `field.py`, each with the settings that suit it best: `contenders.py NAME STEP FOLDER [INPUTS]`.

Runs in an environment of its own (requirements-field.txt), each step in a process of its own. `inputs` makes what all
of them get: a table and the rows of a night, once as Parquet and once as the messages that we read.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import duckdb

import events

COLUMNS = list(events.PROPERTIES)
KEY = events.KEY
LATE = events.LATE
MONTHS = ["2026-09", "2026-10"]
"""The months of the night's rows."""
ROW_GROUP = 1_000_000
FILE_MB = 128


def connect():
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'; SET enable_progress_bar=false")
    return connection


def inputs(folder, rows, night, seed):
    """A table, a night for it, and what must come of both."""
    rows, night, seed = int(rows), int(night), int(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with connect() as connection:
        connection.execute(f"create view base as {events.relation(0, rows, seed)}")
        connection.execute(f"create table night as {events.night(rows, night, seed, seen=1)}")
        assert connection.execute("select count(*) from night").fetchone() == (night,), "too few rows to come again"
        for name in ("base", "night"):
            typed = f"select * replace (received_at::timestamptz as received_at), {month()} as month from {name}"
            copy = f"(format parquet, compression snappy, row_group_size {ROW_GROUP})"
            connection.execute(f"copy ({typed}) to '{folder}/{name}.parquet' {copy}")
            events.write_lines(connection, f"from {name}", "singer", folder / f"{name}.singer")
        kept = f"select * from '{folder}/base.parquet' anti join '{folder}/night.parquet' using ({KEY})"
        found = fingerprint(connection, f"{kept} union all select * from '{folder}/night.parquet'")
    (folder / "expected.json").write_text(json.dumps(found))


def month(column="received_at"):
    return f"strftime({column}, '%Y-%m')"


def fingerprint(connection, query):
    """How many rows, how many keys, and a sum over all values: equal for equal rows in any order."""
    values = ", ".join(f"epoch_us({name})" if name == "received_at" else name for name in COLUMNS)
    asked = f"select count(*), count(distinct {KEY}), sum(hash({values}))::varchar from ({query})"
    return list(connection.execute(asked).fetchone())


def of_files(files, connection):
    """The rows of Parquet files, read by DuckDB: no contender is asked what it has written."""
    listed = ", ".join(f"'{file}'" for file in files)
    columns = ", ".join(COLUMNS)
    return fingerprint(connection, f"select {columns} from read_parquet([{listed}], hive_partitioning=false)")


class Delta:
    """delta-rs: MERGE. Source and target are joined on the partition, too, and its months are named."""

    def __init__(self, partitioned):
        self.partitioned = partitioned
        self.settings = f"streamed_exec={not partitioned}, target_file_size={FILE_MB} MB, snappy" + (
            ", the two months in the predicate" if partitioned else ""
        )

    def rows(self, path):
        import pyarrow.parquet

        columns = [*COLUMNS, "month"] if self.partitioned else COLUMNS
        return pyarrow.parquet.read_table(path, columns=columns)

    def properties(self):
        from deltalake import WriterProperties

        return WriterProperties(compression="SNAPPY", max_row_group_size=ROW_GROUP)

    def prepare(self, folder, given):
        from deltalake import write_deltalake

        partition = ["month"] if self.partitioned else None
        write_deltalake(
            str(folder / "table"),
            self.rows(given / "base.parquet"),
            partition_by=partition,
            target_file_size=FILE_MB << 20,
            writer_properties=self.properties(),
        )

    def merge(self, folder, given):
        from deltalake import DeltaTable

        on = f"target.{KEY} = source.{KEY}"
        if self.partitioned:
            months = ", ".join(f"'{name}'" for name in MONTHS)
            on += f" and target.month = source.month and target.month in ({months})"
        merger = DeltaTable(str(folder / "table")).merge(
            self.rows(given / "night.parquet"),
            on,
            source_alias="source",
            target_alias="target",
            streamed_exec=not self.partitioned,
            writer_properties=self.properties(),
        )
        merger.when_matched_update_all().when_not_matched_insert_all().execute()

    def check(self, folder):
        from deltalake import DeltaTable

        return of_files(DeltaTable(str(folder / "table")).file_uris(), connect())


class Database:
    """DuckDB: MERGE INTO a table of its own format."""

    settings = "no index on the key"
    table = "t"

    def open(self, folder):
        connection = connect()
        connection.execute(f"attach '{folder}/table.duckdb' as lake; use lake")
        return connection

    def shape(self, connection):
        """What the table is told before its first row comes."""

    def prepare(self, folder, given):
        connection = self.open(folder)
        connection.execute(f"create table t as select {', '.join(COLUMNS)} from '{given}/base.parquet' limit 0")
        self.shape(connection)
        connection.execute(f"insert into t select {', '.join(COLUMNS)} from '{given}/base.parquet'")
        connection.close()

    def on(self):
        return f"t.{KEY} = s.{KEY}"

    def merge(self, folder, given):
        connection = self.open(folder)
        connection.execute(
            f"merge into t using (select {', '.join(COLUMNS)} from '{given}/night.parquet') s on {self.on()}"
            " when matched then update when not matched then insert by name"
        )
        connection.close()

    def check(self, folder):
        return fingerprint(self.open(folder), "from t")


class DuckLake(Database):
    """DuckLake: MERGE INTO; its catalog is a DuckDB file. Rows that are replaced are noted in delete files."""

    def __init__(self, partitioned):
        self.partitioned = partitioned
        self.settings = "snappy, catalog in DuckDB" + (
            ", by year and month, times of the two months in the predicate" if partitioned else ""
        )

    def open(self, folder):
        from importlib.resources import files

        connection = connect()
        version = connection.execute("pragma version").fetchone()[0]
        extension = files("duckdb_extension_ducklake") / "extensions" / version / "ducklake.duckdb_extension"
        connection.execute(f"set extension_directory='{folder}/extensions'; install '{extension}'; load ducklake")
        connection.execute(
            f"attach 'ducklake:{folder}/catalog.ducklake' as lake (data_path '{folder}/data/'); use lake"
        )
        connection.execute("call lake.set_option('parquet_compression', 'snappy')")
        return connection

    def shape(self, connection):
        if self.partitioned:
            connection.execute("alter table t set partitioned by (year(received_at), month(received_at))")

    def on(self):
        return super().on() + (f" and t.received_at >= '{LATE}'" if self.partitioned else "")


class Copy:
    """DuckDB without a table format: what is touched is read, joined and written anew. Nothing keeps a reader from
    seeing half of it, nor two writers apart."""

    def __init__(self, partitioned):
        self.partitioned = partitioned
        self.settings = "COPY of the files that are touched, snappy, order given up"

    def prepare(self, folder, given):
        (folder / "table").mkdir(parents=True)
        by = ", partition_by (month), overwrite_or_ignore" if self.partitioned else ""
        to = folder / "table" / ("" if self.partitioned else "part.parquet")
        connect().execute(
            f"copy (from '{given}/base.parquet') to '{to}' (format parquet, row_group_size {ROW_GROUP}{by})"
        )

    def merge(self, folder, given):
        connection = connect()
        connection.execute("set preserve_insertion_order=false")
        columns = ", ".join(COLUMNS)
        night = f"(select {columns} from '{given}/night.parquet'"
        touched = [folder / "table" / f"month={name}" for name in MONTHS] if self.partitioned else [folder / "table"]
        for place in touched:
            rows = night + (f" where month = '{place.name.partition('=')[2]}')" if self.partitioned else ")")
            old = f"select {columns} from read_parquet('{place}/*.parquet', hive_partitioning=false)"
            new = place / "new.part"
            connection.execute(
                f"copy ({old} anti join {rows} n using ({KEY}) union all from {rows}) to '{new}'"
                f" (format parquet, row_group_size {ROW_GROUP})"
            )
            for file in place.glob("*.parquet"):
                file.unlink()
            new.rename(place / "part.parquet")

    def check(self, folder):
        return of_files((folder / "table").rglob("*.parquet"), connect())


class Iceberg:
    """pyiceberg: Table.upsert. Its catalog is SQLite."""

    def __init__(self, partitioned):
        self.partitioned = partitioned
        self.settings = f"join_cols=[{KEY}], snappy" + (", by month of received_at" if partitioned else "")

    def catalog(self, folder):
        from pyiceberg.catalog.sql import SqlCatalog

        return SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/data")

    def rows(self, path):
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path, columns=COLUMNS)

    def prepare(self, folder, given):
        rows = self.rows(given / "base.parquet")
        catalog = self.catalog(folder)
        catalog.create_namespace("lake")
        properties = {"write.parquet.compression-codec": "snappy"}
        table = catalog.create_table("lake.t", rows.schema, properties=properties)
        if self.partitioned:
            from pyiceberg.transforms import MonthTransform

            with table.update_spec() as spec:
                spec.add_field("received_at", MonthTransform(), "month")
        table.append(rows)

    def merge(self, folder, given):
        self.catalog(folder).load_table("lake.t").upsert(self.rows(given / "night.parquet"), join_cols=[KEY])

    def check(self, folder):
        tasks = list(self.catalog(folder).load_table("lake.t").scan().plan_files())
        assert not any(task.delete_files for task in tasks), "rows that are deleted are still in the files"
        return of_files([task.file.file_path.removeprefix("file://") for task in tasks], connect())


class Dlt:
    """dlt: write_disposition merge, from Arrow tables."""

    def __init__(self, destination, strategy):
        self.destination, self.strategy = destination, strategy
        self.settings = f"strategy {strategy}, from Arrow"

    def pipeline(self, folder):
        import os

        os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
        os.environ["NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID"] = "false"
        import dlt

        if self.destination == "duckdb":
            where = dlt.destinations.duckdb(str(folder / "table.duckdb"))
        else:
            where = dlt.destinations.filesystem(bucket_url=f"file://{folder}/lake")
        return dlt.pipeline("field", pipelines_dir=str(folder / "pipelines"), destination=where, dataset_name="lake")

    def load(self, folder, path, disposition):
        import dlt
        import pyarrow.parquet

        def rows():
            yield from pyarrow.parquet.ParquetFile(path).iter_batches(ROW_GROUP, columns=COLUMNS)

        more = {"table_format": "delta"} if self.destination == "delta" else {}
        resource = dlt.resource(rows, name="t", primary_key=KEY, write_disposition=disposition, **more)
        done = self.pipeline(folder).run(resource, loader_file_format="parquet")
        done.raise_on_failed_jobs()

    def prepare(self, folder, given):
        self.load(folder, given / "base.parquet", "append")

    def merge(self, folder, given):
        self.load(folder, given / "night.parquet", {"disposition": "merge", "strategy": self.strategy})

    def check(self, folder):
        if self.destination == "duckdb":
            connection = connect()
            connection.execute(f"attach '{folder}/table.duckdb' as d (read_only)")
            return fingerprint(connection, f"select {', '.join(COLUMNS)} from d.lake.t")
        from deltalake import DeltaTable

        return of_files(DeltaTable(str(folder / "lake" / "lake" / "t")).file_uris(), connect())


CONTENDERS = {
    "delta-rs, by month": Delta(True),
    "delta-rs": Delta(False),
    "DuckDB table": Database(),
    "DuckLake, by month": DuckLake(True),
    "DuckLake": DuckLake(False),
    "DuckDB COPY, by month": Copy(True),
    "DuckDB COPY": Copy(False),
    "pyiceberg, by month": Iceberg(True),
    "pyiceberg": Iceberg(False),
    "dlt to Delta": Dlt("delta", "upsert"),
    "dlt to DuckDB": Dlt("duckdb", "delete-insert"),
}


def check_files(folder):
    """The rows of our own lake, which is read as what it is: Parquet files."""
    return of_files((folder / "lake" / "events").rglob("*.parquet"), connect())


def main(name, step, folder, *more):
    folder = Path(folder).resolve()
    if step == "inputs":
        return inputs(folder, *more)
    if step == "settings":
        return print(CONTENDERS[name].settings)
    if step == "check":
        found = CONTENDERS[name].check(folder) if name in CONTENDERS else check_files(folder)
        return print(json.dumps(found))
    if step == "prepare":
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    started = time.monotonic()
    getattr(CONTENDERS[name], step)(folder, Path(more[0]).resolve())
    return print(time.monotonic() - started)


if __name__ == "__main__":
    main(*sys.argv[1:])
