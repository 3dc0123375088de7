"""What docs/querying.md says of readers that `make test` does not install. `make test-readers` does."""

import json

import chdb
import daft
import datafusion
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pytest

from harness import TARGET, lines, run
from recipes import Desk

NULL = "__HIVE_DEFAULT_PARTITION__"


def test_every_reader_reads_the_lake_as_the_page_says(simulator, s3, tmp_path):
    account = simulator(seed=21, medias=4, events=60, days=300)
    assert Desk(tmp_path, account, s3).work_through("docs/querying.md", "tests/readers/test_readers.py") == []


@pytest.fixture
def table(tmp_path):
    """Makes a table with a row without a value, and one with, in the partition column."""

    def make(partition, value):
        schema = {"id": {"type": "integer"}, "at": {"type": ["null", "string"]}}
        if "granularity" in partition:
            schema["at"]["format"] = "date-time"
        messages = [{"type": "SCHEMA", "stream": "t", "key_properties": ["id"], "schema": {"properties": schema}}]
        messages += [{"type": "RECORD", "stream": "t", "record": row} for row in ({"id": 1, "at": value}, {"id": 2})]
        lake = tmp_path / "lake"
        config = {"destination": str(lake), "streams": {"t": {"partition_by": partition, "move_keys": False}}}
        (tmp_path / "c.json").write_text(json.dumps(config))
        run(TARGET, "--config", tmp_path / "c.json", stdin=lines(*messages)).succeeded()
        return str(lake / "t")

    return make


def test_years_are_integers_and_missing_ones_may_be_text(table):
    year = table({"column": "at", "granularity": "year"}, "2026-01-02T00:00:00Z")
    assert set(polars.read_parquet(f"{year}/")["year"]) == {2026, None}
    assert "year" not in polars.read_parquet(f"{year}/**/*.parquet").columns
    with pytest.raises(pyarrow.ArrowInvalid, match="Cannot yet unify dictionaries"):
        pandas.read_parquet(year)
    schema = pyarrow.schema([("year", pyarrow.string())])
    partitioning = pyarrow.dataset.partitioning(schema, flavor="hive")
    assert set(pandas.read_parquet(year, partitioning=partitioning)["year"].dropna()) == {"2026"}
    context = datafusion.SessionContext()
    context.register_parquet("t", year, table_partition_cols=[("year", pyarrow.string())])
    assert set(context.sql("select year from t").to_pydict()["year"]) == {"2026", NULL}
    with pytest.raises(FileNotFoundError):
        daft.read_parquet(year)


def test_clickhouse_does_not_read_what_is_escaped(table):
    text = table({"column": "at", "name": "p"}, "a/b")
    query = f"select {{}} from file('{text}/**/*.parquet', Parquet) order by id settings use_hive_partitioning = 1"
    assert str(chdb.query(query.format("p"))) == f'"a%2Fb"\n"{NULL}"\n'
    decoded = query.format(f"nullif(decodeURLComponent(p), '{NULL}')")
    assert str(chdb.query(decoded)) == '"a/b"\n\\N\n'
