"""The catalog says what is in the lake: exactly, soon, and again after whatever went wrong."""

import json
import re
import signal
import subprocess

import pytest

from harness import JSON_LOG, PARTITIONS, ROOT, TARGET, Pipe, environment, lines, run, until
from lake import TABLES

DENIED = (
    "User: arn:aws:iam::123456789012:role/loader is not authorized to perform: glue:{0} "
    "on resource: arn:aws:glue:us-east-1:123456789012:catalog"
)
BEHIND = 3


def schema(stream="s", **properties):
    columns = {"id": {"type": "integer"}, "day": {"type": "string", "format": "date"}, **properties}
    return {"type": "SCHEMA", "stream": stream, "key_properties": ["id"], "schema": {"properties": columns}}


def record(number, day="2026-11-01", stream="s", **values):
    return {"type": "RECORD", "stream": stream, "record": {"id": number, "day": day, **values}}


def state(number):
    return {"type": "STATE", "value": {"bookmarks": number}}


BY_DAY = {"s": {"partition_by": {"column": "day"}}}
NESTED = {
    "name": {"type": ["null", "string"], "description": "What it is\ncalled."},
    "price": {"type": "number", "multipleOf": 0.01},
    "at": {"type": "string", "format": "date-time"},
    "small": {"type": "integer", "minimum": 0, "maximum": 9},
    "anything": {},
    "parts": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"fileSize": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
        },
    },
}
NESTED_TYPES = {
    "id": "bigint",
    "day": "date",
    "name": "string",
    "price": "decimal(38,2)",
    "at": "timestamp",
    "small": "int",
    "anything": "string",
    "parts": "array<struct<file_size:bigint,tags:array<string>>>",
}
NESTED_VALUES = {
    "name": "a",
    "price": 1.5,
    "at": "2026-11-01T00:00:00Z",
    "small": 1,
    "anything": [1],
    "parts": [{"fileSize": 1, "tags": ["x"]}],
}


class Lake:
    """A lake on S3 with a catalog."""

    def __init__(self, s3, folder, name, **catalog):
        self.s3, self.glue, self.folder, self.name = s3, s3.glue, folder, name
        self.bucket, self.database = s3.bucket(name), name
        self.catalog = {"type": "glue", "database": name, "endpoint_url": s3.url, **catalog}
        self.streams = BY_DAY

    @property
    def location(self):
        return f"s3://{self.bucket}/lake/"

    @property
    def state(self):
        return self.folder / "state.json"

    def settings(self, **more):
        defaults = {"catalog": self.catalog, "streams": self.streams}
        return {**self.s3.settings(f"s3://{self.bucket}/lake"), **defaults, **more}

    def command(self, **more):
        config = self.folder / "target.json"
        config.write_text(json.dumps(self.settings(**more)))
        return [TARGET, "--config", config, "--state-out", self.state]

    def load(self, *messages, **more):
        return run(*self.command(**more), *JSON_LOG, stdin=lines(*messages))

    def start(self, *messages, **more):
        """A run that goes on beside the test."""
        (self.folder / "messages").write_text(lines(*messages))
        command = [*self.command(**more), "--input", self.folder / "messages"]
        return subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )

    def table(self, name="s"):
        return self.glue.get_table(DatabaseName=self.database, Name=name)["Table"]

    def tables(self):
        return [table["Name"] for table in self.glue.get_tables(DatabaseName=self.database)["TableList"]]

    def types(self, name="s"):
        return types_of(self.table(name))

    def partitions(self, name="s"):
        pages = self.glue.get_paginator("get_partitions").paginate(DatabaseName=self.database, TableName=name)
        return {part["Values"][0]: part for page in pages for part in page["Partitions"]}

    def crawler(self):
        return self.glue.get_crawler(Name=self.name)["Crawler"]

    def crawl_starts(self):
        return len(self.s3.asked("StartCrawler"))

    def remembers(self):
        """What the lake remembers of a catalog that is behind."""
        return self.s3.keys(self.bucket, "lake/_lake/catalog/")

    def update(self, name="s", **changes):
        """Someone else changes a table."""
        found = self.table(name)
        kept = {
            key: found[key]
            for key in ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
            if key in found
        }
        self.glue.update_table(DatabaseName=self.database, TableInput={**kept, **changes})


def types_of(thing):
    return {column["Name"]: column["Type"] for column in thing["StorageDescriptor"]["Columns"]}


def events(done):
    err = done.err if hasattr(done, "err") else done
    return [json.loads(line) for line in err.splitlines() if line.startswith('{"event"')]


@pytest.fixture
def lake(s3, tmp_path, request):
    made = []

    def make(**catalog):
        name = re.sub("[^a-z0-9]+", "-", f"{request.node.name}-{len(made)}".lower())[-60:].strip("-")
        made.append(Lake(s3, tmp_path, name, **catalog))
        s3.heal()
        s3.heal("crawls")
        s3.forget()
        return made[-1]

    yield make
    s3.heal()
    s3.heal("crawls")


def crawled(lake, **crawler):
    made = lake(type="crawler")
    made.catalog["crawler"] = {
        "name": made.name,
        "create": True,
        "role_arn": "arn:aws:iam::1:role/x/crawler",
        "timeout_seconds": 60,
        **crawler,
    }
    return made


# Registration


def test_the_catalog_of_another_account_is_named_in_every_request(lake, s3):
    made = lake(catalog_id="123456789012")
    s3.forget()
    for day in ("2026-11-01", "2026-11-02"):
        made.load(schema(), record(1, day), state(1)).succeeded()
    asked = [request for request in s3.requests() if "body" in request]
    assert {"CreateTable", "BatchCreatePartition"} <= {request["action"] for request in asked}
    assert {request["body"].get("CatalogId") for request in asked} == {"123456789012"}


def test_tables_are_registered_with_exact_types(lake):
    made = lake()
    done = made.load(schema(**NESTED), record(1, **NESTED_VALUES), state(1)).succeeded()
    table = made.table()
    assert types_of(table) == NESTED_TYPES
    assert table["PartitionKeys"] == [{"Name": "p_day", "Type": "string"}]
    assert table["StorageDescriptor"]["Location"] == f"{made.location}s/"
    assert table["Parameters"]["classification"] == "parquet"
    comments = {column["Name"]: column.get("Comment") for column in table["StorageDescriptor"]["Columns"]}
    assert comments["name"] == "What it is called." and comments["price"] is None
    part = made.partitions()["2026-11-01"]
    assert part["StorageDescriptor"]["Location"] == f"{made.location}s/p_day=2026-11-01/"
    assert types_of(part) == NESTED_TYPES
    (event,) = events(done)
    assert event.pop("seconds") >= 0
    assert event == {
        "event": "registration",
        "database": made.database,
        "table": "s",
        "partitions": 1,
        "crawler": None,
        "status": "created",
    }
    assert done.summary["catalog"][0]["status"] == "created"
    assert not made.remembers()


def test_a_run_that_changes_nothing_asks_once_a_table_and_writes_nothing(lake, s3):
    made = lake()
    messages = [schema(), record(1), schema("u"), record(1, stream="u"), state(1)]
    made.load(*messages).succeeded()
    s3.forget()
    done = made.load(*messages).succeeded()
    assert not events(done)
    assert [action for action in s3.asked() if action not in ("GET", "PUT", "HEAD", "DELETE", "POST")] == [
        "GetTable",
        "GetTable",
    ]
    assert made.table()["VersionId"] == "1"


def test_new_partitions_do_not_touch_the_table(lake, s3):
    made = lake()
    made.load(schema(), record(1), state(1)).succeeded()
    s3.forget()
    done = made.load(schema(), record(1), record(2, "2026-11-02"), state(2)).succeeded()
    assert set(made.partitions()) == {"2026-11-01", "2026-11-02"}
    assert s3.asked("Batch") == ["BatchGetPartition", "BatchCreatePartition"]
    assert not s3.asked("Update") and not s3.asked("Create")
    assert events(done)[0]["partitions"] == 1


def days(count):
    return [f"{2024 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}" for number in range(count)]


def test_250_partitions_and_a_schema_that_grows(lake, s3):
    made = lake()
    rows = [record(number, day) for number, day in enumerate(days(250))]
    made.load(schema(), *rows, state(1)).succeeded()
    assert set(made.partitions()) == set(days(250))
    assert s3.asked("Batch") == ["BatchCreatePartition"] * 3
    s3.forget()
    made.load(
        schema(more={"type": "array", "items": {"type": "number"}}), record(1, days(2)[1], more=[1]), state(2)
    ).succeeded()
    assert made.types()["more"] == "array<double>"
    assert all(types_of(part)["more"] == "array<double>" for part in made.partitions().values())
    assert s3.asked("Update") == ["UpdateTable"] and made.table()["VersionId"] == "2"
    assert s3.asked("Batch") == ["BatchUpdatePartition"] * 3


def test_a_column_that_widens_widens_everywhere(lake):
    made = lake()
    small = {"n": {"type": "integer", "minimum": 0, "maximum": 9}}
    made.load(schema(**small), record(1, n=1), record(2, "2026-11-02", n=2), state(1)).succeeded()
    assert made.types()["n"] == "int"
    made.load(schema(n={"type": "integer"}), record(3, n=3), state(2)).succeeded()
    assert made.types()["n"] == "bigint"
    assert [types_of(part)["n"] for part in made.partitions().values()] == ["bigint", "bigint"]


def test_partitions_that_an_overwrite_takes_away_leave_the_catalog(lake):
    made = lake()
    replace = {"load_method": "overwrite"}
    rows = [record(number, day) for number, day in enumerate(days(30))]
    made.load(schema(), *rows, state(1), **replace).succeeded()
    assert len(made.partitions()) == 30
    made.load(schema(), record(1, "2026-11-09"), state(2), **replace).succeeded()
    assert list(made.partitions()) == ["2026-11-09"]


def test_a_lake_that_was_there_before_its_catalog(lake):
    made = lake()
    messages = [schema(), *[record(number, day) for number, day in enumerate(days(5))], state(1)]
    made.load(*messages, catalog={"type": "none"}).succeeded()
    made.load(*messages).succeeded()
    assert set(made.partitions()) == set(days(5))


def test_what_others_have_added_stays(lake):
    made = lake()
    made.load(schema(**NESTED), record(1, **NESTED_VALUES), state(1)).succeeded()
    descriptor = made.table()["StorageDescriptor"]
    by_name = {column["Name"]: column for column in descriptor["Columns"]}
    by_name["name"].update(Type="varchar(100)", Comment="The owner's words.")
    descriptor["Columns"].append({"Name": "theirs", "Type": "string"})
    parameters = {**made.table()["Parameters"], "numRows": "7", "compressionType": "mine"}
    made.update(
        StorageDescriptor=descriptor, Parameters=parameters, Owner="someone", Description="A table.", Retention=3
    )
    made.load(schema(**NESTED, new={"type": "boolean"}), record(2, new=True), state(2)).succeeded()
    table = made.table()
    assert types_of(table) == {**NESTED_TYPES, "name": "varchar(100)", "theirs": "string", "new": "boolean"}
    assert table["Parameters"] == parameters
    assert (table["Owner"], table["Description"], table["Retention"]) == ("someone", "A table.", 3)
    assert {column.get("Comment") for column in table["StorageDescriptor"]["Columns"]} == {None, "The owner's words."}


def test_two_registrations_at_once_both_count(lake):
    made = lake()
    made.load(schema(), record(0), state(0)).succeeded()
    runs = []
    for writer in range(3):
        made.folder = made.folder / "run"
        made.folder.mkdir()
        rows = [record(number, day) for number, day in enumerate(days(40)[writer * 8 : writer * 8 + 24], writer * 100)]
        runs.append(made.start(schema(**{f"c{writer}": {"type": "string"}}), *rows, state(writer)))
    for process in runs:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    wanted = {"id": "bigint", "day": "date", "c0": "string", "c1": "string", "c2": "string"}
    assert made.types() == wanted
    assert set(made.partitions()) == {*days(40), "2026-11-01"}
    assert all(types_of(part) == wanted for part in made.partitions().values())
    assert not made.remembers()


def test_a_table_that_changes_meanwhile_is_read_again(lake, s3):
    made = lake()
    made.load(schema(), record(1), state(1)).succeeded()
    s3.steer("faults", action="UpdateTable", hold=True)
    process = made.start(schema(new={"type": "boolean"}), record(2), state(2))
    until(lambda: s3.asked("UpdateTable"))
    # The request that waits at the server's door holds the older version by then.
    made.update(Parameters={"theirs": "1"})
    s3.heal()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    assert made.table()["Parameters"]["theirs"] == "1" and made.types()["new"] == "boolean"
    assert len(s3.asked("UpdateTable")) == 3


def test_a_column_that_comes_while_partitions_are_made_reaches_them(lake, s3):
    made = lake()
    made.load(schema(), record(1), state(1)).succeeded()
    s3.forget()
    s3.steer("faults", action="BatchCreatePartition", hold=True)
    process = made.start(schema(), record(2, "2026-11-02"), state(2))
    until(lambda: s3.asked("BatchCreatePartition"))
    descriptor = made.table()["StorageDescriptor"]
    descriptor["Columns"].append({"Name": "theirs", "Type": "string"})
    made.update(StorageDescriptor=descriptor)
    s3.heal()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    assert [types_of(part).get("theirs") for part in made.partitions().values()] == ["string", "string"]


def test_one_partition_that_is_refused_fails_the_table_and_heals(lake, s3):
    made = lake()
    s3.steer(
        "faults",
        action="BatchCreatePartition",
        item="2024-01-02",
        code="InternalServiceException",
        message="Try later.",
    )
    messages = [schema(), *[record(number, day) for number, day in enumerate(days(3))], state(1)]
    done = made.load(*messages)
    done.refused("the catalog is behind: `s`", "2024-01-02", "Try later.", "run again", code=BEHIND)
    assert json.loads(made.state.read_text())["bookmarks"] == 1
    assert set(made.partitions()) == {"2024-01-01", "2024-01-03"} and made.remembers()
    s3.heal()
    made.load().succeeded()
    assert set(made.partitions()) == set(days(3)) and not made.remembers()


def test_the_catalog_of_a_run_that_fails_knows_what_is_committed(lake):
    made = lake()
    done = made.load(schema(), record(1), state(1), {"type": "RECORD", "stream": "s", "record": {"day": "2026-11-02"}})
    done.refused("key property `id`")
    assert json.loads(made.state.read_text())["bookmarks"] == 1
    assert list(made.partitions()) == ["2026-11-01"] and not made.remembers()


def documented(section):
    """The permissions that a section of the documentation names."""
    text = (ROOT / "docs" / "catalog.md").read_text().split("## Permissions")[1]
    glue, crawler = text.split("For `crawler`")
    return set(re.findall(r"glue:([A-Z][a-z]\w+)", glue if section == "glue" else crawler))


def test_the_documented_permissions_are_all_that_is_asked_for(lake, s3):
    made = lake()
    replace = {"load_method": "overwrite"}
    made.load(schema(), *[record(number, day) for number, day in enumerate(days(3))], state(1), **replace).succeeded()
    made.load(schema(new={"type": "string"}), record(1), state(2), **replace).succeeded()
    made.load(schema(more={"type": "string"}), record(2, "2026-11-02"), state(3)).succeeded()
    made.load(schema(), record(3, "2026-11-03"), state(4)).succeeded()
    asked = set(s3.asked()) - {"GET", "PUT", "HEAD", "DELETE", "POST"}
    assert asked == documented("glue")


def test_the_documented_permissions_of_a_crawler_are_all_that_is_asked_for(lake, s3):
    made = crawled(lake)
    made.load(schema(), record(1), state(1)).succeeded()
    made.load(schema("u"), record(1, stream="u"), state(1)).succeeded()
    asked = set(s3.asked()) - {"GET", "PUT", "HEAD", "DELETE", "POST"}
    assert asked - {"CreateDatabase"} == documented("crawler")


# Bad input


def denied(s3, *actions):
    for action in actions:
        s3.steer("faults", action=action, code="AccessDeniedException", message=DENIED.format(action), times=-1)


@pytest.mark.parametrize("action", ["GetTable", "CreateDatabase", "CreateTable", "BatchCreatePartition"])
def test_no_permission_leaves_the_data_safe_and_heals(lake, s3, action):
    made = lake()
    denied(s3, action)
    done = made.load(schema(), record(1), state(1))
    done.refused(
        "the data is committed and its state has been given back", "`s`", "arn:aws:glue", f"glue:{action}", code=BEHIND
    )
    assert json.loads(made.state.read_text())["bookmarks"] == 1
    assert s3.keys(made.bucket, "lake/s/")
    assert events(done)[0]["status"] == "failed"
    assert made.remembers()
    # Runs that fail the same way leave one note, not one each.
    made.load().refused("`s`", code=BEHIND)
    assert len(made.remembers()) == 1
    s3.heal()
    made.load().succeeded()
    assert list(made.partitions()) == ["2026-11-01"] and not made.remembers()


def test_no_permission_to_update_a_table(lake, s3):
    made = lake()
    made.load(schema(), record(1), state(1)).succeeded()
    denied(s3, "UpdateTable")
    made.load(schema(new={"type": "string"}), record(2), state(2)).refused(
        f"table/{made.database}/s", "glue:UpdateTable", code=BEHIND
    )
    s3.heal()
    made.load().succeeded()
    assert "new" in made.types()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"location": "s3://someone-else/s/"}, ["it is at s3://someone-else/s/"]),
        ({"type": "date"}, ["column `id` is date, and bigint in the lake"]),
        ({"type": "struct<a:int>"}, ["column `id` is struct<a:int>"]),
        ({"keys": [{"Name": "month", "Type": "string"}]}, ["partitioned by `month`", "by `p_day`"]),
        ({"format": "org.apache.hadoop.mapred.TextInputFormat"}, ["TextInputFormat", "not as Parquet"]),
        ({"parameters": {"table_type": "ICEBERG"}}, ["ICEBERG"]),
    ],
    ids=["elsewhere", "another-type", "a-struct", "other-keys", "text", "iceberg"],
)
def test_a_table_of_someone_else_is_left_alone(lake, s3, change, words):
    made = lake()
    s3.glue.create_database(DatabaseInput={"Name": made.database})
    theirs = {
        "Name": "s",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": change.get("parameters", {}),
        "PartitionKeys": change.get("keys", [{"Name": "p_day", "Type": "string"}]),
        "StorageDescriptor": {
            "Columns": [{"Name": "id", "Type": change.get("type", "bigint")}],
            "Location": change.get("location", f"{made.location}s/"),
            "InputFormat": change.get("format", "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"),
        },
    }
    s3.glue.create_table(DatabaseName=made.database, TableInput=theirs)
    done = made.load(schema(), record(1), schema("u"), record(1, stream="u"), state(1))
    done.refused(
        "catalog is behind: `s`",
        f"arn:aws:glue:us-east-1:123456789012:table/{made.database}/s",
        *words,
        "catalog.table_prefix",
        code=BEHIND,
    )
    assert made.table()["VersionId"] == "1"
    # The other table is none of their business.
    assert made.types("u")
    assert json.loads(made.state.read_text())["bookmarks"] == 1


def test_a_prefix_keeps_tables_apart(lake):
    made = lake(table_prefix="raw_")
    made.load(schema(), record(1), state(1)).succeeded()
    assert made.tables() == ["raw_s"]


def test_glue_that_cannot_be_reached_is_asked_once(lake):
    made = lake(endpoint_url="http://127.0.0.1:9")
    done = made.load(schema(), record(1), schema("u"), record(1, stream="u"), state(1))
    done.refused("the catalog is behind: `s`, `u`", "cannot be reached", code=BEHIND)
    assert len(events(done)) == 1
    assert json.loads(made.state.read_text())["bookmarks"] == 1


def test_settings_that_cannot_work(lake, tmp_path):
    made = lake()
    made.load(catalog={"type": "glue"}).refused("`catalog.database`")
    made.load(destination=str(tmp_path / "lake")).refused("`catalog.type`", "s3://")
    made.load(catalog={"type": "crawler", "database": "d", "crawler": {"name": "c", "create": True}}).refused(
        "`catalog.crawler.role_arn`"
    )


# Kills


@pytest.mark.parametrize("action", ["GetTable", "CreateTable", "BatchCreatePartition"])
def test_a_kill_between_data_and_catalog_is_healed_by_the_next_run(lake, s3, action):
    made = lake()
    s3.steer("faults", action=action, hold=True)
    process = made.start(schema(), record(1), record(2, "2026-11-02"), state(1))
    until(lambda: s3.asked(action))
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    s3.heal()
    assert json.loads(made.state.read_text())["bookmarks"] == 1 and made.remembers()
    made.load().succeeded()
    assert set(made.partitions()) == {"2026-11-01", "2026-11-02"} and not made.remembers()


# Crawler


def test_a_crawl_makes_the_tables_that_a_registration_makes(lake, s3, simulator, tmp_path):
    exact, made = lake(), crawled(lake)
    for which in (exact, made):
        which.streams = {**PARTITIONS, **BY_DAY}
        which.folder = tmp_path / which.name
        which.folder.mkdir()
        server = simulator(seed=90, medias=12, events=400, days=200)
        job = Pipe(which.folder, server.settings(), which.settings())
        job.sync()
        which.load(schema(**NESTED), record(1, **NESTED_VALUES), state(1)).succeeded()
    assert sorted(exact.tables()) == sorted(made.tables()) == sorted([*TABLES, "s"])
    for name in exact.tables():
        mine, theirs = exact.table(name), made.table(name)
        assert types_of(mine) == types_of(theirs), name
        assert mine["PartitionKeys"] == theirs["PartitionKeys"], name
        assert list(exact.partitions(name)) == list(made.partitions(name)), name
    assert exact.types() == NESTED_TYPES


def test_the_crawler_is_made_with_a_target_for_every_table(lake, s3):
    made = crawled(lake)
    done = made.load(schema(), record(1), state(1)).succeeded()
    crawler = made.crawler()
    (target,) = crawler["Targets"]["S3Targets"]
    assert target["Path"] == f"{made.location}s/" and target["Exclusions"] == ["**/_*", "**/.*"]
    assert crawler["SchemaChangePolicy"] == {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"}
    assert json.loads(crawler["Configuration"])["CrawlerOutput"]["Partitions"] == {
        "AddOrUpdateBehavior": "InheritFromTable"
    }
    (event,) = events(done)
    assert (event["event"], event["crawler"], event["status"], event["tables"]) == (
        "crawl",
        made.name,
        "succeeded",
        ["s"],
    )
    # A new table becomes another target; what the owner has added stays.
    theirs = {"Path": "s3://elsewhere/x/", "Exclusions": []}
    s3.glue.update_crawler(Name=made.name, Targets={"S3Targets": [*crawler["Targets"]["S3Targets"], theirs]})
    s3.client.create_bucket(Bucket="elsewhere")
    made.load(schema("u"), record(1, stream="u"), state(1)).succeeded()
    paths = [target["Path"] for target in made.crawler()["Targets"]["S3Targets"]]
    assert paths == [f"{made.location}s/", "s3://elsewhere/x/", f"{made.location}u/"]
    assert made.types("u") and not made.remembers()


def test_growth_reaches_the_catalog_by_crawl(lake):
    made = crawled(lake)
    made.load(schema(), record(1), state(1)).succeeded()
    made.load(schema(new={"type": "number"}), record(2, "2026-11-02", new=1), state(2)).succeeded()
    assert made.types()["new"] == "double"
    assert all(types_of(part)["new"] == "double" for part in made.partitions().values())


def test_a_type_that_a_crawler_does_not_change_is_named(lake):
    made = crawled(lake)
    made.load(schema(n={"type": "integer", "minimum": 0, "maximum": 9}), record(1, n=1), state(1)).succeeded()
    done = made.load(schema(n={"type": "integer"}), record(2, n=2), state(2))
    words = ["column `n` is int, and bigint in the lake", f"table/{made.database}/s", "catalog.type"]
    done.refused(*words, code=BEHIND)
    # A crawl that succeeds does not make it right.
    made.load().refused(*words, code=BEHIND)


def test_nothing_changed_and_no_crawl(lake, s3):
    made = crawled(lake)
    messages = [schema(), record(1), state(1)]
    made.load(*messages).succeeded()
    s3.forget()
    assert not events(made.load(*messages).succeeded())
    assert [action for action in s3.asked() if "Crawler" in action] == ["GetCrawler"]


def test_a_crawl_that_fails_is_told_and_done_again(lake, s3):
    made = crawled(lake)
    s3.steer("crawls", name=made.name, fail="Insufficient Lake Formation permission(s)")
    done = made.load(schema(), record(1), state(1))
    done.refused(
        "the crawl was FAILED", "Insufficient Lake Formation", "/aws-glue/crawlers", f"crawler/{made.name}", code=BEHIND
    )
    assert json.loads(made.state.read_text())["bookmarks"] == 1 and made.remembers()
    s3.heal("crawls")
    made.load().succeeded()
    assert made.types() and not made.remembers()


def test_a_crawl_that_is_cancelled(lake, s3):
    made = crawled(lake)
    s3.steer("crawls", name=made.name, hold=True)
    process = made.start(schema(), record(1), state(1))
    until(lambda: s3.asked("StartCrawler"))
    until(lambda: made.crawler()["State"] == "RUNNING")
    s3.glue.stop_crawler(Name=made.name)
    _, err = process.communicate(timeout=60)
    assert process.returncode == BEHIND and "CANCELLED" in err.decode()


def test_a_crawl_that_does_not_end_in_time_counts_when_it_has_ended(lake, s3):
    made = crawled(lake, timeout_seconds=1)
    s3.steer("crawls", name=made.name, hold=True)
    made.load(schema(), record(1), state(1)).refused("did not end in time", "RUNNING", "timeout_seconds", code=BEHIND)
    s3.heal("crawls")
    until(lambda: made.crawler()["State"] == "READY")
    s3.forget()
    made.load().succeeded()
    assert not made.crawl_starts() and not made.remembers()


def test_a_crawl_that_ran_already_does_not_count(lake, s3):
    made = crawled(lake)
    made.load(schema(), record(1), state(1)).succeeded()
    s3.steer("crawls", name=made.name, hold=True)
    s3.glue.start_crawler(Name=made.name)
    s3.forget()
    process = made.start(schema(), record(2, "2026-11-02"), state(2))
    until(lambda: len(s3.asked("GetCrawler")) > 2)
    s3.heal("crawls")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    assert made.crawl_starts() == 1
    assert "2026-11-02" in made.partitions()


def test_a_crawl_that_nobody_waits_for_is_looked_at_by_the_next_run(lake, s3):
    made = crawled(lake, wait=False)
    done = made.load(schema(), record(1), state(1)).succeeded()
    assert events(done)[0]["status"] == "started" and made.remembers()
    until(lambda: made.crawler()["State"] == "READY")
    s3.forget()
    made.load().succeeded()
    assert not made.crawl_starts() and not made.remembers()


def test_a_crawl_that_nobody_waited_for_and_that_failed_is_done_again(lake, s3):
    made = crawled(lake, wait=False)
    s3.steer("crawls", name=made.name, fail="No.")
    made.load(schema(), record(1), state(1)).succeeded()
    until(lambda: made.crawler()["State"] == "READY")
    s3.heal("crawls")
    s3.forget()
    made.load().succeeded()
    assert made.crawl_starts() == 1


def test_a_signal_ends_the_waiting_and_leaves_the_crawl_to_the_next_run(lake, s3):
    made = crawled(lake)
    s3.steer("crawls", name=made.name, hold=True)
    process = made.start(schema(), record(1), state(1))
    until(lambda: s3.asked("StartCrawler"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert json.loads(made.state.read_text())["bookmarks"] == 1 and made.remembers()


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ({"DatabaseName": "another"}, ["writes to the database `another`"]),
        ({"Targets": {"S3Targets": [{"Path": "s3://somewhere/else/"}]}}, ["does not crawl", "catalog.crawler.create"]),
        (None, ["it does not exist", "catalog.crawler.create"]),
    ],
    ids=["another-database", "elsewhere", "none"],
)
def test_a_crawler_that_is_not_for_this_lake(lake, s3, theirs, words):
    made = crawled(lake, create=False)
    if theirs:
        targets = {"S3Targets": [{"Path": made.location}]}
        s3.glue.create_crawler(
            **{"Name": made.name, "Role": "r", "DatabaseName": made.database, "Targets": targets, **theirs}
        )
    made.load(schema(), record(1), state(1)).refused(f"crawler/{made.name}", *words, code=BEHIND)
    assert not made.crawl_starts()


def test_a_crawler_that_nobody_may_look_at_matters_when_something_has_changed(lake, s3):
    made = crawled(lake)
    messages = [schema(), record(1), state(1)]
    made.load(*messages).succeeded()
    denied(s3, "GetCrawler")
    made.load(*messages).succeeded()
    made.load(schema(), record(2), state(2)).refused("glue:GetCrawler", "`s`", code=BEHIND)


def test_no_permission_to_start_a_crawler(lake, s3):
    made = crawled(lake)
    denied(s3, "StartCrawler")
    made.load(schema(), record(1), state(1)).refused("glue:StartCrawler", "arn:aws", code=BEHIND)
    s3.heal()
    made.load().succeeded()
    assert made.types()


# A database of personal data

MAIL = {"mail": {"type": "string", "x-personal": True}}


def with_personal(lake, **catalog):
    """A lake with a database for tables with personal columns."""
    made = lake(**catalog)
    made.catalog["personal_database"] = f"{made.database}_personal"
    if made.catalog["type"] == "crawler":
        crawler = {"create": True, "role_arn": "arn:aws:iam::1:role/x/crawler", "timeout_seconds": 60}
        made.catalog["crawler"] = {"name": made.name, "personal_name": f"{made.name}.personal", **crawler}
    return made


def tables_of(made, database):
    return [table["Name"] for table in made.glue.get_tables(DatabaseName=database)["TableList"]]


def two_streams(number):
    return (
        schema(),
        schema("who", **MAIL),
        record(number),
        record(number, stream="who", mail="a@example.com"),
        state(number),
    )


@pytest.mark.parametrize("method", ["glue", "crawler"])
def test_a_table_with_a_personal_column_is_in_a_database_of_its_own(lake, method):
    made = with_personal(lake, type=method)
    done = made.load(*two_streams(1)).succeeded()
    personal = made.catalog["personal_database"]
    assert tables_of(made, made.database) == ["s"]
    assert tables_of(made, personal) == ["who"]
    assert [event["database"] for event in events(done)] == [made.database, personal]
    assert [event["database"] for event in done.summary["catalog"]] == [made.database, personal]
    assert not made.remembers()
    # A schema that has lost the mark changes nothing: older rows are what they were.
    made.load(
        schema("who", mail={"type": "string"}), record(2, "2026-11-02", "who", mail="b@example.com"), state(2)
    ).succeeded()
    assert tables_of(made, made.database) == ["s"]


@pytest.mark.parametrize("method", ["glue", "crawler"])
def test_a_table_that_was_in_the_database_of_all_is_named_until_it_is_gone(lake, method):
    made = with_personal(lake, type=method)
    personal = made.catalog.pop("personal_database")
    crawler = made.catalog.get("crawler", {}).pop("personal_name", None)
    made.load(*two_streams(1)).succeeded()
    assert tables_of(made, made.database) == ["s", "who"]
    made.catalog["personal_database"] = personal
    if crawler:
        made.catalog["crawler"]["personal_name"] = crawler
    done = made.load(*two_streams(2)).succeeded()
    assert tables_of(made, personal) == ["who"]
    assert f"aws glue delete-table --database-name {made.database} --name who" in done.err
    made.glue.delete_table(DatabaseName=made.database, Name="who")
    if crawler:
        # It has crawled the folder before, and would again.
        targets = [{"Path": f"{made.location}s/", "Exclusions": []}]
        made.glue.update_crawler(Name=made.name, Targets={"S3Targets": targets})
    done = made.load(*two_streams(3)).succeeded()
    assert "delete-table" not in done.err
    assert tables_of(made, made.database) == ["s"]


def test_a_run_that_leaves_both_databases_behind_names_all_tables_and_the_next_one_heals(lake, s3):
    made = with_personal(lake)
    denied(s3, "CreateTable")
    made.load(*two_streams(1)).refused("behind: `s`, `who`", "glue:CreateTable", code=BEHIND)
    assert len(made.remembers()) == 2
    s3.heal()
    made.load().succeeded()
    assert tables_of(made, made.catalog["personal_database"]) == ["who"]
    assert not made.remembers()
