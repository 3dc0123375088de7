"""The CDK's standard tests of connectors, run against the programs: what they call in the process is
called as a subprocess."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from airbyte_cdk.models import AirbyteMessage
from airbyte_cdk.test import entrypoint_wrapper
from airbyte_cdk.test.standard_tests import DestinationTestSuiteBase, SourceTestSuiteBase

from conftest import FOLDER, ROOT
from harness import TAP, TARGET, Simulator, environment, today

SERVER = Simulator(seed=12, medias=6, events=200, days=30)


@pytest.fixture(scope="module", autouse=True)
def server():
    yield SERVER
    SERVER.stop()


class Program:
    """Stands in for a connector object."""

    def __init__(self, binary):
        self.binary = binary

    def spec(self, _):
        raise NotImplementedError("the program is run")


def run_program(source, args, expected_outcome=None, **_):
    done = subprocess.run([source.binary, *args], capture_output=True, text=True, env=environment(), timeout=120)
    failed = any('"TRACE"' in line and '"ERROR"' in line for line in done.stdout.splitlines())
    assert (done.returncode != 0) == failed, (
        f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    )
    lines = [line for line in done.stdout.splitlines() if line]
    return entrypoint_wrapper.EntrypointOutput(messages=lines, command=args, stderr=done.stderr)


entrypoint_wrapper._run_command = run_program


def root(name, config):
    """The connector's folder, with settings for the simulated account."""
    folder = FOLDER / name
    shutil.copytree(ROOT / "airbyte" / name, folder, dirs_exist_ok=True)
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "config.json").write_text(json.dumps(config))
    return folder


def only(suite):
    """Tests of images need a Docker engine; test_images.py runs them where there is one."""
    for name in [name for name in dir(suite) if name.startswith("test_docker")]:
        setattr(suite, name, None)
    return suite


@only
class TestSource(SourceTestSuiteBase):
    connector = lambda: Program(TAP)  # noqa: E731

    @classmethod
    def get_connector_root_dir(cls):
        return root("source-wistia", SERVER.settings(start_date=str(today())))


@only
class TestDestination(DestinationTestSuiteBase):
    connector = lambda: Program(TARGET)  # noqa: E731

    @classmethod
    def get_connector_root_dir(cls):
        return root("destination-s3-parquet", {"destination": str(FOLDER / "lake")})


def test_the_messages_of_the_cdk_are_at_hand():
    assert AirbyteMessage and os.path.exists(TAP) and Path(TARGET).exists()
