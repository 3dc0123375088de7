"""The number of threads: it changes nothing in a file, and the memory holds."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from harness import TARGET
from test_hostile_answers import MEASURED

ROWS = 150_000
SCHEMA = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": [],
    "schema": {
        "properties": {
            "id": {"type": "integer"},
            "text": {"type": "string"},
            "kind": {"type": "string"},
            "figure": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
        }
    },
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 300 bytes and of all lengths, more than the memory."""
    draw = random.Random(20)
    path = tmp_path_factory.mktemp("source") / "events"
    with path.open("w") as file:
        file.write(json.dumps(SCHEMA) + "\n")
        for row in range(ROWS):
            record = {
                "id": row,
                "text": draw.randbytes(draw.randrange(220)).hex(),
                "kind": f"kind {row % 7}",
                "figure": draw.random(),
                "tags": [str(tag) for tag in range(row % 4)],
            }
            file.write(json.dumps({"type": "RECORD", "stream": "events", "record": record}) + "\n")
        file.write('{"type":"STATE","value":{"n":1}}\n')
    return path


def loaded(folder: Path, source: Path, **settings: object) -> tuple[list[bytes], int]:
    """The files that a run makes but for what they say of the run, and its peak in MB."""
    folder.mkdir()
    config, peak = folder / "config.json", folder / "peak"
    config.write_text(json.dumps({"destination": str(folder / "lake"), "load_method": "append", **settings}))
    command = [sys.executable, "-c", MEASURED, str(peak), TARGET, "--config", str(config)]
    with source.open() as stdin:
        run = subprocess.run(command, stdin=stdin, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    files = sorted((folder / "lake" / "events").rglob("*.parquet"))
    names = [file.name.rsplit("-", 1)[0].encode() for file in files]
    contents = [file.read_bytes().replace(name, b"run") for file, name in zip(files, names, strict=True)]
    return contents, int(peak.read_text()) // 1024


def test_a_file_is_the_same_whatever_the_number_of_threads(tmp_path: Path, source: Path) -> None:
    files = {
        threads: loaded(tmp_path / str(threads), source, memory_mb=64, threads=threads)[0] for threads in (1, 2, 8)
    }
    assert all(len(found) == 1 for found in files.values())
    assert files[1] == files[2]
    assert files[1] == files[8]


@pytest.mark.parametrize("method", ["append", "upsert", "overwrite"])
def test_the_memory_holds_however_many_threads_are_asked_for(tmp_path: Path, source: Path, method: str) -> None:
    """With a heap for each of 16 threads an append took 180 MB, and an upsert 220."""
    keys = {"events": {"key_properties": ["id"]}}
    _, peak = loaded(tmp_path / "16", source, memory_mb=64, threads=16, load_method=method, streams=keys)
    # An unoptimised build takes more than a released one.
    assert peak < 90
