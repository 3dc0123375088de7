"""Iceberg tables are committed to through Glue and through REST catalogs, and no answer that is lost loses a row."""

import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import TARGET, environment, lines, run
from iceberg_rest import RestCatalog
from iceberg_tables import readers_in
from vending import Front

SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "key_properties": ["id"],
    "schema": {
        "properties": {
            "id": {"type": "integer", "description": "The key."},
            "at": {"type": "string", "format": "date-time"},
            "parts": {"type": "array", "items": {"type": "object", "properties": {"size": {"type": "integer"}}}},
            "name": {"type": ["null", "string"]},
        }
    },
}
BY_MONTH = {"s": {"partition_by": {"column": "at", "granularity": "month"}}}


def records(ids, name):
    return [
        {"id": number, "at": f"2026-0{1 + number % 3}-01T00:00:00Z", "parts": [{"size": number}], "name": name}
        for number in ids
    ]


def messages(ids, name, schema=SCHEMA):
    found = [{"type": "RECORD", "stream": "s", "record": record} for record in records(ids, name)]
    return [schema, *found, {"type": "STATE", "value": {"bookmarks": {"s": name}}}]


class Loads:
    """Runs of the target into one lake."""

    def __init__(self, folder, settings):
        self.folder, self.config = folder, folder / "target.json"
        self.config.write_text(json.dumps({"table_format": "iceberg", "streams": BY_MONTH, **settings}))

    def load(self, ids, name, schema=SCHEMA):
        return run(TARGET, "--config", self.config, stdin=lines(*messages(ids, name, schema)))

    def maintain(self, *words):
        return run(TARGET, "maintain", "--config", self.config, *words)

    def at_once(self, all_rows):
        """Runs that commit beside each other."""
        command = [str(TARGET), "--config", str(self.config)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started = []
        for _ in all_rows:
            started.append(subprocess.Popen(command, env=environment(), **pipes))
        for process, (ids, name) in zip(started, all_rows, strict=True):
            process.stdin.write(lines(*messages(ids, name)))
            process.stdin.close()
        for process in started:
            assert process.wait(timeout=120) == 0, process.stderr.read()


def total(metadata):
    """Rows, as the current snapshot has it."""
    (current,) = (s for s in metadata["snapshots"] if s["snapshot-id"] == metadata["current-snapshot-id"])
    return int(current["summary"]["total-records"])


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    server = RestCatalog(tmp_path_factory.mktemp("rest"))
    yield server
    server.stop()


@pytest.fixture
def rest(catalog, tmp_path, request):
    """A lake of its own, whose catalog is the namespace of the test."""
    namespace = re.sub(r"\W+", "_", request.node.name)
    loads = Loads(tmp_path, {"destination": str(tmp_path / "lake"), "catalog": catalog.settings(namespace)})
    loads.names = lambda: {row["id"]: row["name"] for row in catalog.rows(namespace, "s")}
    loads.metadata = lambda: catalog.metadata(namespace, "s")
    loads.catalog, loads.namespace = catalog, namespace
    return loads


def test_rows_are_upserted_through_a_rest_catalog_and_read_by_iceberg(rest):
    rest.load(range(100), "first").succeeded()
    rest.load(range(90, 120), "second").succeeded()
    expected = {str(n): "first" for n in range(90)} | {str(n): "second" for n in range(90, 120)}
    assert rest.names() == expected
    metadata = rest.metadata()
    assert len(metadata["snapshots"]) == 2
    assert total(metadata) == 120
    (field,) = (f for f in metadata["schemas"][-1]["fields"] if f["name"] == "id")
    assert field["doc"] == "The key."


def test_a_column_that_comes_later_is_one_of_the_rest_catalog(rest):
    rest.load(range(10), "first").succeeded()
    wider = json.loads(json.dumps(SCHEMA))
    wider["schema"]["properties"]["more"] = {"type": "number"}
    rest.load(range(5), "second", wider).succeeded()
    metadata = rest.metadata()
    current = next(s for s in metadata["schemas"] if s["schema-id"] == metadata["current-schema-id"])
    assert "more" in [field["name"] for field in current["fields"]]
    assert len(rest.names()) == 10


class Numbering(Front):
    """A catalog that gives each new table a column of its own, before all others: theirs have other numbers."""

    def asked(self, request, body):
        if request.command != "POST" or not request.path.endswith("/tables"):
            return body
        table = json.loads(body)
        table["schema"]["fields"].insert(0, {"id": 9999, "name": "_loaded", "type": "string", "required": False})
        return json.dumps(table).encode()


@pytest.mark.parametrize("load_method", ["upsert", "append", "overwrite"])
def test_a_catalog_that_numbers_columns_otherwise_is_followed_from_the_first_run_on(rest, load_method):
    front = Numbering(int(rest.catalog.uri.rsplit(":", 1)[1]))
    settings = json.loads(rest.config.read_text())
    settings["catalog"]["rest"]["uri"] = front.url
    rest.config.write_text(json.dumps({**settings, "load_method": load_method}))
    try:
        rest.load(range(10), "first").succeeded()
        metadata = rest.metadata()
        numbers = {field["name"]: field["id"] for field in metadata["schemas"][-1]["fields"]}
        assert (numbers["_loaded"], numbers["id"]) == (1, 2)
        rest.load(range(10, 20), "second").succeeded()
    finally:
        front.stop()
    expected = {str(number): "first" for number in range(10)} if load_method != "overwrite" else {}
    assert rest.names() == expected | {str(number): "second" for number in range(10, 20)}


@pytest.mark.parametrize("status", [409, 500, 503])
def test_a_commit_whose_answer_is_lost_is_found_and_not_done_again(rest, status):
    rest.load(range(10), "first").succeeded()
    before = len(rest.metadata()["snapshots"])
    rest.catalog.answer_next_commit(status)
    rest.load(range(5), "second").succeeded()
    assert len(rest.metadata()["snapshots"]) == before + 1
    assert sorted(rest.names().values()) == ["first"] * 5 + ["second"] * 5


def test_writers_at_once_through_a_rest_catalog_lose_no_row(rest):
    rest.load(range(10), "first").succeeded()
    rest.at_once([(range(first, first + 40), f"w{first}") for first in (100, 200, 300)])
    names = rest.names()
    assert len(names) == 130
    assert total(rest.metadata()) == 130


def test_a_merge_of_spark_and_loads_of_ours_at_the_same_time_lose_nothing_and_write_nothing_twice(rest, readers):
    rest.load(range(60), "first").succeeded()
    table, times = f"rest.{rest.namespace}.s", range(3)
    merges = [
        f"""merge into {table} t using (select id from range(30, {61 + merge})) u on t.id = u.id
            when matched then update set name = 'spark{merge}'
            when not matched then insert (id, at, parts, name)
                values (u.id, timestamp '2026-02-01', null, 'spark{merge}')"""
        for merge in times
    ]
    where = {"warehouse": str(readers.warehouse), "uri": rest.catalog.uri}
    with ThreadPoolExecutor() as pool:
        theirs = pool.submit(readers.ask, "rest_sql", **where, texts=merges, tries=60)
        # A MERGE takes longer than a load: where loads leave it no time, it is always overtaken.
        pauses = (0.5, 1, 2, 4, 4)
        for load, pause in enumerate(pauses):
            rest.load([*range(30), 1000 + load], f"ours{load}").succeeded()
            time.sleep(pause)
        failures = theirs.result()
    ours = len(pauses)
    rows = rest.catalog.rows(rest.namespace, "s")
    names = {int(row["id"]): row["name"] for row in rows}
    assert len(names) == len(rows) == total(rest.metadata()), (
        f"{failures} of Spark's MERGEs were overtaken by {ours} loads"
    )
    expected = dict.fromkeys(range(30), f"ours{ours - 1}") | dict.fromkeys(range(30, 63), f"spark{times[-1]}")
    assert names == expected | {1000 + load: f"ours{load}" for load in range(ours)}
    # Each of them is a commit of its own.
    assert len(rest.metadata()["snapshots"]) == 1 + len(times) + ours


def test_a_server_that_is_no_catalog_is_told_by_its_setting(tmp_path):
    settings = {"type": "rest", "rest": {"uri": "http://127.0.0.1:1", "namespace": "n"}}
    loads = Loads(tmp_path, {"destination": str(tmp_path / "lake"), "catalog": settings})
    loads.load(range(1), "x").refused("does not answer", "catalog.rest.uri")


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    yield from readers_in(tmp_path_factory.mktemp("catalog-readers"))


@pytest.fixture
def glue(s3, tmp_path, request):
    """A lake of its own on S3, whose catalog is the database of the test."""
    name = re.sub(r"\W+", "-", request.node.name.replace("_", "-"))[:50].lower()
    database = re.sub(r"\W+", "_", request.node.name).lower()
    s3.forget()
    bucket = s3.bucket(name.strip("-"))
    catalog = {"type": "glue", "database": database, "endpoint_url": s3.url}
    loads = Loads(tmp_path, {**s3.settings(f"s3://{bucket}/lake"), "catalog": catalog})
    loads.s3, loads.bucket = s3, bucket
    loads.table = lambda: s3.glue.get_table(DatabaseName=database, Name="s")["Table"]

    def metadata(place=bucket):
        key = loads.table()["Parameters"]["metadata_location"].removeprefix(f"s3://{place}/")
        return json.loads(s3.client.get_object(Bucket=place, Key=key)["Body"].read())

    loads.metadata, loads.database = metadata, database
    yield loads
    s3.heal()


def test_rows_are_upserted_through_glue(glue):
    glue.load(range(100), "first").succeeded()
    table = glue.table()
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert table["TableType"] == "EXTERNAL_TABLE"
    types = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    assert types == {"id": "bigint", "at": "timestamp", "parts": "array<struct<size:bigint>>", "name": "string"}
    assert table["StorageDescriptor"]["Columns"][0]["Comment"] == "The key."
    assert not table.get("PartitionKeys")
    first = table["Parameters"]["metadata_location"]
    glue.load(range(90, 120), "second").succeeded()
    table = glue.table()
    assert table["Parameters"]["previous_metadata_location"] == first
    assert total(glue.metadata()) == 120
    updates = [request["body"] for request in glue.s3.requests() if request["action"] == "UpdateTable"]
    assert [(update["VersionId"], update["SkipArchive"]) for update in updates] == [("1", True)]


@pytest.mark.parametrize("action", ["CreateTable", "UpdateTable"])
def test_a_request_that_glue_does_twice_is_a_commit(glue, action):
    if action == "UpdateTable":
        glue.load(range(10), "first").succeeded()
    before = len(glue.metadata()["snapshots"]) if action == "UpdateTable" else 0
    glue.s3.steer("faults", action=action, code="InternalServiceException", status=500, done=True)
    glue.load(range(10), "second").succeeded()
    assert len(glue.metadata()["snapshots"]) == before + 1
    assert total(glue.metadata()) == 10


def test_writers_at_once_through_glue_lose_no_row(glue):
    glue.load(range(10), "first").succeeded()
    glue.at_once([(range(first, first + 40), f"w{first}") for first in (100, 200, 300)])
    assert total(glue.metadata()) == 130
    # Of those that lost nothing is left, and of older versions no more than the table keeps.
    files = {key for key in glue.s3.keys(glue.bucket, "lake/s/metadata/") if key.endswith(".metadata.json")}
    named = [entry["metadata-file"] for entry in glue.metadata()["metadata-log"]]
    named.append(glue.table()["Parameters"]["metadata_location"])
    assert files == {name.removeprefix(f"s3://{glue.bucket}/") for name in named}


def test_a_table_that_another_tool_has_moved_to_another_bucket_is_written_there(glue, readers):
    glue.load(range(100), "first").succeeded()
    other = glue.s3.bucket("moved-elsewhere")
    moved = {**glue.metadata(), "location": f"s3://{other}/there/s"}
    key = "there/s/metadata/00001-moved.metadata.json"
    glue.s3.client.put_object(Bucket=other, Key=key, Body=json.dumps(moved).encode())
    table = glue.table()
    parameters = {**table["Parameters"], "metadata_location": f"s3://{other}/{key}"}
    given = {"Name": "s", "Parameters": parameters, "StorageDescriptor": table["StorageDescriptor"]}
    glue.s3.glue.update_table(DatabaseName=glue.database, TableInput={**given, "TableType": table["TableType"]})
    before = glue.s3.keys(glue.bucket, "lake/s/")
    done = glue.load(range(90, 120), "second").succeeded()
    assert f"Glue has it at s3://{other}/there/s" in done.err
    # What is new is there, and what was before stays where it was until nothing names it.
    assert glue.s3.keys(glue.bucket, "lake/s/") == before
    assert [key for key in glue.s3.keys(other, "there/s/data/") if key.endswith(".parquet")]
    newest = glue.table()["Parameters"]["metadata_location"]
    assert newest.startswith(f"s3://{other}/there/s/metadata/")
    reached = {"s3.endpoint": glue.s3.url, "s3.access-key-id": "test", "s3.secret-access-key": "test"}
    rows = readers.ask("rows_of_metadata", file=newest, properties={**reached, "s3.region": "us-east-1"})
    expected = dict.fromkeys(range(90), "first") | dict.fromkeys(range(90, 120), "second")
    assert {row["id"]: row["name"] for row in rows} == expected
    glue.load(range(90, 120), "third").succeeded()
    assert total(glue.metadata("moved-elsewhere")) == 120


def test_a_plain_table_of_glue_is_not_taken_for_an_iceberg_table(glue):
    glue.s3.glue.create_database(DatabaseInput={"Name": glue.database})
    location = f"s3://{glue.bucket}/other/"
    table = {"Name": "s", "StorageDescriptor": {"Location": location, "Columns": []}}
    glue.s3.glue.create_table(DatabaseName=glue.database, TableInput=table)
    glue.load(range(1), "x").refused("a plain table", "catalog.table_prefix")
    assert glue.table()["StorageDescriptor"]["Location"] == location
