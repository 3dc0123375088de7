"""Runs the built programs the way a user does, and the servers that they talk to."""

from __future__ import annotations

import array
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import boto3
import requests

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import MultipartUploadTypeDef

ROOT = Path(__file__).resolve().parent.parent
BINARIES = Path(os.environ.get("BINARIES", ROOT / "target" / "debug"))
TAP = str(BINARIES / "tap-wistia")
TARGET = str(BINARIES / "target-s3-parquet")
TOKEN = "simulated-token"
DEADLINE = 120
"""Seconds after which a program hangs."""

Json = dict[str, Any]
"""An object as `json` reads it: a message, settings, a row."""

ANSI = re.compile(r"\x1b\[[0-9;]*m")
JSON_LOG = ("--log-format", "json")
"""Has a program write a log in which the summary of its run is an object."""


def today() -> date:
    return datetime.now(UTC).date()


def first_day(table: str = "") -> date:
    """The first day of a sync without `start_date`."""
    # What is measured is answered for two years at most, of which today is a day.
    return today() - timedelta(days=729 if table == "fact_media_timeseries" else 730)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment: no setting of the machine reaches the programs under test."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", **(extra or {})}


@dataclass
class Run:
    """What a program did."""

    code: int
    out: str
    err: str

    @property
    def messages(self) -> list[Json]:
        return [json.loads(line) for line in self.out.splitlines()]

    def of_type(self, kind: str, stream: str | None = None) -> list[Json]:
        return [m for m in self.messages if m["type"] == kind and stream in (None, m.get("stream"))]

    @property
    def summary(self) -> Json:
        """The summary at the end of a log of JSON."""
        for line in reversed(self.err.splitlines()):
            if '"summary":{' in line:
                found: Json = json.loads(line)["fields"]["summary"]
                return found
        raise AssertionError(f"no summary in the log:\n{self.err}")

    def succeeded(self) -> Self:
        assert self.code == 0, f"exit code {self.code}\n{self.err[-4000:]}"
        return self

    def refused(self, *words: str, code: int = 1) -> Self:
        """Failed with one clear message, that has these words in it and no secret."""
        assert self.code == code, f"exit code {self.code}\n{self.err[-4000:]}"
        problems = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(problems) == 1, f"not one error line\n{self.err[-4000:]}"
        # The sentence, its cause and its remedy.
        text = self.err[self.err.index("error: ") :]
        for word in words:
            assert word in text, f"{word!r} is not in\n{text}"
        assert "panicked" not in self.err
        assert TOKEN not in self.out + self.err
        return self


def waiting_in(pipe: IO[bytes]) -> int:
    """Bytes that were written to a pipe and that nobody has read yet."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def until(condition: Callable[[], object], process: subprocess.Popen[Any] | None = None) -> None:
    """Waits for another program, and no longer than it lives."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it never comes"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        requests.get(url, timeout=1)
    except requests.RequestException:
        return False
    return True


def until_logged(process: subprocess.Popen[str], words: str) -> None:
    """Waits until a program has said this in its log, and with that done all that stood before it in its input."""
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} is not in\n{''.join(said)}")


def kill_after(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Kills a program. Whether that was its end: it may have come to its own before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait(DEADLINE) == -signal.SIGKILL


def run(
    *command: object,
    stdin: str | bytes = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = DEADLINE,
) -> Run:
    """Runs a program to its end."""
    data = stdin if isinstance(stdin, bytes) else stdin.encode()
    done = subprocess.run(
        [str(word) for word in command], input=data, capture_output=True, timeout=timeout, cwd=cwd, env=environment(env)
    )
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


def lines(*messages: Json) -> str:
    """Messages as a tap writes them."""
    return "".join(json.dumps(message) + "\n" for message in messages)


ORDERS: Json = {
    "type": "SCHEMA",
    "stream": "orders",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "v": {"type": "string"}}},
}
"""The schema of a small stream."""


def orders(*rows: tuple[int, str]) -> str:
    """Its messages, with a state behind these rows."""
    records = [{"type": "RECORD", "stream": "orders", "record": {"id": number, "v": v}} for number, v in rows]
    return lines(ORDERS, *records, {"type": "STATE", "value": {"at": len(records)}})


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server:
    """A server process that ends with its test."""

    def __init__(
        self,
        command: Iterable[object],
        variables: Mapping[str, str] | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        words = [str(word) for word in command]
        self.process = subprocess.Popen(words, env=environment(variables), stdout=stdout, stderr=stderr)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


class Simulator(Server):
    """A simulated Wistia account."""

    def __init__(self, **options: object) -> None:
        options = {"requests_per_minute": 1_000_000, **options}
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        super().__init__([BINARIES / "wistia-simulator", *flags], stdout=subprocess.PIPE)
        assert self.process.stdout
        where = json.loads(self.process.stdout.readline())
        self.url, self.steer = where["url"], where["control"]

    def truth(
        self, table: str, start: date | str | None = None, end: date | str | None = None, deleted: bool = False
    ) -> list[Json]:
        """The rows that a lake with these days must hold, with those of medias that were deleted since or
        without."""
        start, end = start or first_day(table), end or today()
        days = {"start_date": str(start), "end_date": str(end), "sync_date": str(today())}
        if deleted:
            days["deleted"] = "kept"
        answer = requests.get(f"{self.steer}/truth/{table}", params=days, timeout=DEADLINE)
        answer.raise_for_status()
        return [json.loads(line) for line in answer.text.splitlines()]

    def tell(self, what: str, **body: object) -> None:
        requests.post(f"{self.steer}/{what}", json=body, timeout=DEADLINE).raise_for_status()

    def grow(self, **growth: int) -> None:
        self.tell("grow", **growth)

    def delete(self, media: str) -> None:
        """A person in the account deletes a media, by its hashed id."""
        self.tell("delete", media=media)

    def fault(self, **fault: object) -> None:
        self.tell("faults", **fault)

    def heal(self) -> None:
        requests.delete(f"{self.steer}/faults", timeout=DEADLINE).raise_for_status()

    def requests(self) -> list[Json]:
        """The requests since they were last forgotten."""
        asked: list[Json] = requests.get(f"{self.steer}/requests", timeout=DEADLINE).json()
        return asked

    def forget(self) -> None:
        requests.delete(f"{self.steer}/requests", timeout=DEADLINE).raise_for_status()

    def settings(self, **more: object) -> Json:
        """The tap's settings for this account."""
        return {"api_token": TOKEN, "api_url": self.url, "requests_per_minute": 1_000_000, **more}


class S3(Server):
    """An AWS with S3 and Glue."""

    PROGRAM = "aws_server.py"

    def __init__(self) -> None:
        port = free_port()
        self.start(port, [sys.executable, ROOT / "tests" / self.PROGRAM, "-p", port], "/moto-api/")
        self.glue: GlueClient = self.service("glue")

    def start(self, port: int, command: Iterable[object], health: str, **variables: str) -> None:
        """Starts a server and waits until it answers."""
        Server.__init__(self, command, variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        self.services: dict[str, Any] = {}
        until(lambda: answers(self.url + health), self.process)
        self.client: S3Client = self.service("s3")

    def service(self, name: str) -> Any:
        """The client of a service."""
        if name not in self.services:
            # Its type is known for names that stand in the program, and this one does not.
            connect: Callable[..., Any] = boto3.client
            self.services[name] = connect(
                name,
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self.services[name]

    def steer(self, what: str, **body: object) -> None:
        """Tells the server what to do next, as it describes itself."""
        requests.post(f"{self.url}/_control/{what}", json=body, timeout=DEADLINE).raise_for_status()

    def heal(self, what: str = "faults") -> None:
        requests.delete(f"{self.url}/_control/{what}", timeout=DEADLINE).raise_for_status()

    def forget(self) -> None:
        self.heal("requests")

    def asked(self, prefix: str = "") -> list[str]:
        """What was asked since it was last forgotten."""
        return [request["action"] for request in self.requests() if request["action"].startswith(prefix)]

    def requests(self) -> list[Json]:
        """The requests since they were last forgotten, with their headers."""
        asked: list[Json] = requests.get(f"{self.url}/_control/requests", timeout=DEADLINE).json()
        return asked

    def bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return name

    def settings(self, destination: str, **more: Any) -> Json:
        """The target's settings for a lake on this server."""
        s3 = {
            "endpoint_url": self.url,
            "force_path_style": True,
            "region": "us-east-1",
            "access_key_id": "test",
            "secret_access_key": "test",
        }
        return {"destination": destination, "s3": {**s3, **more.pop("s3", {})}, **more}

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def uploads(self, bucket: str) -> list[MultipartUploadTypeDef]:
        """Multipart uploads that nobody completed or aborted."""
        return self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])

    def download(self, bucket: str, folder: Path, prefix: str = "") -> Path:
        """Copies a lake into a folder, to be read like any other."""
        for key in self.keys(bucket, prefix):
            path = Path(folder) / key
            path.parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(bucket, key, str(path))
        return Path(folder) / prefix


class LocalStack(S3):
    """Another S3: its conditions hold between writers at one instant, and it checks checksums."""

    def __init__(self) -> None:
        port = free_port()
        variables = {
            "SERVICES": "s3",
            "EAGER_SERVICE_LOADING": "1",
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "DISABLE_EVENTS": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DNS_ADDRESS": "0",
        }
        self.folder = tempfile.TemporaryDirectory()
        python = ROOT / ".venv-localstack" / "bin" / "python"
        command = [python, "-m", "localstack.runtime.main"]
        self.start(port, command, "/_localstack/health", HOME=self.folder.name, TMPDIR=self.folder.name, **variables)

    def stop(self) -> None:
        super().stop()
        self.folder.cleanup()


class Proxy(Server):
    """An S3 server behind a proxy that fails on demand, and judges conditions as other servers do."""

    def __init__(self, s3: S3) -> None:
        port = free_port()
        super().__init__([sys.executable, ROOT / "tests" / "fault_proxy.py", s3.url.rsplit(":", 1)[1], port])
        self.s3, self.url = s3, f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{self.url}/-/faults"), self.process)

    def steer(self, verb: str, **plan: object) -> dict[str, int]:
        answer = requests.request(verb, f"{self.url}/-/faults", json=plan, timeout=DEADLINE)
        answer.raise_for_status()
        done: dict[str, int] = answer.json()
        return done

    def done(self) -> dict[str, int]:
        return self.steer("GET")

    def judge(self, **manners: str) -> None:
        """Judges conditions in these manners from here on."""
        requests.put(f"{self.url}/-/manners", json=manners, timeout=DEADLINE).raise_for_status()

    def settings(self, destination: str, **more: Any) -> Json:
        s3 = {"endpoint_url": self.url, "request_timeout_seconds": 2, **more.pop("s3", {})}
        return self.s3.settings(destination, s3=s3, **more)


PARTITIONS = {
    "fact_events": {"partition_by": {"column": "received_at", "granularity": "month"}, "move_keys": False},
    "fact_engagements": {"partition_by": {"column": "date", "granularity": "month"}},
    "fact_engagements_byday": {"partition_by": {"column": "date", "granularity": "month"}},
    "fact_media_actions": {"partition_by": {"column": "date", "granularity": "month"}},
}
"""The partitions of the examples."""


@dataclass
class Pipe:
    """The main job: tap and target, and the state between the runs."""

    folder: Path
    tap: Json
    target: Json
    catalog: Json | None = None
    runs: list[tuple[Run, Run]] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def lake(self) -> Path:
        return Path(self.target["destination"])

    def write(self, name: str, document: Json) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(document))
        return path

    def tap_command(self) -> list[str]:
        command: list[str | Path] = [TAP, "--config", self.write("tap.json", self.tap)]
        if self.catalog:
            command += ["--catalog", self.write("catalog.json", self.catalog)]
        if self.state.exists():
            command += ["--state", self.state]
        return [str(word) for word in command]

    def target_command(self) -> list[str]:
        config = self.write("target.json", self.target)
        return [TARGET, "--config", str(config), "--state-out", str(self.state)]

    def sync(self) -> tuple[Run, Run]:
        """One sync; both programs must succeed."""
        tap = run(*self.tap_command(), *JSON_LOG).succeeded()
        target = run(*self.target_command(), *JSON_LOG, stdin=tap.out).succeeded()
        self.runs.append((tap, target))
        return tap, target

    def kill_target_after(self, seconds: float) -> bool:
        """One sync whose target is killed then. Whether that was its end."""
        tap, target = self.start()
        killed = kill_after(target, seconds)
        tap.wait(DEADLINE)
        return killed

    def start(self) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        """The two processes, joined by a pipe."""
        tap = subprocess.Popen(self.tap_command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
        assert tap.stdout
        target = subprocess.Popen(
            self.target_command(),
            stdin=tap.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        tap.stdout.close()
        return tap, target
