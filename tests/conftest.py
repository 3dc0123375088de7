from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aws import Account, script
from demo import Demo
from harness import PARTITIONS, ROOT, S3, TARGET, Json, LocalStack, Pipe, Proxy, Run, Simulator, run
from marts import Marts
from spark import JAVA_VERSIONS, java_version, session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def simulator() -> Iterator[Callable[..., Simulator]]:
    """Starts simulated accounts."""
    started: list[Simulator] = []

    def start(**options: object) -> Simulator:
        started.append(Simulator(**options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Small programs: a deployment does not look into them."""
    folder = tmp_path_factory.mktemp("programs")
    return [script(folder, name, "exit 0") for name in ("tap-wistia", "target-s3-parquet")]


@pytest.fixture
def target(tmp_path: Path) -> Callable[..., Run]:
    """Loads messages into a lake in a folder."""
    config = tmp_path / "target.json"
    config.write_text(json.dumps({"destination": str(tmp_path / "lake")}))

    def load(stdin: str, *arguments: str, **env: str) -> Run:
        return run(TARGET, "--config", config, *arguments, stdin=stdin, env=env)

    return load


@pytest.fixture(scope="session")
def valgrind() -> Path:
    """What counts instructions and calls of the system."""
    program = ROOT / ".venv-valgrind" / "valgrind"
    if sys.platform != "linux":
        pytest.skip("valgrind is for Linux")
    if not program.exists():
        missing = "there is no valgrind: `make .venv-valgrind/.ready` could not fetch it"
        # Nobody looks at what a CI skips.
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return program


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def real_s3() -> Iterator[LocalStack]:
    """The stricter S3 server, for what depends on its conditions and checksums."""
    server = LocalStack()
    yield server
    server.stop()


@pytest.fixture
def proxy(real_s3: LocalStack) -> Iterator[Callable[[], Proxy]]:
    """Starts proxies in front of the stricter server."""
    started: list[Proxy] = []

    def start() -> Proxy:
        started.append(Proxy(real_s3))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def pipe(tmp_path: Path) -> Callable[..., Pipe]:
    """Makes the main job for an account, with a lake in a folder unless told otherwise."""

    def make(simulator: Simulator, target: Json | None = None, catalog: Json | None = None, **settings: object) -> Pipe:
        target = {"destination": str(tmp_path / "lake"), "streams": PARTITIONS, **(target or {})}
        return Pipe(tmp_path, simulator.settings(**settings), target, catalog)

    return make


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The account and the lake that the queries are about."""
    made = Demo(tmp_path_factory.mktemp("demo"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def marts(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Marts:
    """What the dbt project makes of that lake."""
    made = Marts(tmp_path_factory.mktemp("marts"), demo.lake)
    made.build()
    return made


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark of a test session."""
    if java_version() not in JAVA_VERSIONS:
        missing = f"Spark runs on Java {', '.join(JAVA_VERSIONS)}: install one, such as openjdk-17-jre-headless"
        # Nobody looks at what a CI skips.
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    started = session(tmp_path_factory.mktemp("spark"))
    yield started
    started.stop()


@pytest.fixture
def empty_account() -> Iterator[Account]:
    """An AWS account with nothing in it."""
    account = Account()
    yield account
    account.stop()
