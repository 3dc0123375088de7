"""The images, built and run as they are published: by airbyte/build.sh, on nothing."""

import io
import json
import os
import platform
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from harness import BINARIES, ROOT

BINARY = {"source-wistia": "tap-wistia", "destination-s3-parquet": "target-s3-parquet"}
FETCHED = ROOT / ".venv-docker" / "root"
"""What `make test` fetches where no engine runs (scripts/get_docker.sh)."""

pytestmark = pytest.mark.xdist_group("images")


def docker(*words, **options):
    return subprocess.run(["docker", *map(str, words)], capture_output=True, text=True, timeout=300, **options)


def started(folder):
    """An engine of our own, which touches no network of the machine: (process, its address)."""
    address = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--bridge", "none", "--iptables=false", "--ip6tables=false", "--host", address]
    command += ["--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    with open(folder / "log", "wb") as log:
        engine = subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT)
    os.environ["DOCKER_HOST"] = address
    while docker("info").returncode != 0:
        assert engine.poll() is None, f"the engine does not start:\n{(folder / 'log').read_text()}"
        time.sleep(0.1)
    return engine


@pytest.fixture(scope="module")
def engine():
    """The engine that runs here, else one of our own."""
    if platform.system() != "Linux":
        pytest.skip("the images are Linux's")
    if shutil.which("docker") and docker("info").returncode == 0:
        yield
        return
    if not FETCHED.is_dir():
        pytest.skip("no engine runs here, and `make .venv-docker/.ready` could fetch none")
    if os.getuid() != 0:
        pytest.skip("no engine runs here, and only root may start one")
    before = {name: os.environ.get(name) for name in ("PATH", "DOCKER_HOST", "LD_LIBRARY_PATH")}
    libraries = [str(path.parent) for path in FETCHED.glob("**/libdevmapper.so.*")]
    os.environ["PATH"] = os.pathsep.join([f"{FETCHED}/usr/sbin", f"{FETCHED}/usr/bin", os.environ["PATH"]])
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    # Not in the folder of the test: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    process = started(folder)
    yield
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    shutil.rmtree(folder, ignore_errors=True)
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module", params=BINARY)
def image(request, engine):
    env = {**os.environ, "BINARIES": str(BINARIES), "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0")}
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


def test_an_image_holds_the_program_and_what_it_needs_and_no_shell(image, tmp_path):
    name, tag = image
    container = docker("create", tag).stdout.strip()
    exported = subprocess.run(["docker", "export", container], capture_output=True, timeout=300).stdout
    docker("rm", container)
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        files = {member.name.rstrip("/"): member for member in archive}
    assert {file for file in files if "bin/" in file} == {f"usr/local/bin/{BINARY[name]}"}
    assert files["etc/ssl/certs/ca-certificates.crt"].size > 0
    assert files["tmp"].mode & 0o7777 == 0o1777
    assert (files["airbyte"].uid, files["airbyte"].gid) == (1000, 1000)
    ours = {file: member for file, member in files.items() if not file.startswith(("dev", "proc", "sys", ".docker"))}
    writable = [file for file, member in ours.items() if member.mode & 0o022 and not member.issym()]
    assert writable == ["tmp"]


def test_an_image_runs_as_its_program_does(image):
    name, tag = image
    done = docker("run", "--rm", "-i", "--network", "none", tag, "spec")
    assert done.returncode == 0, done.stderr
    own = subprocess.run([BINARIES / BINARY[name], "spec"], capture_output=True, text=True).stdout
    assert done.stdout == own


@pytest.mark.parametrize("image", ["destination-s3-parquet"], indirect=True)
def test_an_image_writes_a_lake(image, tmp_path):
    _, tag = image
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


@pytest.mark.parametrize("image", ["source-wistia"], indirect=True)
def test_a_container_stops_when_it_is_asked(image):
    _, tag = image
    container = f"airbyte-test-{os.getpid()}"
    config = json.dumps({"api_token": "x", "api_url": "http://10.255.255.1/v1"})
    process = subprocess.Popen(
        [
            "docker",
            "run",
            "--rm",
            "-i",
            "--network",
            "none",
            "--name",
            container,
            tag,
            "check",
            "--config",
            "/dev/stdin",
        ],
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
