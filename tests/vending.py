"""A REST catalog that says where its tables lie and hands out credentials for them, and an S3 that takes no others.

The catalog is Iceberg's own (`iceberg_rest.py`), with what it hands out put into its answers; the S3 is moto's, behind
a gate that checks each signature by botocore, whose token is still good, and whether it is for that place."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from harness import DEADLINE, S3, Json
from iceberg_rest import RestCatalog

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{0}</Code><Message>{1}</Message></Error>'


class Forwarding(BaseHTTPRequestHandler):
    """Passes requests on, once they were looked at."""

    protocol_version = "HTTP/1.1"
    # Heads and bodies are written apart, and the kernel would wait for more of each.
    disable_nagle_algorithm = True
    wbufsize = -1

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self.pass_on
        raise AttributeError(name)

    def pass_on(self) -> None:
        server = self.server
        assert isinstance(server, Front)
        body = self.whole_body()
        refusal = server.refusal(self, body)
        if refusal:
            status, headers, answer = refusal
        else:
            upstream = http.client.HTTPConnection("127.0.0.1", server.upstream, timeout=DEADLINE)
            asked = {name: value for name, value in self.headers.items() if name.lower() not in OF_THIS_HOP}
            body = server.asked(self, body)
            upstream.request(self.command, self.path, body, {**asked, "content-length": str(len(body))})
            got = upstream.getresponse()
            status, answer = got.status, server.told(self, got.status, got.read())
            headers = {name: value for name, value in got.getheaders() if name.lower() not in HOP_BY_HOP}
            if self.command == "HEAD":
                headers["content-length"] = got.getheader("content-length") or "0"
            upstream.close()
        self.send_response(status)
        # No connection outlives its server, whose port the next one may get.
        self.send_header("connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in headers}:
            self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else answer)

    def whole_body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, format: str, *words: object) -> None:
        pass


HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "date", "server"}
OF_THIS_HOP = {"connection", "content-length", "transfer-encoding", "expect"}

Refusal = tuple[int, dict[str, str], bytes]


class Front(ThreadingHTTPServer):
    """A server before another."""

    daemon_threads = True

    def __init__(self, upstream: int) -> None:
        super().__init__(("127.0.0.1", 0), Forwarding)
        self.upstream = upstream
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def refusal(self, request: Forwarding, body: bytes) -> Refusal | None:
        """What is answered instead; nothing where the other server is asked."""
        return None

    def asked(self, request: Forwarding, body: bytes) -> bytes:
        """What it is asked."""
        return body

    def told(self, request: Forwarding, status: int, answer: bytes) -> bytes:
        """What is made of its answer."""
        return answer

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


@dataclass
class Loan:
    """Credentials that were handed out."""

    key: str
    secret: str
    token: str
    place: str
    """Bucket and prefix."""
    until: float
    used: int = 0


class Signature(S3SigV4Auth):
    """A signature over the headers that the client has chosen."""

    def __init__(self, loan: Loan, scope: list[str], names: list[str]) -> None:
        super().__init__(Credentials(loan.key, loan.secret, loan.token), scope[3], scope[2])
        self.names = names

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        chosen = HTTPHeaders()
        for name in self.names:
            chosen[name] = request.headers[name]
        return chosen


class Gate(Front):
    """An S3 that takes the credentials that were handed out, for the places that they are for."""

    def __init__(self, s3: S3) -> None:
        self.loans: dict[str, Loan] = {}
        self.refused: list[str] = []
        self.uses: int | None = None
        self.lists = True
        """Whether the places may be listed."""
        self.written: list[str] = []
        super().__init__(int(s3.url.rsplit(":", 1)[1]))

    def lend(self, place: str, seconds: float) -> Loan:
        name = uuid.uuid4().hex
        loan = Loan(f"AKIA{name[:12]}", f"secret-{name}", f"token-{name}", place, time.time() + seconds)
        self.loans[loan.key] = loan
        return loan

    def refuse_after(self, uses: int | None) -> None:
        """From now on each loan is over after so many uses, whatever was said of its time."""
        self.uses = uses
        for loan in self.loans.values():
            loan.used = 0

    def refusal(self, request: Forwarding, body: bytes) -> Refusal | None:
        fault = self.fault(request)
        if not fault:
            if request.command in ("PUT", "POST"):
                self.written.append(unquote(urlsplit(request.path).path))
            return None
        status, code, message = fault
        self.refused.append(code)
        headers = {"content-type": "application/xml"}
        return status, headers, b"" if request.command == "HEAD" else ERROR.format(code, message).encode()

    def fault(self, request: Forwarding) -> tuple[int, str, str] | None:
        given = request.headers.get("authorization", "")
        if not given.startswith("AWS4-HMAC-SHA256 "):
            return 403, "AccessDenied", "nobody asks"
        parts = dict(part.strip().split("=", 1) for part in given.split(" ", 1)[1].split(","))
        scope = parts["Credential"].split("/")
        loan = self.loans.get(scope[0])
        if not loan or request.headers.get("x-amz-security-token") != loan.token:
            return 403, "InvalidAccessKeyId", "there is no such key"
        url = f"http://{request.headers['host']}{request.path}"
        asked = AWSRequest(request.command, url, dict(request.headers.items()))
        asked.context["timestamp"] = request.headers["x-amz-date"]
        checked = Signature(loan, scope, parts["SignedHeaders"].split(";"))
        text = checked.string_to_sign(asked, checked.canonical_request(asked))
        if checked.signature(text, asked) != parts["Signature"]:
            return 403, "SignatureDoesNotMatch", "the signature is another"
        loan.used += 1
        if loan.until <= time.time() or (self.uses is not None and loan.used > self.uses):
            return 400, "ExpiredToken", "The provided token has expired."
        address = urlsplit(request.path)
        asked_for = unquote(address.path).removeprefix("/")
        query = dict(parse_qsl(address.query))
        if "list-type" in query:
            asked_for = f"{asked_for.strip('/')}/{query.get('prefix', '').rstrip('/')}" if self.lists else "lists"
        if not f"{asked_for}/".startswith(f"{loan.place}/"):
            return 403, "AccessDenied", f"it is not for {asked_for}"
        return None


class Vendor(Front):
    """The catalog, with what it hands out. The older servers put it into the settings, others into a list."""

    def __init__(self, catalog: RestCatalog, gate: Gate) -> None:
        self.gate, self.as_list, self.seconds = gate, True, 3600.0
        self.loads = 0
        super().__init__(int(catalog.uri.rsplit(":", 1)[1]))

    def told(self, request: Forwarding, status: int, answer: bytes) -> bytes:
        asked = request.headers.get("x-iceberg-access-delegation", "")
        if status != 200 or "/tables" not in request.path or "vended-credentials" not in asked:
            return answer
        told: Json = json.loads(answer)
        if "metadata" not in told:
            # A list of tables.
            return answer
        self.loads += request.command == "GET"
        location = told["metadata"]["location"]
        loan = self.gate.lend(location.removeprefix("s3://"), self.seconds)
        where = {"s3.endpoint": self.gate.url, "s3.path-style-access": "true", "client.region": "eu-north-1"}
        secrets = {
            "s3.access-key-id": loan.key,
            "s3.secret-access-key": loan.secret,
            "s3.session-token": loan.token,
            "s3.session-token-expires-at-ms": str(int(loan.until * 1000)),
        }
        told["config"] = {**told.get("config", {}), **where, **({} if self.as_list else secrets)}
        if self.as_list:
            bad = self.gate.lend("nowhere", self.seconds)
            short = {**secrets, "s3.access-key-id": bad.key, "s3.secret-access-key": bad.secret}
            short["s3.session-token"] = bad.token
            told["storage-credentials"] = [
                {"prefix": location.rsplit("/", 1)[0], "config": {**where, **short}},
                {"prefix": location, "config": {**where, **secrets}},
            ]
        return json.dumps(told).encode()

    def settings(self, namespace: str) -> Json:
        """The settings of the target."""
        return {"type": "rest", "rest": {"uri": self.url, "namespace": namespace, "location": "catalog"}}
