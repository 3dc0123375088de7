"""Reads lakes with Spark, strictly by the types that are registered in Glue."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ask
from harness import Json

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from pyspark.sql import DataFrame, SparkSession

JAVA_VERSIONS = ("8", "11", "17")
"""What Spark 3.5 is made for."""


def java_version() -> str | None:
    """The version of the Java that Spark would take; nothing if there is none."""
    java = shutil.which(
        "java", path=os.path.join(os.environ["JAVA_HOME"], "bin") if "JAVA_HOME" in os.environ else None
    )
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr if java else ""
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    return version[1] if version else None


def session(folder: Path) -> SparkSession:
    """A Spark on this machine, with the settings of the script for Glue."""
    from pyspark.sql import SparkSession

    settings = {
        **ask.SETTINGS,
        # A short life: compile once and quickly, plan once, and keep no statistics.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.hive.gatherFastStats": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


@dataclass
class Table:
    """A table as the Glue catalog knows it, whose files have been copied to a folder."""

    name: str
    columns: dict[str, str]
    keys: dict[str, str]
    location: str
    partitions: list[tuple[list[str], str]]
    """The values of the keys and the location of each partition."""


def registered(glue: GlueClient, database: str, name: str) -> Table:
    """A table of the catalog."""
    table = glue.get_table(DatabaseName=database, Name=name)["Table"]
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=name)
    partitions = [partition for page in pages for partition in page["Partitions"]]
    return Table(
        name,
        {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]},
        {key["Name"]: key["Type"] for key in table["PartitionKeys"]},
        table["StorageDescriptor"]["Location"],
        [(partition["Values"], partition["StorageDescriptor"]["Location"]) for partition in partitions],
    )


def create(spark: SparkSession, table: Table, folder: Path, database: str = "wistia") -> DataFrame:
    """Tells Spark's catalog of a table, whose bucket has been copied to a folder."""

    def local(location: str) -> Path:
        return folder / location.split("/", 3)[3]

    spark.sql(f"create database if not exists {database}")
    spark.sql(f"drop table if exists {database}.{table.name}")
    ddl = ", ".join(f"`{name}` {kind}" for name, kind in {**table.columns, **table.keys}.items())
    partitioned = f"partitioned by ({', '.join(table.keys)})" if table.keys else ""
    spark.sql(
        f"create table {database}.{table.name} ({ddl}) using parquet {partitioned} location '{local(table.location)}'"
    )
    if table.partitions:
        added = ""
        for values, location in table.partitions:
            pairs = ", ".join(f"{key} = '{value}'" for key, value in zip(table.keys, values, strict=True))
            added += f" partition ({pairs}) location '{local(location)}'"
        spark.sql(f"alter table {database}.{table.name} add{added}")
    return spark.table(f"{database}.{table.name}")


def rows(frame: DataFrame) -> list[Json]:
    """The rows of an answer as plain values, times in UTC."""
    return [plain(row.asDict(recursive=True)) for row in frame.collect()]


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    # PySpark gives the time of the machine's zone, without the zone.
    return value.astimezone(UTC) if isinstance(value, datetime) else value
