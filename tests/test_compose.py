"""examples/compose: what it starts, started here without an engine, and the lake that comes of it.

The server is LocalStack of the same version from PyPI, the other services are the programs that are built; what the
file says of them (commands, variables, the script in the image) is taken from it.
"""

import json
import os
import re
import subprocess

import jsonschema
import pytest
import yaml

from harness import BINARIES, ROOT, environment
from lake import assert_equals

FOLDER = ROOT / "examples" / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yml").read_text())
SERVICES = COMPOSE["services"]


def test_the_file_is_one_of_compose():
    schema = json.loads((ROOT / "tests" / "fixtures" / "compose-spec.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    assert not [f"{error.json_path}: {error.message}" for error in validator.iter_errors(COMPOSE)]
    assert list(validator.iter_errors({**COMPOSE, "services": {"s3": {"imag": "x"}}})), "a mistyped key is seen"


def test_the_server_is_the_one_that_is_tested():
    locked = (ROOT / "tests" / "requirements-localstack.txt").read_text()
    assert SERVICES["s3"]["image"] == "localstack/localstack:" + re.search(r"^localstack-core==(.*)$", locked, re.M)[1]


def test_what_the_image_is_made_of_is_there():
    text = (FOLDER / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M)
    assert copied and all(list(ROOT.glob(name)) for name in " ".join(copied).replace(". ", "").split())
    assert SERVICES["sync"]["command"] == ["sync.sh"] and SERVICES["wistia"]["command"][0] == "wistia-simulator"
    for name in ("tap-wistia", "target-s3-parquet", "wistia-simulator"):
        assert f"/src/target/demo/{name}" in text
    for volume in SERVICES["s3"]["volumes"]:
        assert (FOLDER / volume.split(":")[0]).is_file()


@pytest.fixture
def services(real_s3, simulator):
    """The simulated account, and the lake's server with the bucket that its script makes."""
    made = re.fullmatch(
        r"awslocal s3api create-bucket --bucket (\S+)", (FOLDER / "make_bucket.sh").read_text().splitlines()[-1]
    )
    real_s3.bucket(made[1])
    return simulator(seed=1, medias=8, events=300, days=60), real_s3


def test_two_syncs_make_the_lake_of_the_account_and_follow_it(services, tmp_path):
    account, s3 = services
    settings = account.settings()
    places = {"http://127.0.0.1:8080/v1": settings["api_url"], "http://s3:4566": s3.url}
    variables = {
        name: places.get(value, value)
        for name, text in SERVICES["sync"]["environment"].items()
        for value in [re.sub(r"\$\{\w+:-(.*)\}", r"\1", text)]
    }
    bucket, prefix = variables["TARGET_S3_PARQUET_DESTINATION"].removeprefix("s3://").split("/")
    path = {"PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}"}
    more = {"FOLDER": str(tmp_path), "EXAMPLES": str(ROOT / "examples")}
    for sync in range(2):
        if sync:
            account.grow(new_events=50, late_events=5, risen_events=10, new_medias=1, restated_days=2)
        done = subprocess.run(
            [FOLDER / "sync.sh"],
            env=environment({**variables, **path, **more}),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "state.json").stat().st_size
        assert_equals(account, s3.download(bucket, tmp_path / f"lake{sync}", prefix))
