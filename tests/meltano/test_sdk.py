"""The Meltano SDK's own tests, pointed at the programs, and its mapper as the judge of ours."""

import contextlib
import io
import json
import logging
import sys
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException
from singer_sdk.mapper import PluginMapper
from singer_sdk.testing import SuiteConfig, get_tap_test_class, get_target_test_class
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.templates import TargetFileTestTemplate

from harness import Simulator, lines, run
from lake import files
from wheels import program


class Plugin:
    """What the SDK's tests call of a plugin, as calls of a program."""

    name = None

    def __init__(self, config=None, catalog=None, **_):
        self.config, self.catalog = config, catalog

    def call(self, *arguments, stdin=""):
        done = run(program(self.name), *arguments, stdin=stdin)
        sys.stdout.write(done.out)
        sys.stderr.write(done.err)
        return done

    def print_version(self):
        self.call("--version").succeeded()

    def print_about(self, output_format="text"):
        self.call("--about", f"--format={output_format}").succeeded()


@pytest.fixture(autouse=True, scope="session")
def folders(tmp_path_factory):
    Target.folder = tmp_path_factory.mktemp("lake")
    Tap.folder = tmp_path_factory.mktemp("tap")
    Tap.server = Simulator(seed=90, medias=10, events=150)
    yield
    Tap.server.stop()


class Target(Plugin):
    name = "target-s3-parquet"
    folder = None

    def process_lines(self, messages):
        (self.folder / "config.json").write_text(json.dumps({"destination": str(self.folder / "lake")}))
        done = self.call("--config", self.folder / "config.json", stdin=messages.read())
        if "before the SCHEMA message" in done.err:
            raise RecordsWithoutSchemaException(done.err)
        if "key_properties" in done.err:
            raise MissingKeyPropertiesError(done.err)
        assert done.code == 0, done.err

    def process_endofpipe(self):
        """The end of the pipe was the end of the program."""


class Tap(Plugin):
    name = "tap-wistia"
    folder = server = None

    @property
    def catalog_dict(self):
        catalog = json.loads(run(program(self.name), "--discover").succeeded().out)
        for stream in catalog["streams"]:
            stream["selected"] = True
        return catalog

    @property
    def streams(self):
        return {
            stream["tap_stream_id"]: SimpleNamespace(
                name=stream["tap_stream_id"],
                schema=stream["schema"],
                primary_keys=stream["key_properties"],
                stream_maps=[SimpleNamespace(transformed_schema=stream["schema"])],
            )
            for stream in self.catalog_dict["streams"]
        }

    def command(self, *arguments):
        settings = self.server.settings(channel_rules=[{"channel": "All", "name": "."}])
        (self.folder / "config.json").write_text(json.dumps(settings))
        (self.folder / "catalog.json").write_text(json.dumps(self.catalog or self.catalog_dict))
        return self.call("--config", self.folder / "config.json", "--catalog", self.folder / "catalog.json", *arguments)

    def run_discovery(self):
        return self.call("--discover").succeeded().out

    def run_connection_test(self):
        return self.command("--test").succeeded()

    def run_sync_dry_run(self, **_):
        return self.command().succeeded()


# Streams that the SDK has, but leaves out of its suite.
MORE = ["no_primary_keys_append", "user_location_data", "user_location_upsert_data"]
more = SingerTestSuite(kind="target", tests=[type(name, (TargetFileTestTemplate,), {"name": name}) for name in MORE])
TestTarget = get_target_test_class(Target, custom_suites=[more])
TestTap = get_tap_test_class(Tap, suite_config=SuiteConfig(max_records_limit=150))

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["null", "string"]},
        "age": {"type": ["null", "integer"]},
        "email": {"type": ["null", "string"]},
        "address": {
            "type": ["null", "object"],
            "properties": {
                "city": {"type": "string"},
                "geo": {"type": "object", "properties": {"lat": {"type": "number"}}},
            },
        },
        "tags": {"type": ["null", "array"], "items": {"type": "string"}},
    },
}
RECORDS = [
    {
        "id": 1,
        "name": "Ann",
        "age": 40,
        "email": "a@x.com",
        "address": {"city": "Bern", "geo": {"lat": 46.9}},
        "tags": ["a"],
    },
    {
        "id": 2,
        "name": "Bob",
        "age": 17,
        "email": "b@y.org",
        "address": {"city": "Rom", "geo": {"lat": 41.9}},
        "tags": [],
    },
    {
        "id": 3,
        "name": "Eve",
        "age": 65,
        "email": "e@x.com",
        "address": {"city": "Oslo", "geo": {"lat": 59.9}},
        "tags": ["b", "c"],
    },
]
FLAT = {"flattening_enabled": True, "flattening_max_depth": 1}
MAPPINGS = [
    {"users": {"full_name": "name", "name": "__NULL__"}},
    {"users": {"__alias__": "people", "id": "id", "email": "email", "__else__": None}},
    {"users": {"source": "'crm'", "tags": None}},
    {"users": {"__filter__": "age >= 18"}},
    {"users": {"__filter__": "age < 18 or email.endswith('x.com') and not name == 'Eve'"}},
    {"users": {"__filter__": "name in ['Ann', 'Eve'] and age != 40"}},
    {"users": {"__filter__": "name not in ['Ann'] and 'y' in email"}},
    {"users": {"__filter__": "email is not None and bool(age > 20)"}},
    {"users": {"__filter__": "record['address']['city'].startswith('B')"}},
    {"users": {"name": None}, "copy": {"__source__": "users", "n": "name", "id": "id", "__else__": "__NULL__"}},
    {"us*": {"email": None}},
    {"users": "__NULL__", "orders": {}},
    {"other": {}, "__else__": None},
    {},
]


def plain(record):
    """A record without what is absent, and with its JSON texts in one form."""

    def value(inner):
        if isinstance(inner, str) and inner[:1] in "[{":
            return json.loads(inner)
        return inner

    return {name: value(inner) for name, inner in record.items() if inner is not None}


@pytest.mark.parametrize("flattening", [{}, FLAT], ids=["nested", "flat"])
@pytest.mark.parametrize("maps", MAPPINGS, ids=json.dumps)
def test_stream_maps_mean_what_they_mean_in_the_sdk(maps, flattening, tmp_path):
    judge = PluginMapper({"stream_maps": json.loads(json.dumps(maps)), **flattening}, logging.getLogger("judge"))
    judge.register_raw_stream_schema("users", json.loads(json.dumps(SCHEMA)), ["id"])
    expected = {}
    for stream in judge.stream_maps["users"]:
        records = [stream.transform(json.loads(json.dumps(record))) for record in RECORDS]
        kept = [plain(record) for record in records if record is not None]
        if kept:
            expected[stream.stream_alias] = kept

    config = {"destination": str(tmp_path / "lake"), "stream_maps": maps, **flattening}
    (tmp_path / "config.json").write_text(json.dumps(config))
    schema = {"type": "SCHEMA", "stream": "users", "key_properties": ["id"], "schema": SCHEMA}
    messages = lines(schema, *({"type": "RECORD", "stream": "users", "record": record} for record in RECORDS))
    run(program("target-s3-parquet"), "--config", tmp_path / "config.json", stdin=messages).succeeded()
    ours = {}
    for path in files(tmp_path / "lake"):
        rows = [plain(row) for row in pq.ParquetFile(path).read().to_pylist()]
        if rows:
            ours[path.parent.name] = sorted(rows, key=lambda row: row["id"])
    assert ours == expected


def test_about_is_what_an_sdk_plugin_says_of_itself():
    """The same keys, types and marks, so that tools for one read the other."""
    from singer_sdk import Tap as SdkTap
    from singer_sdk import typing as th

    class Sample(SdkTap):
        name = "tap-sample"
        config_jsonschema = th.PropertiesList(th.Property("token", th.StringType, required=True, secret=True)).to_dict()

        def discover_streams(self):
            return []

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        Sample.print_about("json")
    sdk = json.loads(output.getvalue())
    ours = json.loads(run(program("tap-wistia"), "--about", "--format=json").out)
    assert ours.keys() == sdk.keys()
    assert ours["settings"].keys() >= {"type", "properties", "required"} & sdk["settings"].keys()
    secret = sdk["settings"]["properties"]["token"]
    marks = {key for key, value in secret.items() if value is True}
    assert marks <= ours["settings"]["properties"]["api_token"].keys()
