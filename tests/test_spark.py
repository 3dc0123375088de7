"""Spark reads every file of a lake by the types in Glue, vectorized and without a cast."""

import json
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
import pytest

import redshift
import spark as engine
from answers import ANSWERS, assert_answers
from demo import DEPLOY, scan, text_of
from harness import PARTITIONS, TARGET, lines, run
from lake import KEYS, files, order

# One Spark and one demo for all of them.
pytestmark = pytest.mark.xdist_group("demo")


def duckdb_rows(lake, table):
    """The rows of a table as DuckDB reads them, with its partition keys."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.sql(f"select * from {scan(lake, table)}").to_arrow_table().to_pylist()


class Lake:
    """A lake on S3 that the target has registered in Glue, and a copy of it that Spark can read."""

    def __init__(self, s3, folder, name):
        self.s3, self.folder, self.name = s3, folder, name
        self.bucket = s3.bucket(f"spark-{name}")
        self.copy = None

    def load(self, messages, **settings):
        catalog = {
            "type": "glue",
            "database": self.name,
            "personal_database": f"{self.name}__personal",
            "endpoint_url": self.s3.url,
        }
        config = self.folder / "target.json"
        config.write_text(json.dumps(self.s3.settings(f"s3://{self.bucket}/lake", catalog=catalog, **settings)))
        run(TARGET, "--config", config, stdin=messages).succeeded()
        self.copy = Path(tempfile.mkdtemp(dir=self.folder))
        self.s3.download(self.bucket, self.copy)
        return self

    @property
    def tables(self):
        return self.copy / "lake"

    def registered(self, table):
        database = f"{self.name}__personal" if table in redshift.PERSONAL else self.name
        return engine.registered(self.s3.glue, database, table)

    def create(self, spark, table):
        """The table in the catalog of Spark."""
        return engine.create(spark, self.registered(table), self.copy)


def assert_spark_reads(spark, lake, table, keys):
    frame = lake.create(spark, table)
    assert "Batched: true" in frame._jdf.queryExecution().executedPlan().toString()
    read = {unquote(urlsplit(url).path) for url in frame.inputFiles()}
    assert read == {str(path) for path in files(lake.tables, table)}
    held = order(engine.rows(frame), keys)
    assert held == order(duckdb_rows(lake.tables, table), keys)
    return held


@pytest.fixture(scope="module")
def wistia(demo, s3, tmp_path_factory):
    """The demo's lake on S3, in the Glue databases `wistia` and `wistia__personal`."""
    return Lake(s3, tmp_path_factory.mktemp("wistia"), "wistia").load(demo.messages, streams=PARTITIONS)


@pytest.mark.parametrize("table", KEYS)
def test_spark_reads_every_file_of_a_wistia_table(spark, wistia, demo, table):
    rows = assert_spark_reads(spark, wistia, table, KEYS[table])
    # The truth knows nothing of the rules for channels.
    assert len(rows) >= len(demo.truth(table)) > 0


WRONG = {
    "play_count": ("fact_engagements_byday", "int"),
    "hours_watched": ("fact_engagements_byday", "float"),
    "date": ("fact_engagements", "string"),
    "media_id": ("fact_engagements", "bigint"),
    "duration": ("dim_media", "decimal(18,4)"),
}


@pytest.mark.parametrize("column", WRONG)
def test_spark_refuses_a_column_whose_type_is_another_one(spark, wistia, column):
    """So that what it reads above has the very types of the catalog."""
    name, kind = WRONG[column]
    table = wistia.registered(name)
    table.columns[column] = kind
    frame = engine.create(spark, table, wistia.copy, database="wrong")
    with pytest.raises(Exception, match="(?i)parquet column cannot be converted"):
        frame.collect()


@pytest.fixture(scope="module")
def catalog(spark, wistia):
    """A Spark that knows the tables of the demo, in two databases, and the views that some questions need."""
    for table in KEYS:
        database = "wistia__personal" if table in redshift.PERSONAL else "wistia"
        engine.create(spark, wistia.registered(table), wistia.copy, database)
    spark.sql("create database wistia_views")
    for path in (DEPLOY / "athena").glob("viewing_*.sql"):
        engine.ask.ask(spark, path.read_text())
    return spark


@pytest.mark.parametrize("question", ANSWERS)
def test_spark_answers_the_questions(catalog, demo, question):
    frame = engine.ask.ask(catalog, text_of(question, "spark"))
    assert_answers(question, frame.columns, [tuple(row) for row in frame.collect()], demo.truth)


def test_spark_knows_the_order_of_a_list(catalog, demo):
    points = engine.rows(engine.ask.ask(catalog, (DEPLOY / "spark" / "graph_points.sql").read_text()))
    truth = demo.truth("fact_engagement_graph_points")
    assert points == sorted(truth, key=lambda row: (row["media_id"], row["position"]))


PROPERTIES = {
    "id": {"type": "integer"},
    "small": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "number": {"type": "number"},
    "money": {"type": "number", "multipleOf": 0.01},
    "precise": {"type": "string", "format": "singer.decimal"},
    "flag": {"type": "boolean"},
    "text": {"type": "string"},
    "day": {"type": "string", "format": "date"},
    "instant": {"type": "string", "format": "date-time"},
    "anything": {},
    "struct": {
        "type": "object",
        "properties": {
            "Camel Case": {"type": "integer"},
            "inner": {
                "type": "object",
                "properties": {
                    "when": {"type": "string", "format": "date-time"},
                    "cents": {"type": "number", "multipleOf": 0.01},
                },
            },
        },
    },
    "numbers": {"type": "array", "items": {"type": "integer"}},
    "days": {"type": "array", "items": {"type": "string", "format": "date"}},
    "lists": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
    "structs": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
        },
    },
}
RECORDS = [
    {
        "id": 2**63 - 1,
        "small": 2**31 - 1,
        "number": 1.7976931348623157e308,
        "money": 123456789.01,
        "precise": "99999999999999999999999999999.123456789",
        "flag": True,
        "text": 'żółw 🐢 \u0000 " \\',
        "day": "9999-12-31",
        "instant": "2026-06-30T23:59:59.999999+02:00",
        "anything": {"a": [1, None, "x"]},
        "struct": {"Camel Case": 1, "inner": {"when": "1969-12-31T23:59:59Z", "cents": -0.01}},
        "numbers": [1, None, -(2**63)],
        "days": ["1970-01-01", None],
        "lists": [[1.5, None], [], None],
        "structs": [{"name": "a", "tags": ["x", None]}, {"name": None, "tags": []}, None],
    },
    {
        "id": -(2**63),
        "small": -(2**31),
        "number": -0.0,
        "money": -0.01,
        "precise": "-0.000000001",
        "flag": False,
        "text": "",
        "day": "1582-10-04",
        "instant": "1500-01-01T00:00:00Z",
        "anything": "1",
        "struct": {"Camel Case": None, "inner": None},
        "numbers": [],
        "days": [],
        "lists": [],
        "structs": [],
    },
    {"id": 3, "struct": {}, "day": "1970-01-01"},
    {"id": 4},
]
CODECS = ["snappy", "zstd", "gzip", "none"]


@pytest.fixture
def lake(s3, tmp_path):
    return Lake(s3, tmp_path, tmp_path.name.replace("_", "-"))


def messages(stream, properties, records):
    schema = {"type": "SCHEMA", "stream": stream, "key_properties": ["id"], "schema": {"properties": properties}}
    sent = [{"type": "RECORD", "stream": stream, "record": record} for record in records]
    return lines(schema, *sent, {"type": "STATE", "value": {}})


def test_spark_reads_every_type_with_every_codec(spark, lake):
    """Values, nulls and empty lists, and tables in which every column is null."""
    sent = ""
    for codec in CODECS:
        sent += messages(codec, PROPERTIES, RECORDS) + messages(f"{codec}_nulls", PROPERTIES, [{"id": 1}, {"id": 2}])
    lake.load(sent, streams={f"{codec}*": {"compression": codec} for codec in CODECS})
    tables = [assert_spark_reads(spark, lake, codec, ["id"]) for codec in CODECS]
    assert all(table == tables[0] for table in tables)
    assert len(tables[0]) == len(RECORDS)
    for codec in CODECS:
        rows = assert_spark_reads(spark, lake, f"{codec}_nulls", ["id"])
        assert [[name for name, value in row.items() if value is not None] for row in rows] == [["id"], ["id"]]


def test_spark_reads_files_of_before_and_after_a_change_of_the_schema(spark, lake):
    """Files that a change does not touch have fewer columns, and none has another type."""
    by_month = {"partition_by": {"column": "day", "granularity": "month"}}
    integer, day = {"type": "integer"}, {"type": "string", "format": "date"}

    def struct(**fields):
        return {"type": "object", "properties": fields}

    first = {"id": integer, "day": day, "small": PROPERTIES["small"], "n": integer, "s": struct(a=integer)}
    old = [{"id": 1, "day": "2026-01-01", "small": 1, "n": 1, "s": {"a": 1}}, {"id": 2, "day": "2026-02-01"}]
    lake.load(messages("s", first, old), **by_month)

    added = {**first, "later": PROPERTIES["structs"], "s": struct(b={"type": "string"}, a=integer)}
    new = [{"id": 3, "day": "2026-03-01", "later": [{"name": "x"}], "s": {"a": 2, "b": "y"}}]
    lake.load(messages("s", added, new), **by_month)
    rows = assert_spark_reads(spark, lake, "s", ["id"])
    assert [row["s"] for row in rows] == [{"a": 1, "b": None}, None, {"a": 2, "b": "y"}]
    assert [row["later"] for row in rows] == [None, None, [{"name": "x", "tags": None}]]

    widened = {"id": integer, "day": day, "small": integer, "n": {"type": "number"}}
    lake.load(messages("s", widened, [{"id": 4, "day": "2026-03-02", "small": 2**40, "n": 0.5}]), **by_month)
    rows = assert_spark_reads(spark, lake, "s", ["id"])
    assert [(row["small"], row["n"]) for row in rows] == [(1, 1.0), (None, None), (None, None), (2**40, 0.5)]
    assert lake.registered("s").columns["n"] == "double"


CITIES = ["Zürich", "a b", "a/b", "100%", "x=y:z", "東京 😀", "a&b+c~d", "'\"#?*\\{}[]^", "..", "%C3%BC", "plain"]


def test_spark_reads_the_value_of_a_partition_in_the_name_of_its_folder(spark, lake):
    """By the catalog, and by the folders alone: as Spark itself would have named them."""
    properties = {"id": {"type": "integer"}, "city": {"type": "string"}}
    records = [{"id": at, "city": city} for at, city in enumerate(CITIES)]
    lake.load(messages("s", properties, records), partition_by={"column": "city"})
    frame = spark.read.parquet(str(lake.tables / "s"))
    assert sorted((row.city, row.p_city) for row in frame.collect()) == sorted((city, city) for city in CITIES)
    written = lake.folder / "by_spark"
    frame.select("id", "city", frame.city.alias("p_city")).write.partitionBy("p_city").parquet(str(written))
    names = {path.name for path in written.iterdir() if path.is_dir()}
    assert {path.name for path in (lake.tables / "s").iterdir()} == names
    assert {values[0] for values, _ in lake.registered("s").partitions} == set(CITIES)
