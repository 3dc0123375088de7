"""PyAirbyte with the two programs as local executables."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from itertools import islice

import airbyte as ab
import pytest
from airbyte.caches import DuckDBCache
from airbyte.caches.util import new_local_cache
from airbyte.strategies import WriteStrategy

from harness import BINARIES, DEADLINE, TAP, TARGET, today
from lake import KEYS, TABLES, assert_equals, files, order, pyarrow_rows
from recipes import blocks

START = str(today() - timedelta(days=40))


@pytest.fixture
def source(settings):
    return ab.get_source("source-wistia", config=settings, local_executable=TAP)


@pytest.fixture
def destination(tmp_path):
    config = {"destination": str(tmp_path / "lake"), "add_record_metadata": False}
    return ab.get_destination("destination-s3-parquet", config=config, local_executable=TARGET)


@pytest.fixture
def cache(tmp_path):
    return DuckDBCache(db_path=tmp_path / "cache.duckdb", schema_name="wistia")


def test_the_program_of_the_guide_fills_a_lake(account, tmp_path):
    """docs/airbyte.md, in an environment that does not say what the program says itself."""
    (block,) = (block for block in blocks("docs/airbyte.md") if block.language == "python")
    mine = {
        "/path/to/target/release": str(BINARIES.resolve()),
        '"…"': f'"{account.settings()["api_token"]}", "api_url": "{account.url}"',
        "s3://my-lake/wistia": str(tmp_path / "lake"),
    }
    program = block.text
    for printed, meant in mine.items():
        assert printed in program
        program = program.replace(printed, meant)
    environ = {name: value for name, value in os.environ.items() if name != "AIRBYTE_OFFLINE_MODE"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "lake").iterdir()} == {"_lake", "dim_media", "fact_events"}


def test_a_source_is_described_checked_and_discovered(source):
    source.check()
    assert set(source.get_available_streams()) == set(KEYS)
    assert source.config_spec["properties"]["api_token"]["airbyte_secret"] is True
    assert source.discovered_catalog.streams


def test_streams_are_read_into_duckdb_and_go_on_from_there(source, cache, account):
    source.select_all_streams()
    first = source.read(cache=cache)
    for stream, keys in KEYS.items():
        # PyAirbyte keeps a key twice that comes twice in one read, as a visitor of several slices does.
        rows = first[stream].to_pandas()[keys].drop_duplicates()
        assert len(rows) == len(account.truth(stream, start=START)), stream
    events = len(account.truth("fact_events", start=START))
    assert first.processed_records > events
    account.grow(new_events=30)
    again = source.read(cache=cache)
    assert again.processed_records < first.processed_records
    assert again["fact_events"].to_pandas()["event_key"].nunique() == events + 30
    whole = source.read(cache=cache, force_full_refresh=True)
    assert whole.processed_records >= first.processed_records


def test_some_records_can_be_asked_for(source):
    records = source.get_records("fact_events", limit=5)
    assert len(list(islice(records, 5))) == 5


def test_a_destination_is_checked(destination, tmp_path):
    destination.check()
    broken = ab.get_destination("destination-s3-parquet", config={"destination": "gs://x"}, local_executable=TARGET)
    with pytest.raises(Exception, match="gs://"):
        broken.check()


def test_a_source_flows_into_a_destination(source, destination, tmp_path, account):
    source.select_streams(list(TABLES))
    for _ in range(2):
        result = destination.write(source, cache=False, state_cache=new_local_cache())
        assert result.processed_records > 0
        assert_equals(account, tmp_path / "lake", start=START)
        account.grow(new_events=10)


def test_a_cache_flows_into_a_destination(source, destination, cache, tmp_path, account):
    """From the cache times come in seconds and numbers as text, with nine decimals."""
    streams = ["dim_media", "dim_visitors", "fact_engagements", "fact_engagements_byday", "fact_events"]
    source.select_streams(streams)
    read = source.read(cache=cache)
    destination.write(read, streams=streams)
    for stream in streams:
        truth = order(account.truth(stream, start=START), KEYS[stream])
        assert rounded(pyarrow_rows(tmp_path / "lake", stream)) == rounded(truth), stream


def rounded(value):
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def test_replace_replaces_and_append_adds(source, destination, tmp_path):
    source.select_streams(["dim_media"])
    lake = tmp_path / "lake"
    for strategy, expected in [
        (WriteStrategy.REPLACE, 6),
        (WriteStrategy.REPLACE, 6),
        (WriteStrategy.APPEND, 12),
        (WriteStrategy.REPLACE, 6),
    ]:
        destination.write(source, cache=False, state_cache=False, write_strategy=strategy)
        rows = pyarrow_rows(lake, "dim_media")
        assert len(rows) == expected, strategy
    assert len({row["id"] for row in order(rows, ["id"])}) == 6
    assert files(lake, "dim_media")


def test_the_smoke_test_of_destinations_and_its_values(tmp_path):
    """Airbyte's regression data for destinations: the values in the files are those that were sent."""
    import subprocess

    from smoke import assert_values

    config = tmp_path / "d.json"
    config.write_text(json.dumps({"destination": str(tmp_path / "lake")}))
    command = ["pyab", "destination-smoke-test", f"--destination={TARGET}", "--config", str(config), "--scenarios=all"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=580)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert result["success"] is True and result["records_delivered"] == 1059
    assert_values(tmp_path / "lake", result["namespace"])
