"""The main job: every table is equal to the account, whatever the account does."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import PARTITIONS, TAP, run
from lake import TABLES, assert_equals, duckdb_types, files, fingerprints

ACCOUNTS = [
    {"seed": 1},
    {"seed": 2, "medias": 70, "events": 1500, "days": 900, "fault_rate": 0.05},
    {"seed": 3, "medias": 1, "events": 1, "days": 1},
    {"seed": 4, "medias": 0, "events": 0, "days": 1},
    {"seed": 5, "medias": 8, "events": 6000, "days": 3, "timezone_offset_hours": -8},
    {"seed": 6, "medias": 8, "events": 2000, "days": 30, "timezone_offset_hours": 10},
    # Some of its numbers have digits to the last place of a double.
    {"seed": 85, "medias": 40, "events": 300, "days": 20},
]


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: f"seed{account['seed']}")
def test_every_table_is_equal_to_the_account_and_follows_it(simulator, pipe, account):
    server = simulator(**account)
    job = pipe(server)
    job.sync()
    assert_equals(server, job.lake)

    server.grow(new_events=300, late_events=40, risen_events=60, new_medias=2, restated_days=3)
    job.sync()
    assert_equals(server, job.lake)


def test_a_sync_with_nothing_new_asks_little_and_changes_nothing(simulator, pipe):
    server = simulator(seed=7, medias=12)
    job = pipe(server)
    job.sync()
    first = len(server.requests())
    before, state = fingerprints(job.lake), job.state.read_text()
    server.forget()
    job.sync()
    assert fingerprints(job.lake) == before
    assert job.state.read_text() == state
    assert len(server.requests()) < first
    events = [request for request in server.requests() if request["path"] == "stats/events"]
    assert len(events) <= 4, "days that have ended and days that go on, each with its end"


def test_columns_have_the_promised_types_in_every_file(simulator, pipe):
    job = pipe(simulator(seed=8, medias=30))
    job.sync()
    for table, columns in TABLES.items():
        partitioned = table in PARTITIONS
        assert files(job.lake, table)
        for path in files(job.lake, table):
            assert ("month=" in str(path)) == partitioned
            schema = pq.read_schema(path)
            assert schema.equals(pa.schema(columns)), f"{path}\n{schema}"
            for field in pq.ParquetFile(path).schema_arrow:
                if pa.types.is_list(field.type):
                    assert field.type.value_field.name == "element"
    assert duckdb_types(files(job.lake, "dim_media")[0])["assets"] == (
        'STRUCT(url VARCHAR, width BIGINT, height BIGINT, file_size BIGINT, content_type VARCHAR, "type" VARCHAR)[]'
    )
    assert duckdb_types(files(job.lake, "fact_engagements")[0])["date"] == "DATE"


def test_the_files_of_an_empty_account_have_the_same_types(simulator, pipe):
    """Types come from the schema, never from the values."""
    full, empty = pipe(simulator(seed=9)), pipe(simulator(seed=9, medias=3, events=2, days=1))
    full.sync()
    types = {table: pq.read_schema(files(full.lake, table)[0]) for table in TABLES}
    empty.target["destination"] += "2"
    empty.state.unlink()
    empty.sync()
    for table, schema in types.items():
        assert files(empty.lake, table)
        for path in files(empty.lake, table):
            assert pq.read_schema(path).equals(schema)


def test_a_lake_on_s3_is_the_same_lake(simulator, pipe, s3, tmp_path):
    server = simulator(seed=10)
    bucket = s3.bucket("main-job")
    job = pipe(server, target=s3.settings(f"s3://{bucket}/wistia", compression="zstd"))
    job.sync()
    server.grow(new_events=200, late_events=20, risen_events=30, new_medias=1)
    job.sync()
    lake = s3.download(bucket, tmp_path / "copy", "wistia")
    assert_equals(server, lake)
    assert not s3.uploads(bucket)
    assert all(key.startswith("wistia/") for key in s3.keys(bucket))


def test_graph_points_keep_the_order_of_the_graph(simulator, pipe):
    catalog = json.loads(run(TAP, "--discover").succeeded().out)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["stream"] == "fact_engagement_graph_points"
    server = simulator(seed=11)
    job = pipe(server, catalog=catalog)
    job.sync()
    assert_equals(server, job.lake, ["fact_engagement_graph_points"])
    assert {request["path"].split("/")[0] for request in server.requests()} == {"medias", "stats"}
