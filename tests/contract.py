"""What Wistia has published of its API, and what departs from it in requests and in answers.

A `Recorder` stands between the tap and a server and keeps what passes; an `Audit` holds it against the
`Contract`, which is the published descriptions; a `Mock` is a server made of nothing but these.
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import yaml
from jsonschema import ValidationError as Departure
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from openapi_core.validation.exceptions import ValidationError
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from werkzeug.datastructures import ImmutableMultiDict

from harness import DEADLINE, ROOT, Json, today

PUBLISHED = ROOT.parent / "shared" / "openapi"
"""The descriptions, beside the repository."""

HOST = "https://api.wistia.com"
"""The server that the descriptions name."""

VERSION = "x-wistia-api-version"
VERSIONS = {"2026-03": "wistia-modern-2026-03.yml"}
"""The published versions of the modern API; those after them are held against the one to come."""

# What is known to depart from the descriptions. All else is a fault of the simulator. The numbers are sections
# of the dossier that stands beside the descriptions, `facts/wistia-api.md`.

DEVIATIONS = {
    ("v1 /stats/events", "[]", "empty row"): "3.7: an occasional {} row",
    ("v1 /stats/events", "[].lat", "empty text for number"): "5",
    ("v1 /stats/events", "[].lat", "null for number"): "5",
    ("v1 /stats/events", "[].lat", "number in text for number"): "5",
    ("v1 /stats/events", "[].lon", "empty text for number"): "5",
    ("v1 /stats/events", "[].lon", "null for number"): "5",
    ("v1 /stats/events", "[].lon", "number in text for number"): "5",
    ("v1 /stats/events", "[].org", "null for string"): "5",
    ("v1 /stats/events", "[].country", "null for string"): "5",
    ("v1 /stats/events", "[].region", "null for string"): "5",
    ("v1 /stats/events", "[].city", "null for string"): "5",
    ("v1 /stats/events", "[].conversion_data", "empty text for object"): "5",
    ("v1 /stats/events", "[].user_agent_details.browser_version", "number for string"): "5",
    ("v1 /stats/visitors", "[].play_count", "number in text for integer"): "Corrections 5: integers, had as a quirk",
    ("v1 /stats/visitors", "[].visitor_identity.name", "null for string"): "3.6: null in old answers",
    ("v1 /stats/visitors", "[].user_agent_details.browser_version", "number for string"): "5",
    ("v1 /medias", "[].assets[].height", "number in text for integer"): "Corrections 5: integers, had as a quirk",
    ("v1 /medias", "[].project", "null for object"): "3.1: may be absent or null",
    ("v1 /medias", "[].subfolder", "null for object"): "3.1: null where there is none",
    ("v1 /medias", "[].tags[]", "text for object"): "5",
    ("modern /analytics/medias/{mediaId}/timeseries", "[].timestamp", "no date-time"): "5: with a space",
}
"""Where a value departs from the description, and how: the section of the dossier that has seen it. Such a value
is an exception: `RARE`."""

RARE = 10
"""One value of so many may depart from its description; the others have the documented form."""

UNDOCUMENTED = {
    ("v1 /medias", "[].share_link"): "3.1: seen live",
    ("v1 /medias", "[].transcript"): "3.1: seen live",
    ("v1 /medias", "[].project.hashed_id"): "3.1 and 3.9: the spelling inside a media, beside the described one",
    ("v1 /stats/events", "[].attributes"): "3.7 and 4: modern, with v1 an unknown key to be passed by",
    ("v1 /stats/events", "[].thumbnail.file_size"): "4: the modern spelling",
    ("v1 /stats/events", "[].thumbnail.content_type"): "4: the modern spelling",
    ("v1 /stats/visitors", "[].identifying_event_key"): "3.6",
    ("v1 401", ".code"): "2.3: seen live; the description of the coming version has it",
    ("modern 401", ".code"): "2.3: seen live; the description of the coming version has it",
    ("v1 400", ".errors"): "2.3; the description of the coming version has it",
    ("modern 400", ".errors"): "2.3; the description of the coming version has it",
}
"""Fields that no description has, and the section of the dossier that has seen them."""

ALONE = {
    "/medias/{mediaHashedId}": "/medias",
    "/projects/{id}": "/projects",
    "/channels/{channelHashedId}": "/channels",
    "/stats/events/{eventKey}": "/stats/events",
    "/stats/visitors/{visitorKey}": "/stats/visitors",
}
"""Resources that answer with one row of a list. What is known of the list is known of them."""

STATUSES = {
    403: "2.3: a plan without the feature, on any resource",
    404: "2.3: a path that is not there",
    429: "2.3: the limit of requests, on any resource",
    502: "9: a proxy on the way",
    503: "9: throttling",
}
"""Statuses that may come where they are not described."""


@dataclass
class Exchange:
    """A request and its answer."""

    method: str
    target: str
    headers: dict[str, str]
    """Of the request; their names are in small letters."""
    status: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    """Of the answer, and not compressed."""

    @property
    def path(self) -> str:
        """As it was sent: a name in it may have slashes of its own."""
        return urlsplit(self.target).path

    @property
    def api(self) -> str:
        return self.path.split("/")[1]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)


@dataclass(frozen=True, order=True)
class Finding:
    """A departure from a description."""

    place: str
    """The resource, and the status where it is an error."""
    path: str
    """The field."""
    kind: str

    def __str__(self) -> str:
        return f"{self.place} {self.path}: {self.kind}"


@dataclass
class Value:
    """A value in an answer."""

    path: str
    """Where, for all rows."""
    at: tuple[str | int, ...]
    """Where exactly."""
    schema: Json | None
    """None for what is not described."""
    value: Any


@dataclass
class Answer:
    """What was found in an answer."""

    place: str
    fields: set[str] = field(default_factory=set)
    """What is described."""
    values: list[Value] = field(default_factory=list)
    wrong: dict[tuple[str | int, ...], Finding] = field(default_factory=dict)
    unknown: list[Finding] = field(default_factory=list)


class Description:
    """The reading half of one published description."""

    def __init__(self, path: Path) -> None:
        document: Json = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        document["paths"] = {
            template: {"get": item["get"]} for template, item in document["paths"].items() if "get" in item
        }
        self.document = document
        self.operations: dict[str, Json] = {template: item["get"] for template, item in document["paths"].items()}
        for operation in self.operations.values():
            for parameter in self.parameters(operation):
                # They have no other form, and the library wants to be told.
                if parameter.get("style") == "deepObject":
                    parameter["explode"] = True
            for answer in operation["responses"].values():
                # The library would look for a body.
                if answer.get("content") == {}:
                    del answer["content"]
        # That the description itself is well-formed is not for us to check, and would take the most time.
        nobody: Any = None
        self.api = OpenAPI.from_dict(document, config=Config(spec_validator_cls=nobody))
        self.merged: dict[int, Json] = {}

    def template(self, path: str) -> str | None:
        """The described path that this one is of; one without names in it comes first."""
        for template in sorted(self.operations, key=lambda template: template.count("{")):
            if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
                return template
        return None

    def parameters(self, operation: Json) -> list[Json]:
        return [self.referred(parameter) for parameter in operation.get("parameters", [])]

    def schema(self, operation: Json, status: int) -> Json | None:
        """What an answer of this status has in it; none where it is empty."""
        content = self.referred(operation["responses"][str(status)]).get("content")
        return content["application/json"]["schema"] if content else None

    def referred(self, node: Json) -> Json:
        """What is meant, where it is only named."""
        while "$ref" in node:
            names = node["$ref"].removeprefix("#/").split("/")
            node = self.document
            for name in names:
                node = node[name.replace("~1", "/").replace("~0", "~")]
        return node

    def plain(self, schema: Json) -> Json:
        """A schema in one piece: names followed, parts put together, any alternative's fields allowed."""
        if id(schema) not in self.merged:
            whole: Json = {}
            named = self.referred(schema)
            parts = [part for key in ("allOf", "oneOf", "anyOf") for part in named.get(key, [])]
            for part in [named, *map(self.plain, parts)]:
                fields = {**whole.get("properties", {}), **part.get("properties", {})}
                required = [*whole.get("required", []), *part.get("required", [])]
                whole = {**part, **whole}
                if fields:
                    whole |= {"properties": fields, "required": required}
            self.merged[id(schema)] = whole
        return self.merged[id(schema)]

    def fields(self, schema: Json, path: str = "") -> Iterator[str]:
        """All that is described below a schema."""
        yield path
        whole = self.plain(schema)
        for name, below in whole.get("properties", {}).items():
            yield from self.fields(below, f"{path}.{name}")
        if "items" in whole:
            yield from self.fields(whole["items"], f"{path}[]")

    def values(self, schema: Json, value: object, path: str = "", at: tuple[str | int, ...] = ()) -> Iterator[Value]:
        """All that stands in an answer, with what is described for it."""
        whole = self.plain(schema)
        yield Value(path, at, whole, value)
        if isinstance(value, dict) and "properties" in whole:
            for name, inner in value.items():
                below = whole["properties"].get(name)
                if below is None:
                    yield Value(f"{path}.{name}", (*at, name), None, inner)
                else:
                    yield from self.values(below, inner, f"{path}.{name}", (*at, name))
        if isinstance(value, list) and "items" in whole:
            for position, inner in enumerate(value):
                yield from self.values(whole["items"], inner, f"{path}[]", (*at, position))


class Contract:
    """The published descriptions."""

    def __init__(self) -> None:
        self.v1 = Description(PUBLISHED / "wistia-v1.yml")
        self.modern = {version: Description(PUBLISHED / name) for version, name in VERSIONS.items()}
        self.coming = Description(PUBLISHED / "wistia-modern-edge.yml")

    def of(self, exchange: Exchange) -> Description:
        """The description of the API that is asked, in the version that is asked for."""
        if exchange.api != "modern":
            return self.v1
        return self.modern.get(exchange.headers.get(VERSION, ""), self.coming)

    def find(self, exchange: Exchange) -> tuple[Description, str | None]:
        """The description, and in it the resource. With v1 a suffix is left aside: both forms are answered."""
        description = self.of(exchange)
        known = exchange.method == "GET" and exchange.api in ("v1", "modern")
        return description, description.template(resource(exchange)) if known else None

    def asked(self, exchange: Exchange) -> list[Finding]:
        """What is wrong with a request."""
        description, template = self.find(exchange)
        place = f"{exchange.api} {template or resource(exchange)}"
        wrong = [(exchange.method, "another method than GET")] if exchange.method != "GET" else []
        if exchange.target.endswith("?"):
            wrong.append(("?", "nothing behind it"))
        if exchange.api == "modern" and not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", exchange.headers.get(VERSION, "")):
            wrong.append((VERSION, "no version"))
        if template is None:
            wrong.append(("path", "not described"))
        else:
            if exchange.path.endswith(".json"):
                wrong.append(("path", "a suffix that is not described"))
            operation = description.operations[template]
            wrong += list(self.unknown(description, operation, exchange.query))
            wrong += list(told_in_words(operation, dict(exchange.query)))
            for error in description.api.iter_request_errors(library_request(exchange)):
                wrong.append((str(error), type(error.__cause__ or error).__name__))
        return [Finding(place, path, kind) for path, kind in wrong]

    @staticmethod
    def unknown(description: Description, operation: Json, query: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """What the library lets pass."""
        known: dict[str, Json] = {}
        for parameter in description.parameters(operation):
            if parameter["in"] == "query":
                schema = description.plain(parameter["schema"])
                fields = schema.get("properties") if parameter.get("style") == "deepObject" else None
                for name, below in (fields or {}).items():
                    known[f"{parameter['name']}[{name}]"] = description.plain(below)
                if fields is None:
                    known[parameter["name"]] = schema
        for name, times in Counter(name for name, _ in query).items():
            if name not in known:
                yield name, "unknown parameter"
            elif times > 1 and known[name].get("type") != "array":
                yield name, "given twice"
        for name, value in query:
            if known.get(name, {}).get("type") == "boolean" and value not in ("true", "false"):
                yield name, "no boolean"

    def answered(self, exchange: Exchange) -> Answer:
        """What an answer has in it, and what is wrong with it."""
        description, template = self.find(exchange)
        place = f"{exchange.api} {template or resource(exchange)}"
        answer = Answer(place)
        status = exchange.status
        if template is None:
            # An address without a resource is answered by nothing but a refusal.
            if not 400 <= status < 500:
                answer.wrong[()] = Finding(place, "path", f"answered by {status}, though it is not described")
            return answer
        operation = description.operations[template]
        if str(status) not in operation["responses"]:
            if status not in STATUSES:
                answer.wrong[()] = Finding(place, "status", f"{status} is not described")
            return answer
        if status != 200:
            place = answer.place = f"{exchange.api} {status}"
        schema = description.schema(operation, status)
        if schema is None:
            if exchange.body:
                answer.wrong[()] = Finding(place, "body", "one where none is described")
            return answer
        row = ""
        if status == 200 and template in ALONE:
            place, row = f"{exchange.api} {ALONE[template]}", "[]"
            answer.place = place
        try:
            description.api.validate_response(library_request(exchange), library_answer(exchange))
        except ValidationError as error:
            cause = error.__cause__
            if not isinstance(cause, InvalidSchemaValue):
                answer.wrong[()] = Finding(place, "body", type(cause or error).__name__)
                return answer
            for found in cause.schema_errors:
                assert isinstance(found, Departure)
                path = row + "".join("[]" if isinstance(step, int) else f".{step}" for step in found.absolute_path)
                # What is missing, and what is too much, is looked for below, one by one.
                if found.validator not in ("required", "additionalProperties", "unevaluatedProperties"):
                    answer.wrong[tuple(found.absolute_path)] = Finding(place, path, kind_of(found))
        if status == 200:
            answer.fields = set(description.fields(schema, row))
        answer.values = list(description.values(schema, json.loads(exchange.body), row))
        for value in answer.values:
            if value.schema is None:
                answer.unknown.append(Finding(place, value.path, "not described"))
            elif value.path == "[]" and value.value == {}:
                answer.wrong[value.at] = Finding(place, value.path, "empty row")
            elif isinstance(value.value, dict):
                for name in set(value.schema.get("required", [])) - set(value.value):
                    answer.wrong[(*value.at, name)] = Finding(place, f"{value.path}.{name}", "missing")
        return answer


def resource(exchange: Exchange) -> str:
    path = exchange.path.removeprefix(f"/{exchange.api}")
    return path.removesuffix(".json") if exchange.api == "v1" else path


def library_request(exchange: Exchange) -> MockRequest:
    """A request as the library takes it."""
    path = f"/{exchange.api}{resource(exchange)}"
    # It makes a dictionary with several values of a name into another.
    query: Any = ImmutableMultiDict(exchange.query)
    return MockRequest(HOST, exchange.method, path, args=query, headers=dict(exchange.headers))


def library_answer(exchange: Exchange) -> MockResponse:
    """An answer as the library takes it."""
    kind = exchange.answer_headers.get("content-type", "")
    return MockResponse(exchange.body, exchange.status, content_type=kind)


def told_in_words(operation: Json, query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What the descriptions say to people only."""
    if "page" in query and any(name.startswith("cursor[") for name in query):
        yield "page", "beside a cursor"
    if "must not exceed 2 years" in operation.get("description", ""):
        try:
            start, end = (date.fromisoformat(query[name]) for name in ("start_date", "end_date"))
        except (KeyError, ValueError):
            return
        latest = (start - timedelta(days=start.month == 2 and start.day == 29)).replace(year=start.year + 2)
        if end > latest:
            yield "end_date", "more than two years after the start"
        if end < start:
            yield "end_date", "before the start"


def kind_of(error: Departure) -> str:
    """A departure from a schema, in words that say nothing of the value."""
    schema = error.schema
    assert isinstance(schema, Mapping)
    if error.validator in ("type", "oneOf", "anyOf"):
        types = schema.get("type") or [part.get("type") for part in schema.get(error.validator, [])]
        types = [types] if isinstance(types, str) else types
        return f"{shape(error.instance)} for {' or '.join(str(name) for name in types if name != 'null')}"
    if error.validator == "format":
        return f"no {schema['format']}"
    return f"against its {error.validator}"


def shape(value: object) -> str:
    """What a value is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "object"
    if value == "":
        return "empty text"
    return "number in text" if re.fullmatch(r"[+-]?\d+(\.\d+)?", str(value)) else "text"


class Audit:
    """Exchanges held against the contract, after those of another audit."""

    def __init__(self, contract: Contract, exchanges: Iterable[Exchange], before: Audit | None = None) -> None:
        self.exchanges: int = before.exchanges if before else 0
        self.requests: Counter[Finding] = Counter(before.requests if before else ())
        self.answers: Counter[Finding] = Counter(before.answers if before else ())
        self.unknown: Counter[Finding] = Counter(before.unknown if before else ())
        self.seen: Counter[tuple[str, str]] = Counter(before.seen if before else ())
        self.described: set[tuple[str, str]] = set(before.described if before else ())
        """What answers could have in them."""
        self.documented: set[tuple[str, str]] = set(before.documented if before else ())
        """What they had in them at least once, in the form that is described."""
        for exchange in exchanges:
            self.exchanges += 1
            self.requests.update(contract.asked(exchange))
            answer = contract.answered(exchange)
            self.answers.update(answer.wrong.values())
            self.unknown.update(answer.unknown)
            self.described |= {(answer.place, path) for path in answer.fields}
            for value in answer.values:
                self.seen[answer.place, value.path] += 1
                if value.schema is not None and value.value is not None and value.at not in answer.wrong:
                    self.documented.add((answer.place, value.path))

    def wrong_requests(self) -> list[str]:
        return [f"{finding} ({times} times)" for finding, times in sorted(self.requests.items())]

    def wrong_answers(self) -> list[str]:
        """All that no source knows of, and what is known but not rare."""
        found = []
        known: dict[tuple[str, str], list[Finding]] = {}
        for finding, times in sorted(self.answers.items()):
            if (finding.place, finding.path, finding.kind) in DEVIATIONS:
                known.setdefault((finding.place, finding.path), []).append(finding)
            else:
                found.append(f"{finding} ({times} of {self.all_of(finding)})")
        for findings in known.values():
            times, of = sum(self.answers[finding] for finding in findings), max(map(self.all_of, findings))
            if times * RARE > of:
                found.append(f"{' and '.join(map(str, findings))} (known, but not rare: {times} of {of})")
        for finding, times in sorted(self.unknown.items()):
            if (finding.place, finding.path) not in UNDOCUMENTED:
                found.append(f"{finding} ({times} times)")
        return found

    def all_of(self, finding: Finding) -> int:
        """How many values there are where one is off; of what is missing, how many could have it."""
        path = finding.path.rpartition(".")[0] if finding.kind == "missing" else finding.path
        return self.seen[finding.place, path]

    def never_documented(self) -> list[str]:
        """What is described and never came in that form."""
        return [f"{place} {path}" for place, path in sorted(self.described - self.documented)]


class Server:
    """A server in a thread of this process, that keeps what it was asked and what it answered."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                exchange = Exchange(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
                raw = outer.answer(exchange)
                # In the order of the answers, which is enough for whoever counts.
                outer.exchanges.append(exchange)
                with suppress(ConnectionError):
                    self.send_response(exchange.status)
                    for name, value in exchange.answer_headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.host = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.url = f"{self.host}/v1"

    def answer(self, exchange: Exchange) -> bytes:
        """Fills in the answer. Returned is what goes over the wire."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Recorder(Server):
    """Passes everything on to a server."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.upstream = urlsplit(upstream)

    def answer(self, exchange: Exchange) -> bytes:
        connection = http.client.HTTPConnection(self.upstream.netloc, timeout=DEADLINE)
        headers = {k: v for k, v in exchange.headers.items() if k not in ("host", "connection")}
        connection.request(exchange.method, exchange.target, headers=headers)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        exchange.status = answer.status
        of_the_hop = ("connection", "content-length", "transfer-encoding", "date")
        exchange.answer_headers = {k.lower(): v for k, v in answer.getheaders() if k.lower() not in of_the_hop}
        exchange.body = gzip.decompress(raw) if answer.getheader("content-encoding") == "gzip" else raw
        return raw


class Mock(Server):
    """Answers as described and no better: without a seed from examples, with one from chance.

    Like other servers that are made of a description it knows nothing of pages: a path has one answer, or it
    `repeats_itself` never and makes up another each time.
    """

    def __init__(self, contract: Contract, seed: int | None = None, repeats_itself: bool = True) -> None:
        super().__init__()
        self.contract, self.seed, self.repeats_itself = contract, seed, repeats_itself
        self.asked: Counter[str] = Counter()

    def answer(self, exchange: Exchange) -> bytes:
        description, template = self.contract.find(exchange)
        exchange.answer_headers = {"content-type": "application/json"}
        # What is asked for in a way that is not described is not answered.
        if template is None or self.contract.asked(exchange):
            exchange.status, exchange.body = (404 if template is None else 400), b'{"error": "not as described"}'
            return exchange.body
        schema = description.schema(description.operations[template], 200)
        assert schema is not None
        self.asked[exchange.path] += 1
        time = 0 if self.repeats_itself else self.asked[exchange.path]
        chance = None if self.seed is None else random.Random(f"{self.seed} {exchange.path} {time}")
        exchange.status, exchange.body = 200, json.dumps(example(description, schema, chance)).encode()
        return exchange.body


EXAMPLES: dict[str, object] = {
    "array": [],
    "boolean": True,
    "integer": 0,
    "number": 0,
    "object": {},
    "string": "string",
    "date": str(today() - timedelta(days=1)),
    "date-time": f"{today() - timedelta(days=1)}T14:15:22Z",
}
"""What stands where a description has no example. Events are asked for two years back."""


def example(description: Description, schema: Json, chance: random.Random | None) -> Any:
    """A value that a schema allows."""
    named = description.referred(schema)
    for key in ("oneOf", "anyOf"):
        if key in named:
            return example(description, named[key][0] if chance is None else chance.choice(named[key]), chance)
    whole = description.plain(schema)
    kinds = whole.get("type", "object")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    kind = kinds[0] if chance is None else chance.choice(kinds)
    if kind == "null":
        return None
    if "const" in whole:
        return whole["const"]
    if "enum" in whole:
        return whole["enum"][0] if chance is None else chance.choice(whole["enum"])
    if "properties" in whole:
        return {name: example(description, below, chance) for name, below in whole["properties"].items()}
    if "items" in whole:
        # As many as the usual makers of such values make: never none.
        count = 1 if chance is None else chance.randint(1, 5)
        return [example(description, whole["items"], chance) for _ in range(count)]
    if chance is None:
        given = [*whole.get("examples", []), *([whole["example"]] if "example" in whole else [])]
        return given[0] if given else EXAMPLES[whole.get("format", kind) if kind == "string" else kind]
    return by_chance(whole, kind, chance)


def by_chance(schema: Json, kind: str, chance: random.Random) -> Any:
    """A plain value, of all that its type allows."""
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", -1_000_000), schema.get("maximum", 1_000_000)
        return chance.randint(low, high) if kind == "integer" else chance.uniform(low, high)
    if kind != "string":
        return EXAMPLES[kind]
    if schema.get("format") in ("date", "date-time"):
        day = today() - timedelta(days=chance.randrange(1, 700))
        return f"{day}T{chance.randrange(24):02}:00:00Z" if schema["format"] == "date-time" else str(day)
    # With all that an address gives a meaning to.
    letters = [chance.choice("abcdefghijklmnopqrstuvwxyz äé0123456789-/?&#%") for _ in range(chance.randint(1, 12))]
    return "".join(["x", *letters])
