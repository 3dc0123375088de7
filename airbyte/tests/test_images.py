"""The images, where there is a Docker engine."""

import json
import os
import shutil
import subprocess
import tarfile

import pytest
import yaml

from conftest import ROOT
from harness import BINARIES

BINARY = {"source-wistia": "tap-wistia", "destination-s3-parquet": "target-s3-parquet"}
BASE = "gcr.io/distroless/cc-debian12"


def docker(*words, **options):
    return subprocess.run(["docker", *map(str, words)], capture_output=True, text=True, timeout=300, **options)


def has_engine():
    return shutil.which("docker") is not None and docker("info").returncode == 0


pytestmark = pytest.mark.skipif(not has_engine(), reason="no Docker engine is running here")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The base of the images; without a registry, one with this system's C library."""
    if docker("image", "inspect", BASE).returncode == 0 or docker("pull", "--quiet", BASE).returncode == 0:
        return BASE
    linked = "".join(
        subprocess.run(["ldd", BINARIES / name], capture_output=True, text=True).stdout for name in BINARY.values()
    )
    libraries = {word for word in linked.split() if word.startswith("/lib")}
    archive = tmp_path_factory.mktemp("base") / "base.tar"
    with tarfile.open(archive, "w", dereference=True) as tar:
        for path in sorted(libraries | {"/etc/ssl/certs/ca-certificates.crt"}):
            tar.add(os.path.realpath(path), arcname=path)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    done = docker("import", archive, "connector-base:local")
    assert done.returncode == 0, done.stderr
    return "connector-base:local"


@pytest.fixture(scope="module", params=BINARY)
def image(request, base):
    env = {
        **os.environ,
        "BASE": base,
        "BINARIES": str(BINARIES),
        "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0"),
    }
    done = subprocess.run(
        [ROOT / "airbyte" / "build.sh", request.param, "test"], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return request.param, f"airbyte/{request.param}:test"


def test_an_image_says_what_it_is(image):
    name, tag = image
    config = json.loads(docker("image", "inspect", tag).stdout)[0]["Config"]
    metadata = yaml.safe_load((ROOT / "airbyte" / name / "metadata.yaml").read_text())["data"]
    assert config["User"] == "airbyte"
    entry = f"/usr/local/bin/{BINARY[name]}"
    assert config["Entrypoint"] == [entry] and f"AIRBYTE_ENTRYPOINT={entry}" in config["Env"]
    assert config["Labels"]["io.airbyte.name"] == metadata["dockerRepository"]
    assert config["Labels"]["io.airbyte.version"] == metadata["dockerImageTag"]


def test_an_image_runs_as_its_program_does(image):
    name, tag = image
    done = docker("run", "--rm", "-i", "--network", "none", tag, "spec")
    assert done.returncode == 0, done.stderr
    own = subprocess.run([BINARIES / BINARY[name], "spec"], capture_output=True, text=True).stdout
    assert done.stdout == own


def test_an_image_writes_a_lake(image, tmp_path):
    name, tag = image
    if name != "destination-s3-parquet":
        pytest.skip("a source writes none")
    (tmp_path / "config.json").write_text(json.dumps({"destination": "/local/lake"}))
    stream = {"name": "s", "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}}}}
    catalog = {"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    record = {"type": "RECORD", "record": {"stream": "s", "data": {"id": 1}, "emitted_at": 1}}
    status = {"stream_descriptor": {"name": "s"}, "status": "COMPLETE"}
    trace = {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}}
    lines = json.dumps(record) + "\n" + json.dumps(trace) + "\n"
    # A lake in a folder is readable by the user alone that loads it.
    user = f"{os.getuid()}:{os.getgid()}"
    run = ["run", "--rm", "-i", "--network", "none", "--user", user, "--volume", f"{tmp_path}:/local", tag]
    files = ["--config", "/local/config.json"]
    checked = docker(*run, "check", *files)
    assert json.loads(checked.stdout)["connectionStatus"]["status"] == "SUCCEEDED", checked.stderr
    done = docker(*run, "write", *files, "--catalog", "/local/catalog.json", input=lines)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "lake" / "s").glob("*.parquet"))


def test_a_container_stops_when_it_is_asked(image):
    name, tag = image
    if name != "source-wistia":
        pytest.skip("a destination commits first")
    container = f"airbyte-test-{os.getpid()}"
    config = json.dumps({"api_token": "x", "api_url": "http://10.255.255.1/v1"})
    process = subprocess.Popen(
        ["docker", "run", "--rm", "-i", "--name", container, tag, "check", "--config", "/dev/stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    process.stdin.write(config)
    process.stdin.close()
    stopped = docker("stop", "--time", "60", container)
    while stopped.returncode != 0 and process.poll() is None:
        stopped = docker("stop", "--time", "60", container)
    assert stopped.returncode == 0, "it ended by itself"
    assert process.wait(60) in (0, 143)
