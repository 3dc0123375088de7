"""The marts of the dbt project, made by a real Spark. It takes minutes: `make test-readers`, and not `make test`."""

import json
import re
from datetime import date, datetime
from decimal import Decimal

import pytest

from lake import KEYS
from marts import PROJECT, Marts

MARTS = {path.stem for path in (PROJECT / "models" / "marts").glob("*.sql")}


def test_spark_makes_the_same_marts(spark, demo, tmp_path):
    """What is compiled for Spark, run by one. dbt itself talks to Spark by a server, which is not here."""
    marts = Marts(tmp_path / "duckdb", demo.lake)
    marts.build("--exclude-resource-type", "test")
    made = Marts(tmp_path / "spark", "")
    assert made.dbt("compile", "--target", "spark", "--no-populate-cache", "--no-introspect").code == 0
    manifest = json.loads((made.target / "manifest.json").read_text())

    def keep(name, frame):
        frame.createOrReplaceTempView(f"dbt_{name}")

    for table in KEYS:
        keep(table, spark.read.parquet(str(demo.lake / table)))
    keep("country_names", spark.read.option("header", "true").csv(str(PROJECT / "seeds" / "country_names.csv")))
    waiting = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    # Its many small queries take Spark a minute, and are of one form.
    del waiting["model.dbt_wistia.account_health_columns"]
    while waiting:
        for key, node in list(waiting.items()):
            if not waiting.keys() & set(node["depends_on"]["nodes"]):
                text = (made.target / "compiled" / "dbt_wistia" / node["original_file_path"]).read_text()
                frame = spark.sql(re.sub(r"\b(?:lake|wistia_marts)\.(\w+)", r"dbt_\1", text))
                keep(node["name"], frame.cache() if node["path"].startswith("marts") else frame)
                del waiting[key]
    for mart in sorted(MARTS - {"account_health_columns"}):
        rows = [plain(row.asDict()) for row in spark.table(f"dbt_{mart}").collect()]
        expected = [plain(row) for row in marts.ask(f"select * from wistia.{mart}")]
        assert len(rows) == len(expected) > 0, mart
        for mine, true in zip(sorted(rows, key=place), sorted(expected, key=place), strict=True):
            assert mine == pytest.approx(true), mart


def plain(row):
    """A row with its numbers as doubles and its days as texts."""

    def value(one):
        if isinstance(one, datetime | date):
            one = one.isoformat()
        return float(one) if isinstance(one, int | float | Decimal) else one

    return {name: value(one) for name, one in row.items()}


def place(row):
    """By what rows are put in one order: no figure to its last digit."""
    return [f"{one:.3f}" if isinstance(one, float) else str(one) for one in row.values()]
