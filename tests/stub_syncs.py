"""Syncs against the stub, and what is looked at in them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from harness import TAP, TOKEN, Json, environment, run, today
from wistia_stub import Stub

TIMEOUT = 30
"""Seconds after which a sync hangs."""


class Anything:
    """Equal to whatever stands there."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "…"


ANYTHING: Any = Anything()


@dataclass
class Sync:
    """What a sync did."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float
    """Of memory, at the most."""

    @cached_property
    def messages(self) -> list[Json]:
        return [json.loads(line) for line in self.out.splitlines()]

    @cached_property
    def rows(self) -> dict[str, dict[str, Json]]:
        """The rows of each stream, by their key."""
        keys: dict[str, list[str]] = {}
        rows: dict[str, dict[str, Json]] = {}
        for message in self.messages:
            if message["type"] == "SCHEMA":
                keys[message["stream"]] = message["key_properties"]
                rows.setdefault(message["stream"], {})
            elif message["type"] == "RECORD":
                record = message["record"]
                rows[message["stream"]]["|".join(str(record[name]) for name in keys[message["stream"]])] = record
        return rows

    @cached_property
    def state(self) -> Json:
        """The last state; an empty one where there is none."""
        states = [message["value"] for message in self.messages if message["type"] == "STATE"]
        last: Json = states[-1] if states else {"bookmarks": {}}
        return last

    @cached_property
    def entries(self) -> list[Json]:
        """The log."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    @cached_property
    def log(self) -> str:
        """The log as a person reads it, without metrics, and the error at its end."""
        return "\n".join(readable(line) for line in self.err.splitlines() if '"METRIC: ' not in line)

    @property
    def summary(self) -> Json:
        for entry in reversed(self.entries):
            if "summary" in entry["fields"]:
                summary: Any = entry["fields"].get("summary", entry.get("summary"))
                # A log's fields are texts, unless it knows better.
                found: Json = json.loads(summary) if isinstance(summary, str) else summary
                return found
        raise AssertionError(f"no summary in\n{self.err}")


def readable(line: str) -> str:
    if not line.startswith("{"):
        return line
    entry = json.loads(line)
    fields = entry.pop("fields")
    rest = " ".join(f"{name}={value}" for name, value in fields.items() if name != "message")
    return f"{entry.get('level')} {fields.get('message')} {rest}"


@cache
def discovered() -> str:
    """All that the tap has, as it says itself."""
    return run(TAP, "--discover").succeeded().out


def catalog(streams: Iterable[str] | None) -> Json:
    """A catalog in which these are selected, or all."""
    document: Json = json.loads(discovered())
    for stream in document["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = streams is None or stream["stream"] in streams
    return document


def sync(
    stub: Stub, folder: Path, streams: Iterable[str] | None = None, state: Json | None = None, **settings: object
) -> Sync:
    """A sync of some streams, or of all, over the last ten days."""
    config = {
        "api_token": TOKEN,
        "api_url": stub.url,
        "requests_per_minute": 1_000_000,
        "retry_for_seconds": 0,
        "request_timeout_seconds": 5,
        "start_date": str(days_ago(9)),
        **settings,
    }
    command = [TAP, "--log-format", "json"]
    documents = {"config": config, "catalog": catalog(streams), "state": state}
    for name, document in documents.items():
        if document is not None:
            (folder / f"{name}.json").write_text(json.dumps(document))
            command += [f"--{name}", str(folder / f"{name}.json")]
    started = time.monotonic()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment())
        memory = Memory(process.pid)
        try:
            code = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            peak = memory.peak()
    seconds = time.monotonic() - started
    said, logged = ((folder / name).read_bytes().decode() for name in ("out", "err"))
    return Sync(code, said, logged, seconds, peak)


class Memory:
    """Watches how much memory a process has taken at the most."""

    def __init__(self, process: int) -> None:
        self.status = Path(f"/proc/{process}/status")
        self.kilobytes = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self) -> None:
        # The kernel keeps the peak; only what is taken in the last moments goes unseen.
        while not self.ended.wait(0.01):
            try:
                status = dict(line.split(":", 1) for line in self.status.read_text().splitlines())
            except OSError:
                return
            # Before it is the program, a new process is still a copy of this one.
            if status["Name"].strip() == "tap-wistia" and "VmHWM" in status:
                self.kilobytes = max(self.kilobytes, int(status["VmHWM"].split()[0]))

    def peak(self) -> float:
        """In megabytes. The process has ended."""
        self.ended.set()
        self.thread.join()
        return self.kilobytes / 1000


def days_ago(days: int) -> date:
    return today() - timedelta(days)


def differences(stream: str, expected: Mapping[str, Json], found: Mapping[str, Json]) -> Iterator[str]:
    """The first things that a stream has not, or has and should not have."""
    for what, keys in (("lacks", expected.keys() - found.keys()), ("should not have", found.keys() - expected.keys())):
        if keys:
            yield f"{stream} {what} {', '.join(sorted(keys)[:3])}: {len(keys)} in all"
    for key, row in expected.items():
        # Whatever is expected decides what equals it.
        if key in found and row != found[key]:
            yield f"{stream} has for {key} {found[key]} and not {row}"
            return
