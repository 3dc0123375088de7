import pytest
from aws import Account
from harness import PARTITIONS, S3, LocalStack, Pipe, Simulator


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


@pytest.fixture
def empty_account():
    """An AWS account with nothing in it."""
    account = Account()
    yield account
    account.stop()
