"""Every benchmark runs, from its input to its figures, and the pages say what was measured."""

import json
import os
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import duckdb
import pytest

import contenders
import events
import figures
import measure
import performance
import upsert
from harness import BINARIES, ROOT, environment

RUNS = {
    "cores": ["--events", 500, "--cores", 1, "--codecs", "snappy", "--runs", 1],
    "target": ["--scale", 0.001, "--runs", 1, "--shapes", "six", "wide", "long", "deep"],
    "upsert": ["--events", 2_000, "--partitions", 3, "--tables", 2, "--delay", 1, "--runs", 1],
    "tap": ["--medias", 2, "--events", 50, "--only", "speed"],
    # Those whose programs are here as well.
    "field": ["--rows", 5_000, "--night", 100, "--runs", 1, "--only", "target-s3-parquet, by month", "DuckDB table"],
}


@pytest.fixture
def bench(tmp_path):
    """Runs a benchmark and gives its figures."""

    def start(name, *arguments):
        variables = environment({"BINARIES": str(BINARIES), "BENCH_FOLDER": str(tmp_path / "bench")})
        command = [sys.executable, ROOT / "bench" / f"{name}.py", *arguments, "--results", tmp_path]
        done = subprocess.run([*map(str, command)], env=variables, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        return figures.kept(name, tmp_path), done.stdout

    return start


@pytest.mark.parametrize("name", RUNS)
def test_a_benchmark_keeps_what_it_prints_and_where_it_was_measured(bench, name):
    sane(*bench(name, *RUNS[name]))


def sane(result, printed):
    assert result["commit"] and result["date"] and result["machine"]["cores"] == os.cpu_count()
    assert result["rows"]
    assert printed.count("\n| ") >= len(result["rows"])
    for row in result["rows"]:
        whole = row["append"] if "ordered" in row else row
        assert whole["seconds"] > 0 and whole["peak"] > 1


@pytest.mark.skipif(sys.platform != "linux", reason="bytes are counted by Linux")
def test_growth_counts_the_bytes_of_each_load_from_outside(bench):
    result, printed = bench("growth", "--rows", "0.002", "0.004", "--seed", 3)
    sane(result, printed)
    by_load = {row["load"]: row for row in result["rows"] if row["rows"] == 4_000}
    for name, row in by_load.items():
        # A refresh writes its rows twice: they wait until it is complete.
        times = 2 if name == "Airbyte refresh" else 1
        assert times * 0.95 < row["amplification"] < times * 1.5, row
    assert by_load["append"]["files"] == by_load["upsert"]["files"] == 1
    assert by_load["upsert, 24 months"]["files"] == 24


@pytest.mark.skipif(sys.platform != "linux", reason="bytes are counted by Linux")
def test_what_goes_to_temporary_files_is_told_from_what_the_lake_gets(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "FOLDER", tmp_path / "bench")
    lake = tmp_path / "part"
    script = (
        "import pathlib, sys, tempfile, time\n"
        "with tempfile.TemporaryFile() as spilled:\n"
        "    spilled.write(bytes(3_000_000)); spilled.flush(); time.sleep(0.3)\n"
        f"pathlib.Path({str(lake)!r}).write_bytes(bytes(5_000_000)); print('done')\n"
    )
    cost = measure.succeeded(measure.run([sys.executable, "-c", script]))
    assert cost.temporary == 3
    assert cost.written == pytest.approx(5, abs=0.01)
    assert cost.peak > 5


def test_a_run_that_takes_too_long_or_too_much_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "FOLDER", tmp_path / "bench")
    assert measure.run([sys.executable, "-c", "while True: pass"], limit=0.3).failure == "not done in 0.3 s"
    greedy = "import time; held = bytearray(b'x') * 200_000_000; time.sleep(60)"
    assert measure.run([sys.executable, "-c", greedy], most=100).failure == "more than 100 MB of memory"
    assert "SyntaxError" in measure.run([sys.executable, "-c", "?"]).failure


def test_the_s3_of_the_benchmarks_judges_conditions_and_counts():
    server = upsert.Server(0)
    try:
        url = f"http://127.0.0.1:{server.port}/bucket/key"
        assert urlopen(Request(url, b"one", {"If-None-Match": "*"}, method="PUT")).status == 200
        for condition in ({"If-None-Match": "*"}, {"If-Match": '"other"'}):
            with pytest.raises(HTTPError, match="412"):
                urlopen(Request(url, b"two", condition, method="PUT"))
        with urlopen(Request(url, headers={"Range": "bytes=1-"})) as found:
            assert (found.status, found.read()) == (206, b"ne")
        counts = server.counts()
        assert (counts["PUT"], counts["GET"], counts["received"]) == (3, 1, 9)
    finally:
        server.process.kill()
        server.process.wait()


def test_a_night_is_half_new_and_late():
    query = events.night(20_000, 200, seed=5, seen=1)
    night = f"(select * from ({query}))"
    old = f"({events.relation(0, 20_000, 5)})"
    ((known, late),) = duckdb.sql(
        f"select count(*) filter (event_key in (select event_key from {old})), "
        f"count(*) filter (received_at >= '{events.LATE}') from {night}"
    ).fetchall()
    assert (known, late) == (100, 200)


def test_the_field_compares_the_rows(tmp_path):
    """A night that was left out is missed."""
    given = tmp_path / "given"
    contenders.inputs(given, 5_000, 100, 7)
    expected = json.loads((given / "expected.json").read_text())
    for name in ("DuckDB table", "DuckDB COPY, by month", "DuckDB COPY"):
        contender, folder = contenders.CONTENDERS[name], tmp_path / name
        folder.mkdir()
        contender.prepare(folder, given)
        assert contender.check(folder) != expected
        contender.merge(folder, given)
        assert contender.check(folder) == expected, name


def test_the_page_and_its_charts_are_of_the_figures_that_are_kept():
    assert performance.stale() == []
    text = "".join(page.read_text() for page in performance.PAGES)
    assert {name for _, name, _ in performance.BLOCK.findall(text)} == set(performance.BLOCKS)
    for chart in performance.CHARTS:
        assert f"images/{performance.image(chart).name}" in text
