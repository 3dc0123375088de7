"""What no API should answer: the tap ends in one clear sentence, soon, in little memory, and tells no secret."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness import TAP, TOKEN, Run, run

MIB = 1024 * 1024
MOST_MEMORY_KB = 128 * 1000

Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int = 200, body: bytes = b"[]", **headers: str) -> Answer:
    """An answer whole."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


class Foreign:
    """A server that is none of ours, and what it was asked."""

    def __init__(self, respond: Callable[[str], Answer]) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked.append(self.path)
                try:
                    respond(self.path)(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def foreign() -> Iterator[Callable[[Callable[[str], Answer]], Foreign]]:
    """Starts servers."""
    started: list[Foreign] = []

    def start(respond: Callable[[str], Answer]) -> Foreign:
        started.append(Foreign(respond))
        return started[-1]

    yield start
    for server in started:
        server.server.shutdown()
        server.server.server_close()


MEASURED = """
import os, resource, sys
code = os.spawnv(os.P_WAIT, sys.argv[2], sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""Runs a program, and writes down the most kilobytes that it had in memory. Until it replaces it, a program has
the memory of what starts it, and this one has little."""


class Tap:
    """The tap against such a server."""

    def __init__(
        self, folder: Path, server: Foreign | str, *streams: str, flags: tuple[str, ...] = (), **settings: object
    ) -> None:
        self.memory = folder / "memory"
        self.command = [TAP, "--config", str(folder / "tap.json"), *flags]
        url = server if isinstance(server, str) else server.url
        config = {"api_token": TOKEN, "api_url": url, "requests_per_minute": 1_000_000, **settings}
        (folder / "tap.json").write_text(json.dumps(config))
        if streams:
            entries = [{"tap_stream_id": name, "stream": name, "schema": {}, "selected": True} for name in streams]
            (folder / "catalog.json").write_text(json.dumps({"streams": entries}))
            self.command += ["--catalog", str(folder / "catalog.json")]

    def run(self) -> tuple[Run, float, int]:
        """What it did, its seconds, and the most kilobytes that it had in memory."""
        began = time.monotonic()
        done = run(sys.executable, "-S", "-c", MEASURED, self.memory, *self.command)
        return done, time.monotonic() - began, int(self.memory.read_text())


def failed(done: Run, *words: str) -> None:
    """It failed with these words, however the sentences are cut, and without the token."""
    assert done.code == 1, f"exit code {done.code}\n{done.err[-4000:]}"
    for word in words:
        assert word in done.err, f"{word!r} is not in\n{done.err[-4000:]}"
    assert "panicked" not in done.err and TOKEN not in done.out + done.err


def bomb() -> bytes:
    """Two gigabytes of blanks, in two megabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blank = b" " * (16 * MIB)
    packed = b"".join(packer.compress(blank) for _ in range(128)) + packer.flush()
    assert len(packed) < 3 * MIB
    return packed


def page_of(size: int) -> bytes:
    rows = [{"id": number, "hashed_id": f"m{number}", "name": "x" * (size // 100)} for number in range(100)]
    return json.dumps(rows).encode()


@pytest.fixture(scope="module")
def packed() -> bytes:
    return bomb()


def test_a_gzip_bomb_ends_its_request(foreign, tmp_path, packed):
    server = foreign(lambda _: answer(body=packed, Content_Encoding="gzip"))
    done, _, memory = Tap(tmp_path, server, "dim_projects", "dim_channels").run()
    failed(done, "/projects", "more than 64 MiB", "127.0.0.1")
    assert memory < MOST_MEMORY_KB
    assert sum(path.startswith("/v1/projects") for path in server.asked) == 1, "it is not asked for again"


def test_bombs_for_many_requests_at_once_do_not_add_up(foreign, tmp_path, packed):
    medias = json.dumps([{"id": number, "hashed_id": f"m{number}"} for number in range(1, 25)]).encode()

    def respond(path: str) -> Answer:
        if path.startswith("/v1/medias"):
            return answer(body=medias)
        return answer(body=packed, Content_Encoding="gzip")

    done, _, memory = Tap(tmp_path, foreign(respond), "fact_engagements", concurrency=8).run()
    failed(done, "more than 64 MiB")
    assert memory < MOST_MEMORY_KB


def test_a_page_of_99_mb_ends_its_request(foreign, tmp_path):
    page = page_of(99_000_000)
    done, _, memory = Tap(tmp_path, foreign(lambda _: answer(body=page)), "dim_projects").run()
    failed(done, "more than 64 MiB")
    assert memory < MOST_MEMORY_KB


def test_a_page_of_20_mb_is_read(foreign, tmp_path):
    def respond(path: str) -> Answer:
        return answer(body=page_of(20_000_000) if path.endswith("&page=1") else b"[]")

    done, _, memory = Tap(tmp_path, foreign(respond), "dim_projects").run()
    assert len(done.succeeded().of_type("RECORD")) == 100
    assert memory < MOST_MEMORY_KB


@pytest.mark.parametrize(
    "page",
    [
        b"[" + b"{}," * 15_000_000 + b"{}]",
        b"[" + b"null," * 12_000_000 + b"null]",
        b'[{"id":1,"hashed_id":"a","tags":[' + b'"",' * 15_000_000 + b'""]}]',
        b'[{"id":1,"hashed_id":"a","name":"' + b"x" * 60_000_000 + b'"}]',
        page_of(60_000_000),
    ],
    ids=["rows", "nulls", "tags", "a text", "texts"],
)
def test_what_would_be_larger_in_memory_ends_its_request(foreign, tmp_path, page):
    done, _, memory = Tap(tmp_path, foreign(lambda _: answer(body=page)), "dim_media").run()
    failed(done, "/medias", "more than")
    assert memory < MOST_MEMORY_KB


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("asked", ["9223372036854775807", "1000000000", "3600", "99999999999999999999999", "3600.5"])
def test_nobody_waits_longer_than_the_settings_allow(foreign, tmp_path, status, asked):
    server = foreign(lambda _: answer(status, b"busy", Retry_After=asked))
    done, seconds, _ = Tap(tmp_path, server, "dim_projects", retry_for_seconds=2).run()
    failed(done, f"answered {status}: text, 4 bytes", "asks to wait", "`retry_for_seconds` (2)")
    assert seconds < 2 and len(server.asked) == 1


@pytest.mark.parametrize("asked", ["-1", "soon", "NaN", "1e99", "Wed, 99 Nov 2026 00:00:00 GMT", ""])
def test_what_is_no_time_leaves_the_wait_to_the_tap(foreign, tmp_path, asked):
    answers = [answer(503, b"busy", Retry_After=asked)]
    server = foreign(lambda _: answers.pop() if answers else answer())
    Tap(tmp_path, server, "dim_projects", retry_for_seconds=20).run()[0].succeeded()


ECHOES: dict[str, tuple[int, bytes]] = {
    "a text": (401, f"Bearer {TOKEN}".encode()),
    "JSON": (422, json.dumps({"errors": [{"field": TOKEN, "message": f"{TOKEN} is wrong"}]}).encode()),
    "escaped JSON": (400, f'{{"error":"\\u0073{TOKEN[1:]}"}}'.encode()),
    "a web page": (403, f"<html><title>{TOKEN}</title>".encode()),
    "no JSON": (200, TOKEN.encode()),
    "a value": (200, json.dumps([{"id": TOKEN}]).encode()),
    "a nameless error": (500, json.dumps({"request": {"authorization": f"Bearer {TOKEN}"}}).encode()),
}


@pytest.mark.parametrize(("status", "body"), ECHOES.values(), ids=ECHOES.keys())
def test_the_token_is_never_shown(foreign, tmp_path, status, body):
    server = foreign(lambda _: answer(status, body))
    done, _, _ = Tap(tmp_path, server, "dim_projects", retry_for_seconds=0).run()
    failed(done, "/projects")


def test_control_characters_do_not_reach_the_terminal(foreign, tmp_path):
    body = json.dumps({"error": "\x1b[2J\x07 \u202egood\u0000\r\nerror: made up"}).encode()
    done, _, _ = Tap(tmp_path, foreign(lambda _: answer(422, body)), "dim_projects").run()
    failed(done, r"\u{1b}[2J", r"\u{202e}good")
    assert not set(done.err) & set("\x07\u202e\0\r")
    assert not [line for line in done.err.splitlines() if line.startswith("error: made up")]


def test_a_redirection_is_not_followed_and_says_where_it_points(foreign, tmp_path):
    other = foreign(lambda _: answer())
    server = foreign(lambda _: answer(302, b"", Location=f"{other.url}/login?token={TOKEN}"))
    done, _, _ = Tap(tmp_path, server, "dim_projects").run()
    failed(done, "answered 302", f"{other.url}/login", "api_url")
    assert other.asked == []


def test_a_404_of_everything_hints_at_the_url(foreign, tmp_path):
    server = foreign(lambda _: answer(404, b'{"error":"No such page."}'))
    done, _, _ = Tap(tmp_path, server, "dim_projects").run()
    failed(done, "GET /projects", "answered 404: No such page.", "127.0.0.1", "it must end in /v1")


def test_a_check_of_a_silent_host_ends_within_ten_seconds(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        done, seconds, _ = Tap(tmp_path, url, flags=("--test",)).run()
    failed(done, "error: 127.0.0.1:", "does not answer", "no answer within", "check the network")
    assert seconds < 10 and "state" not in done.err


def test_a_check_names_what_each_stream_is_missing(foreign, tmp_path):
    def respond(path: str) -> Answer:
        if path.startswith("/v1/medias"):
            return answer(body=b'[{"id":1,"hashed_id":"a"}]')
        if path.startswith("/modern"):
            return answer(403, b'{"error":"Not allowed."}')
        return answer(404) if path.startswith("/v1/projects") else answer()

    names = ("dim_media", "dim_projects", "fact_media_timeseries", "fact_events")
    done, _, _ = Tap(tmp_path, foreign(respond), *names, flags=("--test",)).run()
    failed(done, "2 of 4 streams may not be read", "Read detailed stats", "dim_projects (answered 404)")
    assert "not synced" not in done.err and "Read all data" not in done.err and 'field=""' not in done.err
