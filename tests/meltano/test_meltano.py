"""Both connectors in a real Meltano, offline: installed from the wheels, run, interrupted, and joined with others."""

import json
import re
import signal
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
import yaml

from harness import DEADLINE, ROOT, environment, until
from lake import assert_equals, files
from wheels import WHEELS

pytestmark = pytest.mark.timeout(900)
MELTANO = str(Path(sys.executable).parent / "meltano")
PLUGINS = {"tap-wistia": "extractors", "target-s3-parquet": "loaders"}


class Project:
    """A Meltano project made from the example."""

    def __init__(self, folder, tap=None, target=None):
        self.folder = folder
        document = yaml.safe_load((ROOT / "examples" / "meltano" / "meltano.yml").read_text())
        document["snowplow"] = {"collector_endpoints": []}
        document["cli"] = {"disable_version_check": True}
        self.plugins = {plugin["name"]: plugin for kind in PLUGINS.values() for plugin in document["plugins"][kind]}
        for name, plugin in self.plugins.items():
            plugin["pip_url"] = f"file://{WHEELS[name]}"
            plugin.setdefault("config", {})
        self.plugins["tap-wistia"]["config"].update(tap or {})
        self.plugins["target-s3-parquet"]["config"].update(target or {})
        self.environments = {e["name"]: e["config"]["plugins"] for e in document["environments"]}
        self.document = document

    def write(self):
        (self.folder / "meltano.yml").write_text(yaml.safe_dump(self.document, sort_keys=False))
        return self

    def start(self, *arguments, **variables):
        env = {
            **environment(variables),
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "NO_COLOR": "1",
            "UV_OFFLINE": "1",
        }
        # A proxy where nothing listens: whoever asks the internet for something fails.
        env |= dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9") | {"no_proxy": "127.0.0.1,localhost"}
        command = [MELTANO, "--log-format=json", *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def meltano(self, *arguments, code=0, **variables):
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=2 * DEADLINE)
        assert process.returncode == code, f"exit code {process.returncode}\n{out[-3000:]}\n{err[-6000:]}"
        return out, err

    def sync(self, *more, **options):
        return self.meltano("run", *more, "tap-wistia", "target-s3-parquet", **options)

    def state(self, environment="dev"):
        out, _ = self.meltano("state", "get", f"{environment}:tap-wistia-to-target-s3-parquet")
        return json.loads(out)

    @property
    def lake(self):
        return self.folder / "lake"


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The virtual environments of the plugins, made once."""
    project = Project(tmp_path_factory.mktemp("installed")).write()
    project.meltano("install")
    return project


@pytest.fixture
def project(installed, tmp_path, simulator):
    """A project for an account, with the plugins already installed."""

    def make(server, **target):
        project = Project(tmp_path, server.settings(start_date=None), target).write()
        del project.plugins["tap-wistia"]["config"]["start_date"]
        for name, kind in PLUGINS.items():
            venv = installed.folder / ".meltano" / kind / name / "venv"
            project.plugins[name]["executable"] = str(venv / "bin" / name)
            del project.plugins[name]["pip_url"]
        return project.write()

    return make


def log(err):
    """The lines of the log."""
    return [json.loads(line) for line in err.splitlines() if line.startswith("{")]


def rows(lake, table):
    return [row for path in files(lake, table) for row in pq.ParquetFile(path).read().to_pylist()]


def test_a_plugin_installed_from_its_wheel_syncs_to_s3(installed, simulator, s3, tmp_path):
    """As `pip_url` installs it; the second run goes on from Meltano's own state."""
    server = simulator(seed=80, medias=8, events=300)
    bucket = s3.bucket("meltano")
    for key, value in server.settings().items():
        installed.meltano("config", "set", "tap-wistia", key, value)
    for key, value in s3.settings("")["s3"].items():
        installed.meltano(
            "config", "set", "target-s3-parquet", f"s3.{key}", json.dumps(value) if value is True else value
        )
    installed.meltano("config", "unset", "tap-wistia", "start_date")
    config, _ = installed.meltano("config", "print", "tap-wistia", "--format=json")
    assert json.loads(config)["api_url"] == server.url
    listed, _ = installed.meltano("select", "tap-wistia", "--list", "--all")
    assert "fact_events.embed_url" in listed and "dim_media.thumbnail.url" in listed
    discovered, _ = installed.meltano("invoke", "tap-wistia", "--discover")
    assert {"fact_events", "visitors"} <= {stream["tap_stream_id"] for stream in json.loads(discovered)["streams"]}
    installed.meltano("config", "test", "tap-wistia")

    target = {"TARGET_S3_PARQUET_DESTINATION": f"s3://{bucket}/wistia"}
    installed.sync(**target)
    first = installed.state()
    assert "fact_events" in first["singer_state"]["bookmarks"]
    before = len(server.requests())
    server.forget()
    server.grow(new_events=60, late_events=5, new_medias=1)
    installed.sync(**target)
    assert len(server.requests()) < before
    lake = s3.download(bucket, tmp_path / "copy", "wistia")
    assert_equals(server, lake, ["dim_visitors", "fact_engagements", "fact_engagements_byday", "fact_engagement_graph"])
    events = rows(lake, "fact_events")
    assert len(events) == len(server.truth("fact_events"))
    assert "embed_url" not in events[0] and "description" not in rows(lake, "dim_media")[0]


def test_an_environment_and_a_variable_override_settings(project, simulator, tmp_path):
    server = simulator(seed=81, medias=3, events=20)
    job = project(server, compression="zstd")
    (loader,) = job.environments["prod"]["loaders"]
    loader["config"] = {"destination": str(tmp_path / "prod")}
    job.write()
    job.meltano("--environment=prod", "run", "tap-wistia", "target-s3-parquet")
    assert not job.lake.exists()
    (path,) = files(tmp_path / "prod", "dim_media")
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    job.sync(TARGET_S3_PARQUET_COMPRESSION="gzip", TAP_WISTIA__SELECT='["dim_media.*"]')
    (path,) = files(job.lake)
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "GZIP"


def test_a_failing_run_fails_and_says_why(project, simulator):
    server = simulator(seed=82, medias=3, events=20)
    job = project(server)
    job.plugins["tap-wistia"]["config"]["api_token"] = "wrong"
    job.write()
    _, err = job.sync(code=1)
    said = " ".join(line["event"] for line in log(err))
    assert "does not accept the token" in said and "Read all data" in said
    assert not files(job.lake)

    job.plugins["tap-wistia"]["config"].update(server.settings())
    job.plugins["target-s3-parquet"]["config"]["memory_mb"] = 1
    job.write()
    _, err = job.sync(code=1)
    said = " ".join(line["event"] for line in log(err))
    assert "`memory_mb`" in said and "less than 32" in said


def test_logs_arrive_as_events_with_levels(project, simulator):
    """Meltano reads the programs' own structured lines."""
    _, err = project(simulator(seed=83, medias=3, events=20)).sync()
    lines = [
        line for line in log(err) if line.get("string_id") == "tap-wistia" or "tap_wistia" in str(line.get("name", ""))
    ]
    events = [line["event"] for line in log(err)]
    said = "\n".join(events)
    for words in (
        r"fact_events: 20 records read, \d+ pages?",
        r"fact_events: 20 rows new, \d+ files?, [\d.]+ kB",
        "done: ",
    ):
        assert re.search(words, said), f"{words} is not in\n{said}"
    assert not [event for event in events if event.lstrip().startswith("{")], "a line was not understood"
    assert lines


def test_a_full_refresh_reads_everything_again(project, simulator):
    server = simulator(seed=84, medias=5, events=200)
    job = project(server)
    job.sync()
    whole = len(server.requests())
    server.forget()
    job.sync()
    assert len(server.requests()) < whole
    server.forget()
    job.sync("--full-refresh")
    assert len(server.requests()) >= whole
    assert len(rows(job.lake, "fact_events")) == len(server.truth("fact_events"))


def test_an_interrupted_run_is_resumed(project, simulator):
    server = simulator(seed=85, medias=40, events=3000, latency_ms=30)
    job = project(server, commit_interval_seconds=0)
    running = job.start("run", "tap-wistia", "target-s3-parquet")
    until((job.lake / "fact_engagements").exists, running)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=2 * DEADLINE)
    assert running.returncode != 0
    job.sync("--force")
    tables = ["dim_visitors", "fact_engagements", "fact_engagements_byday", "fact_engagement_graph"]
    assert_equals(server, job.lake, tables)
    assert len(rows(job.lake, "fact_events")) == len(server.truth("fact_events"))


@pytest.mark.parametrize("name", PLUGINS)
def test_the_definition_can_be_added_by_reference(name, tmp_path):
    project = Project(tmp_path)
    project.document["plugins"] = {}
    project.write()
    file = ROOT / "meltano" / PLUGINS[name] / f"{name}.yml"
    project.meltano("add", "--no-install", "--from-ref", file, name)
    out, _ = project.meltano("config", "list", "--all", name)
    assert ("api_token" if name == "tap-wistia" else "s3.secret_access_key") in out


def test_the_example_is_what_meltano_calls_valid():
    schema = json.loads((resources.files("meltano.schemas") / "meltano.schema.json").read_text())
    for name, kind in PLUGINS.items():
        document = yaml.safe_load((ROOT / "meltano" / kind / f"{name}.yml").read_text())
        for key in ("name", "variant", "label", "description", "docs", "repo", "pip_url", "settings", "capabilities"):
            assert document.get(key), key
        secrets = [setting["name"] for setting in document["settings"] if setting.get("sensitive")]
        assert secrets and all(setting["description"] for setting in document["settings"])
    example = yaml.safe_load((ROOT / "examples" / "meltano" / "meltano.yml").read_text())
    jsonschema.Draft7Validator(schema).validate(example)
