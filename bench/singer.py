"""Writes Singer streams to measure with: `singer.py SHAPE RECORDS [SEED]`."""

import json
import random
import sys
from datetime import UTC, datetime, timedelta

TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "number"]}
INTEGER = {"type": ["null", "integer"]}


def nested(**properties):
    return {"type": ["null", "object"], "properties": properties}


EVENT = {
    "received_at": TEXT,
    "event_key": {"type": "string"},
    "region": TEXT,
    "city": TEXT,
    "lat": NUMBER,
    "lon": NUMBER,
    "org": TEXT,
    "email": INTEGER,
    "percent_viewed": NUMBER,
    "embed_url": TEXT,
    "conversion_type": TEXT,
    "iframe_heatmap_url": TEXT,
    "visitor_key": TEXT,
    "user_agent_details": nested(
        browser=TEXT, browser_version=TEXT, platform=TEXT, mobile={"type": ["null", "boolean"]}
    ),
    "media_id": TEXT,
    "media_name": TEXT,
    "media_url": TEXT,
    "thumbnail": nested(url=TEXT, width=INTEGER, height=INTEGER, file_size=INTEGER, content_type=TEXT, type=TEXT),
}
PLACES = [
    ("Florida", "Miami", 25.75, -80.25),
    ("Île-de-France", "Paris", 48.75, 2.25),
    ("Tōkyō", "Shibuya", 35.5, 139.75),
    (None,) * 4,
]
SOURCES = ["fb", "yt", "mail"]
START = datetime(2024, 12, 1, tzinfo=UTC)


def schema(stream, properties, keys):
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": keys,
    }


def event(chance, number, of):
    """One view; they come in the order of time over 700 days."""
    region, city, lat, lon = chance.choice(PLACES)
    at = START + timedelta(days=700) * (number / of)
    key = f"{chance.getrandbits(128):032x}"
    media = f"m{chance.randrange(400):08x}"
    thumbnail = {
        "url": f"https://embed.example.com/deliveries/{media}{key[:20]}.jpg",
        "width": 960,
        "height": 540,
        "file_size": chance.randrange(10_000, 90_000),
        "content_type": "image/jpeg",
        "type": "StillImageFile",
    }
    return {
        "received_at": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "event_key": f"{number // 1000}_{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:]}",
        "region": region,
        "city": city,
        "lat": lat,
        "lon": lon,
        "org": chance.choice(["Example Cable", "Example Telecom", "", " Example Mobile"]),
        "email": int(chance.random() < 0.25),
        "percent_viewed": chance.random(),
        "embed_url": f"https://www.example.com/page/{chance.randrange(500)}?utm_source={chance.choice(SOURCES)}",
        "conversion_type": chance.choice(["", "", "", "pre-roll"]),
        "iframe_heatmap_url": f"https://api.example.com/v1/stats/events/{key}/iframe.html?public_token={key[:12]}",
        "visitor_key": f"{number // 1000}_{chance.getrandbits(20):08x}-0000-4000-8000-000000000000",
        "user_agent_details": {
            "browser": chance.choice(["Chrome", "Safari", "Firefox"]),
            "browser_version": str(chance.randrange(80, 150)),
            "platform": chance.choice(["mac", "Windows", "Android"]),
            "mobile": chance.random() < 0.4,
        },
        "media_id": media,
        "media_name": f"Media title number {media[-3:]} — launch cut",
        "media_url": f"https://example.wistia.com/medias/{media}",
        "thumbnail": thumbnail if chance.random() < 0.9 else None,
    }


def events(chance, count):
    yield schema("fact_events", EVENT, ["event_key"])
    for number in range(count):
        yield {
            "type": "RECORD",
            "stream": "fact_events",
            "record": event(chance, number, count),
            "time_extracted": "2026-11-01T00:00:00Z",
        }
        if number % 10_000 == 9_999:
            yield {"type": "STATE", "value": {"bookmarks": {"fact_events": number}}}


def six(chance, count):
    """The shape of the tap's own output: six streams, interleaved."""
    small = {
        "media_id": {"type": "string"},
        "date": {"type": "string"},
        "load_count": INTEGER,
        "play_count": INTEGER,
        "hours_watched": NUMBER,
    }
    yield schema("fact_events", EVENT, ["event_key"])
    for stream in range(5):
        yield schema(f"small_{stream}", small, ["media_id", "date"])
    for number in range(count // 6):
        yield {"type": "RECORD", "stream": "fact_events", "record": event(chance, number, count // 6)}
        for stream in range(5):
            row = {
                "media_id": f"m{number % 400:08x}",
                "date": str(number // 400),
                "load_count": number,
                "play_count": 3,
                "hours_watched": 0.25,
            }
            yield {"type": "RECORD", "stream": f"small_{stream}", "record": row}


def interleaved(chance, count):
    """500 streams, one record at a time."""
    for stream in range(500):
        yield schema(f"s{stream}", {"id": {"type": "integer"}, "v": TEXT, "n": NUMBER}, ["id"])
    for number in range(count // 500):
        for stream in range(500):
            yield {
                "type": "RECORD",
                "stream": f"s{stream}",
                "record": {"id": number, "v": f"value {number}", "n": number / 8},
            }


def wide(chance, count):
    """2,000 columns."""
    yield schema(
        "wide",
        {"id": {"type": "integer"}, **{f"c{column}": (TEXT, INTEGER, NUMBER)[column % 3] for column in range(1999)}},
        ["id"],
    )
    for number in range(count):
        row = {f"c{column}": (f"v{number % 97}", number, number / 4)[column % 3] for column in range(1999)}
        yield {"type": "RECORD", "stream": "wide", "record": {"id": number, **row}}


def long(chance, count):
    """Strings of a megabyte."""
    yield schema("long", {"id": {"type": "integer"}, "text": TEXT}, ["id"])
    for number in range(count):
        yield {
            "type": "RECORD",
            "stream": "long",
            "record": {"id": number, "text": f"{chance.getrandbits(64):016x}" * 65_536},
        }


def deep(chance, count):
    """Objects and lists, thirty levels deep."""
    kind = INTEGER
    for level in range(30):
        kind = {"type": "array", "items": kind} if level % 3 == 0 else nested(n=kind, t=TEXT)
    yield schema("deep", {"id": {"type": "integer"}, "n": kind}, ["id"])
    for number in range(count):
        value = number
        for level in range(30):
            value = [value] if level % 3 == 0 else {"n": value, "t": "text"}
        yield {"type": "RECORD", "stream": "deep", "record": {"id": number, "n": value}}


def main(shape, count, seed=7):
    for message in globals()[shape](random.Random(int(seed)), int(count)):
        sys.stdout.write(json.dumps(message, ensure_ascii=False) + "\n")
    sys.stdout.write('{"type": "STATE", "value": {"bookmarks": {"done": true}}}\n')


if __name__ == "__main__":
    main(*sys.argv[1:])
