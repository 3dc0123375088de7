"""Airbyte's own parts drive the built programs, offline. They have an environment of their own
(`make test-airbyte`), because PyAirbyte's is large."""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

# Before PyAirbyte is imported: no registry, no telemetry, no file outside of the test.
FOLDER = Path(tempfile.mkdtemp(prefix="airbyte-"))
os.environ.update(
    AIRBYTE_OFFLINE_MODE="1",
    DO_NOT_TRACK="1",
    NO_LIVE_PROGRESS="1",
    AIRBYTE_LOGGING_ROOT=str(FOLDER / "logs"),
    AIRBYTE_PROJECT_DIR=str(FOLDER),
    AIRBYTE_TEMP_DIR=str(FOLDER),
    PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
)

import pytest  # noqa: E402

from harness import Simulator  # noqa: E402

pytest_plugins = ["airbyte_cdk.test.standard_tests.pytest_hooks"]


@pytest.fixture(scope="module")
def account():
    server = Simulator(seed=11, medias=6, events=200, days=40)
    yield server
    server.stop()


@pytest.fixture
def settings(account):
    """The source's settings for the account, of its last days."""
    from datetime import timedelta

    from harness import today

    return account.settings(start_date=str(today() - timedelta(days=40)))
