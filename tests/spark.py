"""Reads lakes with Spark, strictly by the types of the catalog."""

import json
import os
import re
import shutil
import subprocess
from datetime import datetime, timezone

import ask
from lake import files

JAVA_VERSIONS = ("8", "11", "17")
"""What Spark 3.5 is made for."""


def java_version():
    """The version of the Java that Spark would take; nothing if there is none."""
    java = shutil.which("java", path=os.path.join(os.environ["JAVA_HOME"], "bin") if "JAVA_HOME" in os.environ else None)
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr if java else ""
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    return version and version[1]


def session(folder):
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


def hive_type(kind):
    """A type in the lake's definition of a table, as Hive writes it."""
    if isinstance(kind, str):
        return {"json": "string"}.get(kind, kind)
    ((name, of),) = kind.items()
    if name == "decimal":
        return "decimal({},{})".format(*of)
    if name == "list":
        return f"array<{hive_type(of)}>"
    fields = ",".join(f"{field['name']}:{hive_type(field['kind'])}" for field in of)
    return f"struct<{fields}>"


def registered(lake, table):
    """The columns of a table and its partition keys, with their Hive types."""
    known = json.loads((lake / "_lake" / "tables" / f"{table}.json").read_text())
    columns = {column["name"]: hive_type(column["kind"]) for column in known["columns"]}
    folders = {path.parent.relative_to(lake / table).as_posix() for path in files(lake, table)}
    keys = {folder.split("=")[0]: "string" for folder in folders if "=" in folder}
    return columns, keys


def create(spark, lake, table, columns, keys, database="wistia"):
    """Tells Spark's catalog of a table."""
    spark.sql(f"create database if not exists {database}")
    spark.sql(f"drop table if exists {database}.{table}")
    ddl = ", ".join(f"`{name}` {kind}" for name, kind in {**columns, **keys}.items())
    partitioned = f"partitioned by ({', '.join(keys)})" if keys else ""
    spark.sql(f"create table {database}.{table} ({ddl}) using parquet {partitioned} location '{(lake / table).as_uri()}'")
    if keys:
        spark.sql(f"msck repair table {database}.{table}")
    return spark.table(f"{database}.{table}")


def rows(frame):
    """The rows of an answer as plain values, times in UTC."""
    return [plain(row.asDict(recursive=True)) for row in frame.collect()]


def plain(value):
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    # PySpark gives the time of the machine's zone, without the zone.
    return value.astimezone(timezone.utc) if isinstance(value, datetime) else value
