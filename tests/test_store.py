"""What the lake asks of a store, tried on S3: the suite that folders and memory pass in `cargo test`."""

import json
import subprocess

import pytest

from harness import ROOT, LocalStack, Proxy, run

BUILT_WITHIN = 1800
"""Seconds for the suite to be built, where nothing is built yet."""


class StrictLocalStack(LocalStack):
    """LocalStack with what it lacks of the conditions of S3."""

    def start(self, port, command, health, **variables):
        super().start(port, [command[0], ROOT / "tests" / "strict_localstack.py"], health, **variables)


@pytest.fixture(scope="module")
def strict_s3():
    server = StrictLocalStack()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def suite():
    """The executable of the suite."""
    command = [
        "cargo",
        "test",
        "--workspace",
        "--offline",
        "--locked",
        "--no-run",
        "--test",
        "conformance",
        "--message-format=json",
    ]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILT_WITHIN)
    assert built.returncode == 0, built.stderr[-4000:]
    artifacts = [json.loads(line) for line in built.stdout.splitlines()]
    found = [a["executable"] for a in artifacts if a.get("executable") and a["target"]["name"] == "conformance"]
    assert len(found) == 1, found
    return found[0]


def tried(suite, name, endpoint, bucket, **variables):
    """What a test of the suite says of an S3."""
    where = {"LAKE_TEST_S3_ENDPOINT": endpoint, "LAKE_TEST_S3_BUCKET": bucket}
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = run(suite, "--exact", name, "--nocapture", env={**where, **credentials, **variables}, timeout=1200)
    assert done.code == 0, done.out[-4000:] + done.err[-4000:]
    assert "1 passed" in done.out, done.out
    return done.out


@pytest.mark.timeout(BUILT_WITHIN + 1300)
def test_s3_keeps_every_promise(suite, strict_s3):
    bucket = strict_s3.bucket("promises")
    said = tried(suite, "s3_keeps_every_promise", strict_s3.url, bucket)
    assert f"s3://{bucket}/all/: 14 promises kept" in said
    assert not strict_s3.keys(bucket) and not strict_s3.uploads(bucket)


@pytest.mark.timeout(BUILT_WITHIN + 1300)
def test_s3_knows_its_own_writes_when_answers_are_lost(suite, strict_s3):
    bucket = strict_s3.bucket("lost-answers")
    proxy = Proxy(strict_s3)
    try:
        name = "s3_knows_its_own_writes_when_answers_are_lost"
        said = tried(suite, name, proxy.url, bucket, LAKE_TEST_S3_FAULTS=f"{proxy.url}/-/faults")
        assert f"s3://{bucket}/lost/: lost answers are recognised" in said
        # Three small writes, two large ones and a delete.
        assert proxy.done() == {"reset_after": 6}
    finally:
        proxy.stop()
    assert not strict_s3.keys(bucket) and not strict_s3.uploads(bucket)
