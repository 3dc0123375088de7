"""Other taps and targets from PyPI work with ours."""

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from harness import run
from lake import files
from wheels import program


@pytest.fixture
def installed(tmp_path):
    """Installs a package into an environment of its own; gives its programs."""

    def install(*packages):
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
        subprocess.run([tmp_path / "venv" / "bin" / "pip", "install", "--quiet", *packages], check=True)
        return tmp_path / "venv" / "bin"

    return install


def test_our_tap_writes_into_another_target(installed, simulator, tmp_path):
    programs = installed("target-jsonl==0.1.4", "setuptools<80")
    server = simulator(seed=86, medias=5, events=100)
    (tmp_path / "tap.json").write_text(json.dumps(server.settings()))
    (tmp_path / "target.json").write_text(json.dumps({"destination_path": str(tmp_path), "do_timestamp_file": False}))
    messages = run(program("tap-wistia"), "--config", tmp_path / "tap.json").succeeded().out
    done = run(programs / "target-jsonl", "--config", tmp_path / "target.json", stdin=messages).succeeded()
    for table in ("dim_media", "fact_events", "fact_engagements_byday"):
        written = (tmp_path / f"{table}.jsonl").read_text().splitlines()
        assert len(written) == len(server.truth(table)), table
    assert "fact_events" in json.loads(done.out.splitlines()[-1])["bookmarks"]


def test_another_tap_writes_into_our_target(installed, tmp_path):
    programs = installed("tap-jsonl==0.3.1")
    fruits = [{"id": number, "name": f"fruit {number}", "ripe": number % 2 == 0} for number in range(1000)]
    (tmp_path / "fruits.jsonl").write_text("".join(json.dumps(fruit) + "\n" for fruit in fruits))
    settings = {"path": str(tmp_path / "*.jsonl"), "stream_name": "fruits", "primary_keys": ["id"]}
    (tmp_path / "tap.json").write_text(json.dumps(settings))
    (tmp_path / "target.json").write_text(json.dumps({"destination": str(tmp_path / "lake")}))
    messages = (
        run(programs / "tap-jsonl", "--config", tmp_path / "tap.json", env={"HOME": str(tmp_path)}).succeeded().out
    )
    done = run(program("target-s3-parquet"), "--config", tmp_path / "target.json", stdin=messages).succeeded()
    rows = [row for path in files(tmp_path / "lake") for row in pq.ParquetFile(path).read().to_pylist()]
    assert {row["name"] for row in rows} == {fruit["name"] for fruit in fruits} and len(rows) == 1000
    assert json.loads(done.out.splitlines()[-1])["bookmarks"]
