"""S3 as it is on a bad night: slow, resetting, cut off, expired. The lake is right or the run says why."""

import json
import random
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from fault_proxy import KINDS
from harness import DEADLINE, TARGET, lines, run
from lake import assert_equals
from test_commit import SCHEMA, read, records, state


def two_runs(proxy, folder, prefix, **fault):
    """A run into an empty lake and one that replaces and adds, with a fault somewhere on the way."""
    config = folder / f"{prefix}.json"
    partition = {"s": {"partition_by": {"column": "month"}}}
    config.write_text(json.dumps(proxy.settings(f"s3://{fault.pop('bucket')}/{prefix}", streams=partition)))
    proxy.steer("POST", path=f"/{prefix}/", **fault)
    for start, version in [(0, "a"), (6, "b")]:
        messages = lines(SCHEMA, *(message for message in records(start, 12, version)), state(start))
        done = run(TARGET, "--config", config, stdin=messages).succeeded()
        assert json.loads(done.out) == {"bookmarks": {"s": start}}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "embedded"])
def test_a_fault_at_any_request_changes_nothing(proxy, real_s3, tmp_path, kind):
    """Whichever request fails, and however: the run repeats it and ends as if nothing had been."""
    server = proxy()
    bucket = real_s3.bucket(f"any-{kind.replace('_', '-')}")
    # As many requests as two runs make on such a lake, in steps that reach each sort of request.
    spots = range(KINDS.index(kind) % 3, 60, 6 if kind == "stall" else 3)

    def attempt(spot):
        two_runs(server, tmp_path, f"spot{spot}", bucket=bucket, kind=kind, skip=spot)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attempt, spots))
    assert server.done()[kind] >= len(spots) // 2
    for spot in spots:
        found = read(real_s3.download(bucket, tmp_path / "copy", f"spot{spot}"))
        assert {number: value[0] for number, value in found.items()} == {n: "a" if n < 6 else "b" for n in range(18)}, (
            spot
        )


def test_an_error_inside_a_completion_that_began_as_a_success(proxy, real_s3, tmp_path):
    server = proxy()
    bucket = real_s3.bucket("embedded")
    config = tmp_path / "t.json"
    config.write_text(json.dumps(server.settings(f"s3://{bucket}/lake", compression="none")))
    chance = random.Random(74)
    messages = [SCHEMA]
    for number in range(100):
        messages.append(
            {
                "type": "RECORD",
                "stream": "s",
                "record": {"id": number, "month": "", "v": f"{chance.getrandbits(800_000):0200000x}"},
            }
        )
    for kind in ("embedded", "reset_after", "truncate"):
        server.steer("POST", kind=kind, method="POST", path="uploadId", count=2)
        run(TARGET, "--config", config, stdin=lines(*messages, state(1))).succeeded()
        messages += [{"type": "RECORD", "stream": "s", "record": {"id": 1000, "month": kind, "v": kind}}]
        assert server.done()[kind] == 2
    assert len(read(real_s3.download(bucket, tmp_path / "copy", "lake"))) == 101
    assert not real_s3.uploads(bucket)


@pytest.mark.timeout(900)
def test_kills_and_faults_together(simulator, pipe, proxy, real_s3, tmp_path):
    """Five of a hundred requests fail, the target is killed, a reader looks on; in the end all is true."""
    account = simulator(seed=75, medias=12, events=1500, days=200)
    server = proxy()
    bucket = real_s3.bucket("campaign")
    job = pipe(account, target=server.settings(f"s3://{bucket}/lake", commit_interval_seconds=0))
    server.steer("PUT", rate=0.05, seed=75)
    chance, kills, looks, faults, ended = random.Random(75), 0, 0, [], threading.Event()

    def look():
        """Lists and reads the events all the time, past the proxy."""
        nonlocal looks
        while not ended.is_set():
            looks += 1
            seen = set()
            for key in real_s3.keys(bucket, "lake/fact_events/"):
                try:
                    body = real_s3.client.get_object(Bucket=bucket, Key=key)["Body"].read()
                except real_s3.client.exceptions.NoSuchKey:
                    continue
                path = tmp_path / "seen.parquet"
                path.write_bytes(body)
                with duckdb.connect() as connection:
                    keys = [
                        key
                        for (key,) in connection.execute(
                            "select event_key from read_parquet($path)", {"path": str(path)}
                        ).fetchall()
                    ]
                faults.extend(f"{key} is there twice" for key in keys if key in seen)
                seen.update(keys)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        while kills < 12:
            if job.kill_target_after(chance.uniform(0.1, 4.0)):
                kills += 1
            else:
                account.grow(new_events=20, late_events=10, risen_events=10)
        job.sync()
    finally:
        ended.set()
        reader.join(60)
    assert not faults, faults[:5]
    assert looks > 0
    done = server.done()
    assert sum(done.values()) > 20 and len(done) > 3, done
    assert_equals(account, real_s3.download(bucket, tmp_path / "copy", "lake"))


@pytest.mark.parametrize(("kind", "word"), [("expired", "ExpiredToken"), ("denied", "access denied")])
def test_credentials_that_end_in_the_middle_of_a_run(proxy, real_s3, tmp_path, kind, word):
    server = proxy()
    bucket = real_s3.bucket(f"ends-{kind}")
    config = tmp_path / "t.json"
    config.write_text(
        json.dumps(server.settings(f"s3://{bucket}/lake", commit_interval_seconds=0, load_method="append"))
    )
    process = subprocess.Popen(
        [TARGET, "--config", config], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdin.write(lines(SCHEMA, *records(0, 10), state(1)))
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == {"bookmarks": {"s": 1}}
    server.steer("POST", kind=kind, count=10_000)
    out, err = process.communicate(lines(*records(10, 10), state(2)), timeout=DEADLINE)
    assert process.returncode == 1 and out == ""
    assert word in err and err.count("error: ") == 1 and "panicked" not in err
    server.steer("DELETE")
    # The tap goes on from the state that was given back.
    run(TARGET, "--config", config, stdin=lines(SCHEMA, *records(10, 10), state(2))).succeeded()
    assert sorted(read(real_s3.download(bucket, tmp_path / "copy", "lake"))) == list(range(20))


def test_only_what_dead_runs_left_open_is_aborted(s3, tmp_path):
    """A day is more than any run takes: what is younger may be another run's, and is."""
    bucket = s3.bucket("left-open")
    config = tmp_path / "t.json"
    config.write_text(json.dumps(s3.settings(f"s3://{bucket}/lake")))

    def begin(key):
        s3.client.create_multipart_upload(Bucket=bucket, Key=key)

    def load():
        return run(TARGET, "--config", config, stdin=lines(SCHEMA, *records(0, 3), state(1))).succeeded().err

    begin("lake/s/old.parquet")
    begin("other/old.parquet")
    assert "dead run" not in load()
    assert len(s3.uploads(bucket)) == 2
    s3.steer("uploads", hours=25)
    begin("lake/s/young.parquet")
    assert load().count("an upload that a dead run left is aborted") == 1
    assert {upload["Key"] for upload in s3.uploads(bucket)} == {"lake/s/young.parquet", "other/old.parquet"}
