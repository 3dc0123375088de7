"""A proxy in front of an S3 server that fails like the real one: `fault_proxy.py UPSTREAM_PORT PORT`.

`PUT /-/faults` with `{"rate", "seed", "kinds"}` lets a share of all requests fail at random;
`POST /-/faults` with `{"kind", "method", "path", "skip", "count"}` lets the next ones fail that fit, after some
that pass. `GET /-/faults` counts what was done. The Host header stays, so that signatures stay valid.

`PUT /-/manners` with `{"whole", "in_parts", "path"}` has it judge the conditions of writes as other servers do that
speak the protocol of S3, for objects written by one request and for the ends of multipart uploads; see MANNERS.
"""

import asyncio
import json
import random
import re
import sys
from asyncio import StreamReader, StreamWriter
from collections import Counter
from typing import Any

STALL_SECONDS = 300
"""Longer than any client waits."""

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{0}</Code><Message>{1}</Message></Error>'
SLOW_DOWN = ERROR.format("SlowDown", "Please reduce your request rate.")
INTERNAL = ERROR.format("InternalError", "We encountered an internal error. Please try again.")
EXPIRED = ERROR.format("ExpiredToken", "The provided token has expired.")
DENIED = ERROR.format("AccessDenied", "Access Denied")

KINDS = ["slow_down", "internal", "reset_before", "reset_after", "truncate", "stall", "embedded"]
"""All but those that last: `expired`, `denied`."""


MANNERS = ["judges", "ignores", "compares_unquoted", "does_not_know"]
"""As S3; not at all (s3rver, fauxqs); with the ETag without its quotes, so that If-Match never holds as S3 gives it
(Ceph RGW 16); with 501, also for reads."""

CONDITIONS = rb"(?i)\r\n(if-match|if-none-match): *([^\r]*)"
FAILED = ERROR.format("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
NOT_IMPLEMENTED = ERROR.format("NotImplemented", "A header you provided implies functionality that is not implemented")


def answer(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


class Faults:
    """Which requests fail, and how."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.rate, self.kinds, self.chance = 0.0, KINDS, random.Random(0)
        self.rules: list[dict[str, Any]] = []
        self.done: Counter[str] = Counter()

    def steer(self, method: str, body: bytes) -> bytes:
        if method == "PUT":
            plan = json.loads(body)
            self.rate, self.kinds, self.chance = (
                plan["rate"],
                plan.get("kinds", KINDS),
                random.Random(plan.get("seed", 0)),
            )
        elif method == "POST":
            self.rules.append({"count": 1, "skip": 0, "method": "", "path": "", **json.loads(body)})
        elif method == "DELETE":
            self.reset()
        return answer("200 OK", json.dumps(self.done))

    def pick(self, method: str, path: str) -> str | None:
        for rule in self.rules:
            if rule["count"] and method.startswith(rule["method"]) and re.search(rule["path"], path):
                if rule["skip"]:
                    rule["skip"] -= 1
                    continue
                rule["count"] -= 1
                return self.note(str(rule["kind"]))
        if self.chance.random() < self.rate:
            kind = self.chance.choice(self.kinds)
            # Only a completion answers 200 before it knows how it ends.
            if kind == "embedded" and not (method == "POST" and "uploadId" in path):
                kind = "internal"
            return self.note(kind)
        return None

    def note(self, kind: str) -> str:
        self.done[kind] += 1
        return kind


class Manners:
    """How conditions are judged."""

    def __init__(self) -> None:
        self.whole = self.in_parts = "judges"
        self.path = ""

    def steer(self, body: bytes) -> bytes:
        plan = json.loads(body)
        self.whole, self.in_parts = plan.get("whole", "judges"), plan.get("in_parts", "judges")
        self.path = plan.get("path", "")
        return answer("200 OK", "{}")

    def judge(self, method: str, path: str, head: bytes) -> tuple[bytes, bytes | None]:
        """The head of a request as the server behind is to see it, or what is answered in its place."""
        manner = self.in_parts if method == "POST" and "uploadId" in path else self.whole
        conditions = dict(re.findall(CONDITIONS, head))
        if not conditions or not re.search(self.path, path):
            return head, None
        if manner == "does_not_know":
            return head, answer("501 Not Implemented", NOT_IMPLEMENTED)
        if manner == "judges" or method in ("GET", "HEAD"):
            return head, None
        if manner == "ignores":
            return re.sub(CONDITIONS, b"", head), None
        version = {name.lower(): value for name, value in conditions.items()}.get(b"if-match")
        if version is None:
            return head, None
        if version.startswith(b'"'):
            return head, answer("412 Precondition Failed", FAILED)
        return head.replace(version, b'"' + version + b'"'), None


async def read_request(reader: StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = head.decode("latin-1").lower()
    body = b""
    if "\r\ntransfer-encoding: chunked" in fields:
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            body += line + await reader.readexactly(size + 2)
            if size == 0:
                break
    elif length := re.search(r"\r\ncontent-length: (\d+)", fields):
        body = await reader.readexactly(int(length[1]))
    return head, body


async def forward(port: int, head: bytes, body: bytes) -> bytes:
    """The whole answer of the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = re.sub(rb"(?i)\r\n(connection|expect): [^\r]*", b"", head)
    writer.write(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + body)
    await writer.drain()
    whole = await reader.read(-1)
    writer.close()
    return re.sub(rb"(?i)\r\nconnection: close", b"", whole, count=1)


async def serve(faults: Faults, manners: Manners, upstream: int, reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while True:
            head, body = await read_request(reader)
            method, path, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
            if path == "/-/faults":
                writer.write(faults.steer(method, body))
                await writer.drain()
                continue
            if path == "/-/manners":
                writer.write(manners.steer(body))
                await writer.drain()
                continue
            kind = faults.pick(method, path)
            if kind == "reset_before":
                return writer.transport.abort()
            if kind == "stall":
                return await asyncio.sleep(STALL_SECONDS)
            refusals = {
                "slow_down": ("503 Slow Down", SLOW_DOWN),
                "internal": ("500 Internal Server Error", INTERNAL),
                "expired": ("400 Bad Request", EXPIRED),
                "denied": ("403 Forbidden", DENIED),
                # The answer begins as if all were well, and then tells otherwise.
                "embedded": ("200 OK", INTERNAL),
            }
            if kind in refusals:
                status, text = refusals[kind]
                writer.write(answer(status, "" if method == "HEAD" else text))
            else:
                head, refusal = manners.judge(method, path, head)
                whole = refusal or await forward(upstream, head, body)
                if kind == "reset_after":
                    return writer.transport.abort()
                if kind == "truncate":
                    writer.write(whole[: len(whole) * 2 // 3])
                    await writer.drain()
                    return writer.close()
                writer.write(whole)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(upstream: int, port: int) -> None:
    faults, manners = Faults(), Manners()
    server = await asyncio.start_server(
        lambda *pair: serve(faults, manners, upstream, *pair), "127.0.0.1", port, limit=1 << 20
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
