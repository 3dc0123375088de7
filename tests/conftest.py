import os

import pytest
from aws import Account
from demo import Demo
from harness import PARTITIONS, S3, LocalStack, Pipe, Simulator
from spark import JAVA_VERSIONS, java_version, session


@pytest.fixture
def simulator():
    """Starts simulated accounts."""
    started = []

    def start(**options):
        started.append(Simulator(**options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def s3():
    server = S3()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def real_s3():
    """The stricter S3 server, for what depends on its conditions and checksums."""
    server = LocalStack()
    yield server
    server.stop()


@pytest.fixture
def pipe(tmp_path):
    """Makes the main job for an account, with a lake in a folder unless told otherwise."""

    def make(simulator, target=None, catalog=None, **settings):
        target = {"destination": str(tmp_path / "lake"), "streams": PARTITIONS, **(target or {})}
        return Pipe(tmp_path, simulator.settings(**settings), target, catalog)

    return make


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The account and the lake that the queries are about."""
    made = Demo(tmp_path_factory.mktemp("demo"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """The one Spark of a test session."""
    if java_version() not in JAVA_VERSIONS:
        missing = f"Spark runs on Java {', '.join(JAVA_VERSIONS)}: install one, such as openjdk-17-jre-headless"
        # Nobody looks at what a CI skips.
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    started = session(tmp_path_factory.mktemp("spark"))
    yield started
    started.stop()


@pytest.fixture
def empty_account():
    """An AWS account with nothing in it."""
    account = Account()
    yield account
    account.stop()
