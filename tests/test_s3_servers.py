"""Servers that speak the protocol of S3 and do not judge conditions as it does: no run loses rows on them unseen."""

import json
import random
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from harness import DEADLINE, TARGET, environment, lines, run
from test_commit import SCHEMA, read, records, state

AT_ONCE = 10
"""Seconds: no run goes on for longer that cannot work."""

# By the servers that do so; docs/stores.md has them.
MANNERS = {
    "s3rver": {"whole": "ignores", "in_parts": "ignores"},
    "moto": {"in_parts": "ignores"},
    "ceph16": {"whole": "compares_unquoted", "in_parts": "ignores"},
    "none": {"whole": "does_not_know", "in_parts": "does_not_know"},
}
OVERWRITES = "it overwrites what is there: two runs at once could lose rows"
FOUND = {
    "s3rver": [
        "asked to create only if absent (If-None-Match), or to replace only if unchanged (If-Match)",
        OVERWRITES,
    ],
    "moto": ["asked to create only if absent (If-None-Match) at the end of a multipart upload, or", OVERWRITES],
    "ceph16": [
        "asked to replace only if unchanged (If-Match), it refuses though that holds",
        "it compares the ETag without its quotes: no table could be written to again",
        OVERWRITES,
    ],
    "none": ["(If-None-Match)", "it fails (NotImplemented: A header you provided", "no table could be made"],
}
REMEDY = ["docs/stores.md", "`s3.conditional_writes`"]


@pytest.fixture(params=MANNERS)
def server(request, proxy):
    """A proxy in the manners of a server; what is found of it."""
    started = proxy()
    started.judge(**MANNERS[request.param])
    started.found = FOUND[request.param]
    return started


def settings(folder, server, destination, name="t", **more):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(server.settings(destination, compression="none", **more)))
    return path


def checked(config):
    (message,) = run(TARGET, "check", "--config", config).succeeded().messages
    return message["connectionStatus"]


def large(count, version="a"):
    """Records of 200 kB each that do not compress: a hundred are more than a part of an upload."""
    chance = random.Random(version)
    return [
        {
            "type": "RECORD",
            "stream": "s",
            "record": {"id": number, "month": version, "v": f"{chance.getrandbits(800_000):0200000x}"},
        }
        for number in range(count)
    ]


def test_what_a_server_does_with_conditions_is_said_by_the_check_and_before_a_run(server, real_s3, tmp_path):
    bucket = real_s3.bucket(f"refused-{random.getrandbits(64):x}")
    config = settings(tmp_path, server, f"s3://{bucket}/lake")
    status = checked(config)
    assert status["status"] == "FAILED"
    for word in [f"s3://{bucket}/lake/: the server does not keep", *server.found, *REMEDY]:
        assert word in status["message"], status["message"]
    for method in ("upsert", "append", "overwrite"):
        config = settings(tmp_path, server, f"s3://{bucket}/lake", load_method=method)
        began = time.monotonic()
        done = run(TARGET, "--config", config, stdin=lines(SCHEMA, *records(0, 10), state(1)))
        done.refused(*server.found, *REMEDY)
        assert time.monotonic() - began < AT_ONCE
        assert done.out == ""
    assert not real_s3.keys(bucket) and not real_s3.uploads(bucket)


def test_two_writers_at_once_lose_nothing_where_conditions_are_ignored(server, real_s3, tmp_path):
    """A lake that is there stays as it is, whoever wants to write to it, and so does `maintain`."""
    bucket = real_s3.bucket(f"writers-{random.getrandbits(64):x}")
    real = settings(tmp_path, real_s3, f"s3://{bucket}/lake", name="real")
    run(TARGET, "--config", real, stdin=lines(SCHEMA, *records(0, 100), state(1))).succeeded()
    before = real_s3.keys(bucket)
    config = settings(tmp_path, server, f"s3://{bucket}/lake")
    writers = [
        subprocess.Popen(
            [TARGET, "--config", config],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for _ in range(2)
    ]
    for number, writer in enumerate(writers):
        out, err = writer.communicate(lines(SCHEMA, *records(100 * number, 100, "b"), state(number)), timeout=DEADLINE)
        # What was refused is known to be refused: the tap sends it again.
        assert (writer.returncode, out) == (1, ""), err
    run(TARGET, "maintain", "--config", config, "--shards", 2).refused(*server.found)
    # To look at a lake needs no condition.
    run(TARGET, "maintain", "--config", config).succeeded()
    run(TARGET, "maintain", "--config", config, "--shards", 2, "--dry-run").succeeded()
    found = read(real_s3.download(bucket, tmp_path / "copy", "lake"))
    assert {number: value[0] for number, value in found.items()} == dict.fromkeys(range(100), "a")
    assert real_s3.keys(bucket) == before


def test_one_declared_writer_works_night_after_night_and_is_warned(server, real_s3, tmp_path):
    bucket = real_s3.bucket(f"nights-{random.getrandbits(64):x}")
    more = {"s3": {"conditional_writes": False}}
    config = settings(tmp_path, server, f"s3://{bucket}/lake", **more)
    status = checked(config)
    assert status["status"] == "SUCCEEDED"
    assert "must be the only one that writes" in status["message"]
    kept = f"s3://{bucket}/state.json"

    def warned(*arguments, **how):
        done = run(TARGET, *arguments, **how).succeeded()
        assert done.err.count("must be the only one that writes") == 1, done.err

    for night, version in enumerate("abc"):
        # Objects of many parts and of one, written again each night.
        messages = lines(SCHEMA, *large(60, "m"), *records(60, 10 + night, version), state(night))
        warned("--config", config, "--state-out", kept, stdin=messages)
        text = real_s3.client.get_object(Bucket=bucket, Key="state.json")["Body"].read().decode()
        assert json.loads(text) == {"bookmarks": {"s": night}}
    log = settings(tmp_path, server, f"s3://{bucket}/lake", "log", load_method="append", **more)
    entries = [{**message, "stream": "log"} for message in [SCHEMA, *records(0, 10)]]
    for night in range(2):
        warned("--config", log, stdin=lines(*entries, state(night)))
    warned("maintain", "--config", log, "--table", "log", "--compact")
    warned("maintain", "--config", log, "--table", "s", "--shards", 2)
    copy = real_s3.download(bucket, tmp_path / "copy", "lake")
    found = read(copy)
    assert {number: value[0] for number, value in found.items() if number >= 60} == dict.fromkeys(range(60, 72), "c")
    assert len(found) == 72
    assert len(list((copy / "log").rglob("*.parquet"))) == 1
    assert not real_s3.uploads(bucket)


@pytest.mark.parametrize("count", [10, 100], ids=["whole", "in_parts"])
def test_a_server_that_refuses_what_is_unchanged_is_told_from_another_writer(proxy, real_s3, tmp_path, count):
    """It refuses the table alone, so that the probe does not notice."""
    server = proxy()
    bucket = real_s3.bucket(f"unchanged-{random.getrandbits(64):x}")
    config = settings(tmp_path, server, f"s3://{bucket}/lake")
    run(TARGET, "--config", config, stdin=lines(SCHEMA, *large(count), state(1))).succeeded()
    server.judge(whole="compares_unquoted", in_parts="compares_unquoted", path="/lake/s/")
    began = time.monotonic()
    done = run(TARGET, "--config", config, stdin=lines(SCHEMA, *large(count), *records(200, 1), state(2)))
    done.refused("part-00000.parquet", "although it is unchanged", "does not compare If-Match as S3 does", *REMEDY)
    assert time.monotonic() - began < AT_ONCE
    assert "changed by another writer" not in done.err and "merging again" not in done.err
    assert not real_s3.uploads(bucket)


def test_open_uploads_that_are_old_are_aborted_beyond_the_first_page(tmp_path):
    """A server of nothing but open uploads, two a page."""
    open_uploads = [f"lake/s/part-{number:05}.parquet" for number in range(5)]
    aborted = []

    class Bucket(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, body=""):
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_GET(self):
            query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
            if "uploads" not in query:
                self.answer(403)
                return
            behind = query.get("key-marker", [""])[0]
            left = [key for key in open_uploads if key > behind]
            items = "".join(
                f"<Upload><Key>{key}</Key><UploadId>id-{key}</UploadId>"
                "<Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>"
                for key in left[:2]
            )
            page, more = left[:2], len(left) > 2
            last = f"<NextKeyMarker>{page[-1]}</NextKeyMarker><NextUploadIdMarker>id-{page[-1]}</NextUploadIdMarker>"
            self.answer(
                200,
                f"<ListMultipartUploadsResult><IsTruncated>{str(more).lower()}</IsTruncated>"
                f"{last if more else ''}{items}</ListMultipartUploadsResult>",
            )

        def do_DELETE(self):
            aborted.append(urlsplit(self.path).path.removeprefix("/bucket/"))
            self.answer(204)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        config = tmp_path / "t.json"
        s3 = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "access_key_id": "a", "secret_access_key": "b"}
        config.write_text(json.dumps({"destination": "s3://bucket/lake", "s3": s3}))
        # It lists no tables.
        run(TARGET, "maintain", "--config", config).refused()
    finally:
        server.shutdown()
        server.server_close()
    assert sorted(aborted) == open_uploads
