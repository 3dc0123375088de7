"""A Wistia of a few rows whose answers can be replaced one by one.

The simulator is an account as Wistia would serve it. This one is for what Wistia should never answer: a
test puts a function between the good answer and the wire.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from harness import TOKEN, Json, today

PAGE = 100
"""Rows of a page at most."""

LISTS = {
    "/medias": "medias",
    "/projects": "projects",
    "/channels": "channels",
    "/channel_episodes": "episodes",
    "/tags": "tags",
    "/deleted_media": "deleted",
    "/stats/visitors": "visitors",
    "/stats/events": "events",
}

PER_MEDIA = {
    ("stats", "medias", ""): "stats",
    ("stats", "medias", "by_date"): "byday",
    ("stats", "medias", "engagement"): "graph",
    ("analytics", "medias", "timeseries"): "timeseries",
}


@dataclass(frozen=True)
class Raw:
    """Bytes that stand in the place of a JSON value as they are."""

    text: bytes


def encode(document: Any) -> bytes:
    """JSON, in which `Raw` may stand anywhere."""
    raws: list[bytes] = []

    def keep(value: object) -> str:
        assert isinstance(value, Raw), value
        raws.append(value.text)
        return f"\0raw {len(raws) - 1}\0"

    body = json.dumps(document, default=keep, separators=(",", ":")).encode()
    for number, text in enumerate(raws):
        body = body.replace(b'"\\u0000raw %d\\u0000"' % number, text)
    return body


@dataclass(frozen=True)
class Asked:
    """A request."""

    resource: str
    """Which of the account's answers it is for, such as `medias`; empty where there is none."""
    path: str
    """The path as it came, with the query."""
    api: str
    """`v1` or `modern`."""
    query: Mapping[str, str]
    media: str = ""
    """Hashed id of the media that it is about."""
    number: int = 1
    """How often this resource was asked for, this time included."""

    @property
    def page(self) -> int:
        return int(self.query.get("page", 1))


@dataclass(frozen=True)
class Reply:
    """An answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    """What `Content-Length` says, where it does not tell the truth."""
    bare: bool = False
    """Nothing but the body is sent: it may be less than HTTP, or nothing."""
    seconds: float = 0
    """What it waits before it answers."""


Answer = Callable[[Asked, Any], Reply]
"""Makes an answer of a request and of what is true."""


def good(_: Asked, truth: Any) -> Reply:
    """What the account has, or 404."""
    if truth is None:
        return Reply(b'{"error":"not found"}', 404)
    return Reply(encode(truth))


MEDIAS = ("alpha00001", "bravo00002", "charl00003")
"""Hashed ids of the medias of the account."""


def media(number: int, hashed_id: str) -> Json:
    """A media as it is documented."""
    return {
        "id": number,
        "hashed_id": hashed_id,
        "name": f"Film {number}",
        "type": "Video",
        "archived": False,
        "created": "2024-03-05T09:00:00+00:00",
        "updated": "2026-06-30T21:15:42+00:00",
        "duration": 100.5 + number,
        "status": "ready",
        "progress": 1,
        "description": f"<p>Film {number}</p>",
        "section": "Trailers",
        "thumbnail": {"url": f"https://embed.example.com/{number}.jpg", "width": 200, "height": 120},
        "project": {"id": 7001, "name": "Marketing", "hashedId": "projexmpl1"},
        "tags": [{"name": "paid"}, {"name": f"q{number}"}],
        "assets": [
            {
                "url": f"https://embed.example.com/{number}.bin",
                "width": 1920,
                "height": 1080,
                "fileSize": 12_345_678 + number,
                "contentType": "video/mp4",
                "type": "OriginalFile",
            },
            {
                "url": f"https://embed.example.com/{number}.mp3",
                "fileSize": 92_000 + number,
                "contentType": "audio/mpeg",
                "type": "Mp3AudioFile",
            },
        ],
    }


def event(number: int, media_id: str, day: date) -> Json:
    """A view as it is documented."""
    return {
        "received_at": f"{day}T12:0{number % 10}:00.000Z",
        "event_key": f"e{number}",
        "ip": f"192.0.2.{number % 250}",
        "country": "US",
        "region": "Florida",
        "city": f"City {number}",
        "lat": 28.5 + number,
        "lon": -82.5 + number,
        "org": "Example ISP",
        "email": f"person{number}@example.com" if number % 2 else None,
        "percent_viewed": 0.125 * (number % 8),
        "embed_url": "https://www.example.com/landing",
        "conversion_type": "",
        "conversion_data": {},
        "iframe_heatmap_url": f"https://api.example.com/stats/events/e{number}/iframe.html",
        "visitor_key": f"v{number}",
        "user_agent_details": {"browser": "Chrome", "browser_version": "141", "platform": "mac", "mobile": False},
        "media_id": media_id,
        "media_name": "Film",
        "media_url": f"https://example.wistia.com/medias/{media_id}",
        "thumbnail": {
            "url": "https://embed.example.com/still.jpg",
            "width": 640,
            "height": 360,
            "fileSize": 32_720,
            "contentType": "image/jpeg",
            "type": "StillImageFile",
        },
    }


def visitor(number: int) -> Json:
    """A visitor as it is documented."""
    return {
        "visitor_key": f"v{number}",
        "created_at": "2026-09-21T17:24:53.000Z",
        "last_active_at": "2026-10-21T17:24:53.000Z",
        "last_event_key": f"e{number}",
        "load_count": 10 + number,
        "play_count": number,
        "identifying_event_key": f"e{number}",
        "visitor_identity": {
            "name": f"Person {number}",
            "email": f"person{number}@example.com",
            "org": {"name": "Example Ltd", "title": "Tester"},
        },
        "user_agent_details": {"browser": "Firefox", "browser_version": "9", "platform": "Linux", "mobile": True},
    }


def project(number: int) -> Json:
    """A project as it is documented."""
    return {
        "id": number,
        "name": f"Project {number}",
        "description": "Films",
        "mediaCount": 3 + number,
        "created": "2023-01-01T00:00:00+00:00",
        "updated": "2026-06-30T21:15:42+00:00",
        "hashedId": f"proj{number:06}",
        "anonymousCanUpload": False,
        "anonymousCanDownload": False,
        "public": False,
        "publicId": None,
    }


def channel(number: int) -> Json:
    """A channel as it is documented."""
    return {
        "id": number,
        "hashedId": f"chan{number:06}",
        "name": f"Channel {number}",
        "description": "Academy",
        "mediaCount": 2 + number,
        "created": "2025-02-03T04:05:06+00:00",
        "updated": "2026-02-03T04:05:06+00:00",
    }


def episode(number: int, channel_number: int, media_id: str) -> Json:
    """An episode as it is documented."""
    return {
        "hashedId": f"epis{number:06}",
        "channelHashedId": f"chan{channel_number:06}",
        "mediaHashedId": media_id,
        "title": f"Episode {number}",
        "description": "",
        "summary": "Short",
        "published": True,
        "created": "2025-02-03T04:05:06+00:00",
        "updated": "2025-03-01T00:00:00+00:00",
    }


def tag(name: str, count: int) -> Json:
    """A tag as it is documented."""
    return {
        "name": name,
        "taggingsCount": count,
        "created": "2025-08-13T18:47:39+00:00",
        "updated": "2025-08-19T21:47:00+00:00",
    }


def deleted(number: int) -> Json:
    """A media that was deleted, as it is documented."""
    return {
        "hashed_id": f"gone{number:06}",
        "name": f"Film {number}",
        "type": "Video",
        "duration": 12.5,
        "deleted_at": "2026-06-20T18:47:39+00:00",
        "restore_expires_at": "2026-07-20T18:47:39+00:00",
        "folder": {"hashed_id": "projexmpl1", "name": "Marketing"},
        "cursor": None,
    }


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(offset) for offset in range((last - first).days + 1)]


EVENT_DAYS = (8, 6, 5, 3, 1)
"""How many days ago the events of the account were, the oldest first."""


@dataclass(frozen=True)
class Account:
    """What is true."""

    medias: tuple[Json, ...] = tuple(media(11 + place, name) for place, name in enumerate(MEDIAS))
    events: tuple[tuple[date, Json], ...] = field(
        default_factory=lambda: tuple(
            (day := today() - timedelta(ago), event(number, MEDIAS[number % 3], day))
            for number, ago in enumerate(EVENT_DAYS, 1)
        )
    )
    """With the day on which each is found, oldest first."""
    visitors: tuple[Json, ...] = tuple(map(visitor, (1, 2, 3)))
    projects: tuple[Json, ...] = tuple(map(project, (7001, 7002)))
    channels: tuple[Json, ...] = tuple(map(channel, (501, 502)))
    episodes: tuple[Json, ...] = (
        episode(1, 501, MEDIAS[0]),
        episode(2, 501, MEDIAS[1]),
        episode(3, 502, MEDIAS[0]),
    )
    tags: tuple[Json, ...] = (tag("paid", 3), tag("q11", 1), tag("q12", 1), tag("q13", 1))
    deleted: tuple[Json, ...] = tuple(map(deleted, (1, 2)))

    def number(self, hashed_id: str) -> int:
        """The number of a media, or 0."""
        return next((row["id"] for row in self.medias if row["hashed_id"] == hashed_id), 0)

    def truth(self, asked: Asked) -> Any:
        """What a request should get; None where there is nothing."""
        if asked.resource in PER_MEDIA.values():
            number = self.number(asked.media)
            return self.figures(asked, number) if number else None
        if asked.resource == "account":
            return [self.day(day, 1000) for day in self.days(asked)]
        if asked.resource == "events":
            return page_of(list(reversed(self.events_of(asked))), asked)
        if asked.resource == "medias":
            return self.medias_of(asked)
        return page_of(list(getattr(self, asked.resource)), asked) if asked.resource else None

    def medias_of(self, asked: Asked) -> list[Json]:
        rows = [row for row in self.medias if asked.query.get("archived") in (None, str(row["archived"]).lower())]
        if asked.query.get("cursor[enabled]") != "1":
            return page_of(rows, asked)
        after = int(asked.query.get("cursor[after]", 0))
        rows = sorted((row for row in rows if row["id"] > after), key=lambda row: int(row["id"]))
        return [{**row, "cursor": str(row["id"])} for row in rows[: per_page(asked)]]

    def events_of(self, asked: Asked) -> list[Json]:
        first = asked.query.get("start_date", "0000-00-00")
        last = asked.query.get("end_date", "9999-99-99")
        only = asked.query.get("media_id")
        return [
            row for day, row in self.events if first <= str(day) <= last and only in (None, row.get("media_id", only))
        ]

    @staticmethod
    def days(asked: Asked) -> list[date]:
        first, last = (date.fromisoformat(asked.query[name]) for name in ("start_date", "end_date"))
        return days_between(first, last)

    @staticmethod
    def day(day: date, factor: int) -> Json:
        number = day.toordinal() % 10
        return {
            "date": str(day),
            "load_count": factor + number,
            "play_count": number,
            "hours_watched": number * 0.25,
        }

    def figures(self, asked: Asked, number: int) -> Any:
        """The statistics of a media; no two medias have the same."""
        if asked.resource == "stats":
            return {
                "load_count": 1000 + number,
                "play_count": 500 + number,
                "play_rate": 0.5 + number / 1000,
                "hours_watched": 40.5 + number,
                "engagement": 0.25 + number / 1000,
                "visitors": 700 + number,
                "actions": [{"type": "Call to Action", "action_count": number, "impression_count": 240, "rate": 0.05}],
            }
        if asked.resource == "byday":
            return [self.day(day, 10 * number) for day in self.days(asked)]
        if asked.resource == "graph":
            return {
                "engagement": 0.25 + number / 1000,
                "engagement_data": [number, number - 1, number - 2],
                "rewatch_data": [3, 0, number],
            }
        # The last day is not asked for.
        return [self.point(day, number) for day in self.days(asked)[:-1]]

    @staticmethod
    def point(day: date, number: int) -> Json:
        return {
            "timestamp": f"{day} 05:00:00.000Z",
            "unique_loads": 100 + number,
            "unique_plays": 40 + number,
            "plays": 44 + number,
            "play_rate": 0.375,
            "played_time": 5120 + number,
            "unique_visitors": 98 + number,
            "engagement_rate": 0.25,
            "cta_impressions": number,
            "cta_conversions": 2,
            "cta_conversion_rate": 0.125,
            "form_conversions": 1,
        }


def per_page(asked: Asked) -> int:
    return min(PAGE, int(asked.query.get("per_page", PAGE)))


def page_of(rows: list[Json], asked: Asked, size: int | None = None) -> list[Json]:
    """The page of a list that is asked for."""
    size = size or per_page(asked)
    return rows[(asked.page - 1) * size : asked.page * size]


class Stub:
    """Serves an account, below `/v1` and `/modern`, with or without `.json`."""

    def __init__(self) -> None:
        self.account = Account()
        self.answers: Mapping[str, Answer] = {}
        self.asked: list[Asked] = []
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                reply = stub.reply(self.path, self.headers.get("Authorization"))
                time.sleep(reply.seconds)
                if reply.bare:
                    self.wfile.write(reply.body)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                length = len(reply.body) if reply.length is None else reply.length
                if reply.status != 204:
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = length != len(reply.body)

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                # A program that has its answer, or does not want it, may go.
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True

            def finish(self) -> None:
                try:
                    super().finish()
                except ConnectionError:
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # As many as a tap may have in flight.
            request_queue_size = 64

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/v1"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @contextmanager
    def serving(self, account: Account | None = None, answers: Mapping[str, Answer] | None = None) -> Iterator[None]:
        """Serves this account, some of whose resources answer as these functions say."""
        self.account, self.answers = account or Account(), answers or {}
        with self.lock:
            self.asked.clear()
            self.counts.clear()
        yield
        self.account, self.answers = Account(), {}

    def reply(self, target: str, authorization: str | None) -> Reply:
        """Answers a request."""
        asked = self.note(parse(target))
        if authorization != f"Bearer {TOKEN}":
            return Reply(b'{"code":"unauthorized_credentials","error":"Invalid credentials."}', 401)
        answer = self.answers.get(asked.resource, good)
        return answer(asked, self.account.truth(asked))

    def note(self, asked: Asked) -> Asked:
        with self.lock:
            self.counts[asked.resource] += 1
            asked = replace(asked, number=self.counts[asked.resource])
            self.asked.append(asked)
        return asked

    def requests(self, resource: str) -> list[Asked]:
        """The requests for a resource since the account was put here."""
        with self.lock:
            return [asked for asked in self.asked if asked.resource == resource]


def parse(target: str) -> Asked:
    """Finds out what a request is for. Segments are decoded after the path was cut, as a server does."""
    url = urlsplit(target)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    api, _, rest = url.path.removesuffix(".json").strip("/").partition("/")
    path = f"/{rest}"
    resource = "account" if path == "/stats/account/by_date" else LISTS.get(path, "")
    words = [unquote(word) for word in rest.split("/")]
    if resource or len(words) not in (3, 4):
        return Asked(resource, target, api, query)
    kind, medias, hashed_id, *what = words
    resource = PER_MEDIA.get((kind, medias, "".join(what)), "")
    return Asked(resource, target, api, query, media=hashed_id if resource else "")
