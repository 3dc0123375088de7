"""The commit protocol: whatever dies, nothing is lost, nothing is doubled, nothing is half there."""

import json
import os
import random
import signal
import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness import DEADLINE, JSON_LOG, TARGET, environment, kill_after, lines, run, until, until_logged
from lake import KEYS, assert_equals, files

SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "month": {"type": "string"}, "v": {"type": "string"}}},
}


def records(start, count, version="a"):
    for number in range(start, start + count):
        values = {"id": number, "month": f"2026-{number % 12 + 1:02}", "v": f"{version}{number:0200}"}
        yield {"type": "RECORD", "stream": "s", "record": values}


def state(number):
    return {"type": "STATE", "value": {"bookmarks": {"s": number}}}


def read(lake, table="s"):
    return {
        row["id"]: row["v"] for path in files(lake, table) for row in pq.ParquetFile(path).read(["id", "v"]).to_pylist()
    }


class Reader(threading.Thread):
    """Lists and reads a lake all the time, and remembers what it must never see."""

    def __init__(self, lake):
        super().__init__(daemon=True)
        self.lake, self.faults, self.passes, self.ended = lake, [], 0, threading.Event()

    def run(self):
        while not self.ended.is_set():
            for table, keys in KEYS.items():
                self.look(table, keys)
            self.passes += 1

    def look(self, table, keys):
        seen = Counter()
        for path in files(self.lake, table):
            try:
                rows = pq.ParquetFile(path).read(keys).to_pylist()
            except Exception as error:
                self.faults.append(f"{path}: {error}")
                continue
            seen.update(tuple(row.values()) for row in rows)
        self.faults += [f"{table}: {key} is there {times} times" for key, times in seen.items() if times > 1]

    def stop(self):
        self.ended.set()
        self.join(60)
        assert not self.faults, self.faults[:5]
        assert self.passes > 0


def leftovers(lake):
    """What is in a lake beside data and definitions."""
    known = {"tables", "runs"}
    return [
        path
        for path in Path(lake).rglob("*")
        if path.is_file() and path.suffix != ".parquet" and not (path.parent.name in known and path.suffix == ".json")
    ]


def unfinished(lake):
    """What runs have begun and not ended; two that differ tell that one has died in between."""
    return {(path, path.stat().st_mtime_ns) for path in leftovers(lake)}


@pytest.mark.timeout(600)
def test_a_hundred_kills_under_the_eyes_of_a_reader(simulator, pipe):
    server = simulator(seed=70, medias=40, events=6000, days=300)
    job = pipe(server, target={"commit_interval_seconds": 0, "memory_mb": 32, "streams": {}})
    job.target["streams"] = {
        "fact_events": {"partition_by": {"column": "received_at", "granularity": "month"}, "shards": 2}
    }
    chance = random.Random(70)
    job.lake.mkdir()
    reader = Reader(job.lake)
    reader.start()
    killed = in_the_middle = 0
    while killed < 100:
        before = unfinished(job.lake)
        if job.kill_target_after(chance.uniform(0.02, 1.0)):
            killed += 1
            in_the_middle += bool(unfinished(job.lake) - before)
        else:
            # It was faster; there will be something to do.
            server.grow(new_events=40, late_events=20, risen_events=20)
        if chance.random() < 0.2:
            server.grow(new_events=20, late_events=10, risen_events=10)
    assert in_the_middle > 10, "kills that leave nothing prove nothing"
    job.sync()
    reader.stop()
    assert_equals(server, job.lake)
    assert not leftovers(job.lake)


def test_appended_rows_are_neither_lost_nor_doubled_by_kills(tmp_path):
    """A source that repeats what no state covers; the target dies and starts again."""
    config = tmp_path / "t.json"
    config.write_text(
        json.dumps({"destination": str(tmp_path / "lake"), "load_method": "append", "commit_interval_seconds": 0})
    )
    state_file = tmp_path / "state.json"
    chance, last, kills = random.Random(71), 400, 0

    def load(seconds):
        """One run that is killed then. Whether that was its end."""
        begun = json.loads(state_file.read_text())["bookmarks"]["s"] if state_file.exists() else 0
        messages = [SCHEMA]
        for part in range(begun, last):
            messages += [*records(part * 5, 5), state(part + 1)]
        (tmp_path / "messages").write_text(lines(*messages))
        command = [TARGET, "--config", config, "--input", tmp_path / "messages", "--state-out", state_file]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        killed = kill_after(process, seconds)
        assert killed or process.returncode == 0
        return killed

    while kills < 15:
        before = unfinished(tmp_path / "lake")
        if load(chance.uniform(0.01, 0.4)):
            # One that leaves nothing came too early to be one in the middle.
            kills += bool(unfinished(tmp_path / "lake") - before)
        else:
            # It was faster; there will be more to do.
            last += 200
    assert not load(DEADLINE)
    rows = [
        row["id"] for path in files(tmp_path / "lake", "s") for row in pq.ParquetFile(path).read(["id"]).to_pylist()
    ]
    assert sorted(rows) == list(range(last * 5))


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_two_writers_at_once_both_end_complete(tmp_path, real_s3, where):
    s3 = real_s3
    destination = (
        {"destination": str(tmp_path / "lake")}
        if where == "folder"
        else s3.settings(f"s3://{s3.bucket('two-writers')}/lake")
    )
    config = tmp_path / "t.json"
    config.write_text(
        json.dumps(
            {**destination, "commit_interval_seconds": 0, "streams": {"s": {"partition_by": {"column": "month"}}}}
        )
    )
    writers = []
    for writer in range(3):
        process = subprocess.Popen(
            [TARGET, "--config", config],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        process.stdin.write(lines(SCHEMA, *records(writer * 10_000, 100), state(0)))
        process.stdin.flush()
        writers.append(process)
    # All are in the middle before one goes on.
    for process in writers:
        assert process.stdout.readline(), process.communicate()

    def finish(writer):
        messages = []
        for part in range(1, 6):
            messages += [*records(writer * 10_000 + part * 100, 100), state(part)]
        return writers[writer].communicate(lines(*messages), timeout=DEADLINE)

    with ThreadPoolExecutor() as pool:
        said = list(pool.map(finish, range(3)))
    assert [process.returncode for process in writers] == [0, 0, 0], [err[-1000:] for _, err in said]
    lake = tmp_path / "lake" if where == "folder" else s3.download("two-writers", tmp_path / "copy", "lake")
    expected = {number for writer in range(3) for number in range(writer * 10_000, writer * 10_000 + 600)}
    assert set(read(lake)) == expected


def test_a_lock_of_a_dead_writer_is_no_hindrance(tmp_path):
    config = tmp_path / "t.json"
    config.write_text(json.dumps({"destination": str(tmp_path / "lake")}))
    for version in "ab":
        run(TARGET, "--config", config, stdin=lines(SCHEMA, *records(0, 10, version), state(1))).succeeded()
        locks = tmp_path / "lake" / "_lake" / "locks"
        locks.mkdir(exist_ok=True)
        # It died between making the lock and signing it.
        (locks / "s.lock").touch()
    assert {number: value[0] for number, value in read(tmp_path / "lake").items()} == dict.fromkeys(range(10), "b")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_commits_what_a_state_covers(tmp_path, number, code):
    config = tmp_path / "t.json"
    config.write_text(json.dumps({"destination": str(tmp_path / "lake"), "load_method": "append"}))
    process = subprocess.Popen(
        [TARGET, "--config", config, "--state-out", tmp_path / "state.json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    process.stdin.write(lines(SCHEMA, *records(0, 10), state(10), *records(10, 5), {"type": "MARK"}))
    process.stdin.flush()
    # The target reads in order: when it warns of this message, it has all that stands before.
    until_logged(process, "messages of type MARK are not known")
    process.send_signal(number)
    assert process.wait(DEADLINE) == code
    assert json.loads(process.stdout.read()) == {"bookmarks": {"s": 10}}
    assert json.loads((tmp_path / "state.json").read_text()) == {"bookmarks": {"s": 10}}
    assert sorted(read(tmp_path / "lake")) == list(range(10))
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def test_a_full_disk_loses_nothing(tmp_path):
    """A limit on the size of files is met in the middle of a commit."""
    config = tmp_path / "t.json"
    config.write_text(json.dumps({"destination": str(tmp_path / "lake"), "compression": "none"}))
    run(TARGET, "--config", config, stdin=lines(SCHEMA, *records(0, 10), state(1))).succeeded()
    before = read(tmp_path / "lake")
    (tmp_path / "messages").write_text(lines(SCHEMA, *records(0, 20_000, "b"), state(2)))
    done = run(
        "bash", "-c", f"ulimit -f 512; trap '' XFSZ; exec '{TARGET}' --config '{config}' --input '{tmp_path}/messages'"
    )
    done.refused(str(tmp_path / "lake"))
    assert done.out == "" and read(tmp_path / "lake") == before
    run(TARGET, "--config", config, "--input", tmp_path / "messages").succeeded()
    assert len(read(tmp_path / "lake")) == 20_000
    assert not leftovers(tmp_path / "lake")


def test_a_full_folder_of_temporary_files_loses_nothing(tmp_path):
    config, spills = tmp_path / "t.json", tmp_path / "spills"
    spills.mkdir()
    config.write_text(json.dumps({"destination": str(tmp_path / "lake"), "memory_mb": 32, "temp_dir": str(spills)}))
    run(TARGET, "--config", config, stdin=lines(SCHEMA, *records(0, 10), state(1))).succeeded()
    before = read(tmp_path / "lake")
    (tmp_path / "messages").write_text(lines(SCHEMA, *records(0, 120_000, "b"), state(2)))
    done = run(
        "bash", "-c", f"ulimit -f 4096; trap '' XFSZ; exec '{TARGET}' --config '{config}' --input '{tmp_path}/messages'"
    )
    done.refused(str(spills), "temp_dir")
    assert done.out == "" and read(tmp_path / "lake") == before
    assert not list(spills.iterdir()) and not leftovers(tmp_path / "lake")


def test_two_writers_of_different_schemas_leave_one_type(tmp_path, real_s3):
    """One widens a column while the other, who has read the old definition, goes on writing."""
    bucket = real_s3.bucket("two-schemas")
    config = tmp_path / "t.json"
    config.write_text(
        json.dumps(
            real_s3.settings(
                f"s3://{bucket}/lake", commit_interval_seconds=0, streams={"s": {"partition_by": {"column": "month"}}}
            )
        )
    )

    def schema(kind):
        return {**SCHEMA, "schema": {"properties": {**SCHEMA["schema"]["properties"], "n": kind}}}

    small, large = schema({"type": "integer", "minimum": 0, "maximum": 9}), schema({"type": "number"})
    slow = subprocess.Popen(
        [TARGET, "--config", config],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        text=True,
    )
    slow.stdin.write(lines(small, *records(0, 24), state(1)))
    slow.stdin.flush()
    assert slow.stdout.readline()
    run(TARGET, "--config", config, stdin=lines(large, *records(100, 6), state(2))).succeeded()
    slow.communicate(lines(*records(24, 48), state(3)), timeout=60)
    assert slow.returncode == 0
    copy = real_s3.download(bucket, tmp_path / "copy", "lake")
    assert {str(pq.read_schema(path).field("n").type) for path in files(copy, "s")} == {"double"}
    assert set(read(copy)) == {*range(72), *range(100, 106)}


def test_stdout_that_is_closed_is_no_panic(tmp_path):
    config = tmp_path / "t.json"
    config.write_text(json.dumps({"destination": str(tmp_path / "lake")}))
    (tmp_path / "messages").write_text(lines(SCHEMA, *records(0, 10), state(1)))
    done = run("bash", "-c", f"'{TARGET}' --config '{config}' --input '{tmp_path}/messages' >&-").succeeded()
    assert "panicked" not in done.err
    assert len(read(tmp_path / "lake")) == 10


def test_large_objects_are_uploaded_in_parts_and_leave_nothing_open(tmp_path, real_s3):
    s3 = real_s3
    bucket = s3.bucket("parts")
    config = tmp_path / "t.json"
    config.write_text(json.dumps(s3.settings(f"s3://{bucket}/lake", compression="none")))
    chance = random.Random(72)
    messages = [SCHEMA]
    for number in range(300):
        values = {"id": number, "month": "2026-01", "v": f"{chance.getrandbits(400_000):0100000x}"}
        messages.append({"type": "RECORD", "stream": "s", "record": values})
    (tmp_path / "messages").write_text(lines(*messages, state(1)))
    run(TARGET, "--config", config, "--input", tmp_path / "messages").succeeded()
    assert len(read(s3.download(bucket, tmp_path / "copy", "lake"))) == 300
    assert s3.client.head_object(Bucket=bucket, Key="lake/s/part-00000.parquet")["ETag"].count("-") == 1, (
        "several parts"
    )
    assert not s3.uploads(bucket)

    broken = tmp_path / "broken"
    broken.write_text((tmp_path / "messages").read_text() + "not json\n")
    config.write_text(
        json.dumps(s3.settings(f"s3://{bucket}/lake2", compression="none", load_method="append", memory_mb=32))
    )
    run(TARGET, "--config", config, "--input", broken).refused("line 303")
    assert not s3.uploads(bucket)


def test_untouched_partitions_are_not_written_again(tmp_path):
    config = tmp_path / "t.json"
    config.write_text(
        json.dumps({"destination": str(tmp_path / "lake"), "streams": {"s": {"partition_by": {"column": "month"}}}})
    )
    run(TARGET, "--config", config, stdin=lines(SCHEMA, *records(0, 1200), state(1))).succeeded()
    before = {path: os.stat(path).st_mtime_ns for path in files(tmp_path / "lake", "s")}
    changed = [message for message in records(0, 24, "b") if message["record"]["month"] in ("2026-03", "2026-04")]
    done = run(TARGET, "--config", config, *JSON_LOG, stdin=lines(SCHEMA, *changed, state(2))).succeeded()
    assert done.summary["streams"]["s"]["files"] == 2
    after = {path: os.stat(path).st_mtime_ns for path in files(tmp_path / "lake", "s")}
    assert {path.parent.name for path in after if after[path] != before[path]} == {"p_month=2026-03", "p_month=2026-04"}
    assert len(read(tmp_path / "lake")) == 1200


def test_the_state_may_be_kept_on_s3(tmp_path, real_s3):
    s3 = real_s3
    bucket = s3.bucket("states")
    config = tmp_path / "t.json"
    config.write_text(json.dumps(s3.settings(f"s3://{bucket}/lake", load_method="append")))
    kept = f"s3://{bucket}/states/wistia.json"
    for part in (1, 2):
        messages = lines(SCHEMA, *records(part * 10, 10), state(part))
        done = run(TARGET, "--config", config, "--state-out", kept, stdin=messages).succeeded()
        text = s3.client.get_object(Bucket=bucket, Key="states/wistia.json")["Body"].read().decode()
        assert text == done.out and json.loads(text) == {"bookmarks": {"s": part}}
    assert len(read(s3.download(bucket, tmp_path / "copy", "lake"))) == 20
    run(TARGET, "--config", config, "--state-out", f"s3://{bucket}", stdin="").refused("--state-out")


def test_a_state_on_s3_that_another_run_moved_meanwhile_is_not_moved_back(tmp_path, s3):
    bucket = s3.bucket("moved-states")
    config = tmp_path / "t.json"
    config.write_text(json.dumps(s3.settings(f"s3://{bucket}/lake", commit_interval_seconds=0)))
    command = [TARGET, "--config", config, "--state-out", f"s3://{bucket}/state.json"]

    def kept():
        found = s3.keys(bucket, "state.json")
        return s3.client.get_object(Bucket=bucket, Key=found[0])["Body"].read().decode() if found else None

    slow = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    slow.stdin.write(lines(SCHEMA, *records(0, 10), state(1)))
    slow.stdin.flush()
    until(kept, slow)
    run(*command, stdin=lines(SCHEMA, *records(10, 10), state(3))).succeeded()
    _, log = slow.communicate(lines(*records(20, 10), state(2)), timeout=DEADLINE)
    assert slow.returncode == 1
    assert f"error: s3://{bucket}/state.json was changed by another writer" in log
    assert json.loads(kept()) == {"bookmarks": {"s": 3}}
    # Its rows are there all the same.
    assert len(read(s3.download(bucket, tmp_path / "copy", "lake"))) == 30
