"""What a table of many files takes: as much memory as its format needs, and no manifest that a run does not touch."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import TARGET
from test_hostile_answers import MEASURED

FILES, COLUMNS = 2500, 40


def messages(version: int) -> Iterator[str]:
    """A row for each of many partitions, wide enough that each file has a lot to be said of."""
    names = [f"column_{number}" for number in range(COLUMNS)]
    properties = {"id": {"type": "integer"}, "of": {"type": "string"}, **dict.fromkeys(names, {"type": "string"})}
    schema = {"properties": properties}
    yield json.dumps({"type": "SCHEMA", "stream": "s", "key_properties": ["id"], "schema": schema})
    for row in range(FILES):
        record = {"id": row, "of": f"part {row:04}", **{name: f"{name} {row} {version}" for name in names}}
        yield json.dumps({"type": "RECORD", "stream": "s", "record": record})
    yield json.dumps({"type": "STATE", "value": {"version": version}})


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("nights")
    paths = [folder / str(version) for version in range(2)]
    for version, path in enumerate(paths):
        path.write_text("\n".join(messages(version)))
    return paths


@pytest.fixture
def peak(tmp_path: Path) -> Callable[..., int]:
    """Runs the target on a lake of a format. Its peak in MB."""

    def measure(table_format: str, *words: object) -> int:
        config, peak = tmp_path / f"{table_format}.json", tmp_path / "peak"
        settings = {
            "destination": str(tmp_path / table_format),
            "table_format": table_format,
            "move_keys": False,
            "memory_mb": 32,
            "streams": {"s": {"partition_by": {"column": "of"}}},
        }
        config.write_text(json.dumps(settings))
        command = [sys.executable, "-c", MEASURED, str(peak), TARGET, *map(str, words), "--config", str(config)]
        subprocess.run(command, check=True, capture_output=True)
        return int(peak.read_text()) // 1024

    return measure


def test_what_is_known_of_many_files_takes_little_memory(peak: Callable[..., int], nights: list[Path]) -> None:
    """As values of Avro the entries of these files take 150 MB, and a run would hold them twice."""
    for words in (*(["--input", night] for night in nights), ["maintain"]):
        plain, iceberg = (peak(table_format, *words) for table_format in ("parquet", "iceberg"))
        assert iceberg < plain + 50, (words, plain, iceberg)
