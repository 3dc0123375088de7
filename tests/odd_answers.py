"""Answers that Wistia should never give, and what the tap makes of each.

A row of the table is an `Odd`: a name, what is answered in the place of the truth, and what comes of it. What a
row does not mention is as in a sync without it: every row of every stream, exit code 0, nothing counted. The words
for answers and rows are those of `odd_rows.py`; `qzx` marks what must not be shown anywhere.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from typing import Any

from harness import TOKEN, Json
from odd_rows import (
    FEEDS,
    GONE,
    OF_MEDIAS,
    STATISTICS,
    Change,
    Odd,
    all_having,
    edited,
    every,
    having,
    instead_of,
    json_reply,
    keys,
    of,
    of_another_media,
    on_page,
    once,
    paged,
    pages,
    prefixed,
    renamed,
    reply,
    row,
    shown,
    where,
    with_row,
    without,
    without_media,
)
from stub_syncs import ANYTHING, days_ago
from wistia_stub import (
    MEDIAS,
    Account,
    Answer,
    Asked,
    Raw,
    Reply,
    channel,
    encode,
    episode,
    event,
    good,
    media,
    page_of,
    project,
    tag,
    visitor,
)

A, B, C = MEDIAS
"""The medias 11, 12 and 13."""

DAY = str(days_ago(4))
"""A day in the middle of those that are read."""

BRIDGE = frozenset({"bridge_media_channel"})
"""It names channels and looks at medias: what it can be without them is its own affair."""


def failing(resource: str) -> tuple[str, ...]:
    """The streams that fail with a resource."""
    return OF_MEDIAS if resource == "medias" else FEEDS[resource]


def fails(name: str, resource: str, answer: Answer, *says: str, **more: Any) -> Odd:
    """The streams of a resource fail, and no others."""
    unknown = BRIDGE if resource in ("medias", "channels") else frozenset()
    return Odd(name, {resource: answer}, **{"failed": failing(resource), "says": says, "unknown": unknown, **more})


def left_out(name: str, resource: str, answer: Answer, *says: str, **more: Any) -> Odd:
    """The statistics of media B are left out, the others are there."""
    rows = {stream: without_media(B) for stream in FEEDS[resource]}
    return Odd(name, {resource: of(B, answer)}, **{"rows": rows, "says": (B, *says), **more})


def fails_without(name: str, resource: str, answer: Answer, *says: str, **more: Any) -> Odd:
    """The statistics of media B are missing, so the streams have failed; the others are there."""
    streams = FEEDS[resource]
    return left_out(name, resource, answer, *says, **{"failed": streams, "moved": streams, "says": says, **more})


# One odd value among good ones is null and counted, or what it obviously stands for.


def odd_value(
    resource: str,
    key: str,
    column: str,
    value: Any,
    becomes: Any = None,
    *,
    source: str = "",
    counted: bool = True,
    skipped: Any = 0,
) -> Odd:
    """One row has something odd in one of its columns."""
    stream = FEEDS[resource][0]
    changes = {source or column: value}
    answer = of(key, every(changes)) if resource in ("stats", "graph") else row(key, changes)
    target = {"medias": "12", "stats": f"{B}|{days_ago(0)}"}.get(resource, key)
    target = {"projects": "7002", "channels": "502"}.get(resource, target)
    name = ".".join(word for word in column.split(".") if not word.isdigit())
    return Odd(
        f"{stream}.{name} is {shown(value)}",
        {resource: answer},
        {stream: having({target: {column: becomes}})},
        nulled={f"{stream}.{name}": 1} if counted else {},
        skipped=skipped,
    )


def of_event(column: str, value: Any, becomes: Any = None, **more: Any) -> Odd:
    return odd_value("events", "e2", column, value, becomes, **more)


def of_media(column: str, value: Any, becomes: Any = None, **more: Any) -> Odd:
    return odd_value("medias", B, column, value, becomes, **more)


def of_stats(column: str, value: Any, becomes: Any = None, **more: Any) -> Odd:
    return odd_value("stats", B, column, value, becomes, **more)


ODD_TAGS: tuple[Any, ...] = (True, 1.5, ["a"], {"name": ["a"]}, {"title": "a"})
ODD_ASSETS: tuple[Any, ...] = (1, "qzx", ["qzx"], None, {})

CLEANING = [
    # Text.
    of_event("city", {"x": "qzx"}),
    of_event("city", ["qzx"]),
    of_event("city", 12.5, "12.5", counted=False),
    of_event("city", True, "true", counted=False),
    of_event("city", {}, counted=False),
    of_event("city", "", counted=False),
    of_event("conversion_type", 3, "3", counted=False),
    of_media("name", {"text": "qzx"}),
    of_media("description", [["qzx"]]),
    # Numbers with a fraction.
    of_event("lat", "qzx"),
    of_event("lat", "", counted=False),
    of_event("lat", " 1.5 ", 1.5, counted=False),
    of_event("lat", "inf"),
    of_event("lat", "nan"),
    of_event("lat", "1,5"),
    of_event("lat", True),
    of_event("lat", [1.5]),
    of_event("lat", {"x": "qzx"}),
    of_event("percent_viewed", "50%"),
    of_event("percent_viewed", 1, 1.0, counted=False),
    of_media("duration", "1:40"),
    of_media("progress", False),
    of_stats("hours_watched", "qzx"),
    of_stats("play_rate", [0.5]),
    # Whole numbers.
    of_stats("load_count", "qzx"),
    of_stats("load_count", 1.5),
    of_stats("load_count", 7.0, 7, counted=False),
    of_stats("load_count", "7", 7, counted=False),
    of_stats("load_count", 18_446_744_073_709_551_615),
    of_stats("load_count", False),
    of_stats("load_count", {"total": 7}),
    odd_value("visitors", "v2", "play_count", "many qzx"),
    odd_value("projects", "proj007002", "media_count", "qzx", source="mediaCount"),
    odd_value("channels", "chan000502", "media_count", [3], source="mediaCount"),
    of_media("thumbnail.width", "200px"),
    # Whether or not.
    of_media("archived", "qzx"),
    of_media("archived", 2),
    of_media("archived", 0.5),
    of_media("archived", 1, True, counted=False),
    of_media("archived", "false", False, counted=False),
    of_event("user_agent_details.mobile", "qzx"),
    odd_value("visitors", "v2", "user_agent_details.mobile", [True]),
    # Objects.
    of_event("user_agent_details", "qzx"),
    of_event("user_agent_details", 1),
    of_event("user_agent_details", 1.5),
    of_event("user_agent_details", False),
    of_event("user_agent_details", ["qzx"]),
    of_event("user_agent_details", {}, counted=False),
    of_event("thumbnail", "https://example.com/qzx.jpg"),
    of_media("project", "qzx"),
    of_media("project", [{"id": 1}]),
    odd_value("visitors", "v2", "visitor_identity", "qzx"),
    odd_value("visitors", "v2", "visitor_identity.org", ["qzx"]),
    # Lists.
    of_media("tags", False),
    of_media("tags", 1.5),
    of_media("tags", 7),
    of_media("tags", "qzx"),
    of_media("tags", {"name": "qzx"}),
    of_media("tags", None, counted=False),
    of_media("tags", "", counted=False),
    of_media("tags", [], [], counted=False),
    of_media("tags", ["a", {"name": "b"}], ["a", "b"], counted=False),
    of_media("tags", ["a", None, "", {}], ["a"], counted=False, skipped=ANYTHING),
    of_media("tags", [7, {"name": 8}], ["7", "8"], counted=False),
    of_media("assets", False),
    of_media("assets", 1.5),
    of_media("assets", "qzx"),
    of_media("assets", {"url": "qzx"}),
    of_media("assets", [], [], counted=False),
    of_media("assets.0.height", "qzx"),
    of_media("assets.0.height", "1080", 1080, counted=False),
    of_media("assets.0.file_size", [1], source="assets.0.fileSize"),
    *(
        Odd(
            f"one of dim_media.tags is {shown(item)}",
            {"medias": row(B, {"tags": [item, {"name": "paid"}]})},
            {"dim_media": having({"12": {"tags": ANYTHING}})},
            nulled=None,
        )
        for item in ODD_TAGS
    ),
    *(
        Odd(
            f"one of dim_media.assets is {shown(item)}",
            {"medias": row(B, {"assets": [item, {"type": "OriginalFile"}]})},
            {"dim_media": having({"12": {"assets": ANYTHING}})},
            nulled=None,
            skipped=ANYTHING,
        )
        for item in ODD_ASSETS
    ),
    *(
        Odd(
            f"fact_engagement_graph.engagement_data is {shown(value)}",
            {"graph": of(B, every({"engagement_data": value}))},
            {
                "fact_engagement_graph": having({B: {"engagement_data": None}}),
                "fact_engagement_graph_points": having({f"{B}|{place}": {"engagement": None} for place in range(3)}),
            },
            nulled={"fact_engagement_graph.engagement_data": 1},
        )
        for value in (False, 1.5, "qzx", {"0": 1})
    ),
    Odd(
        "some of fact_engagement_graph.engagement_data are no numbers",
        {"graph": of(B, every({"engagement_data": [5, "qzx", ["qzx"]]}))},
        {
            "fact_engagement_graph": having({B: {"engagement_data": [5, None, None]}}),
            "fact_engagement_graph_points": having(
                {f"{B}|{place}": {"engagement": value} for place, value in enumerate([5, None, None])}
            ),
        },
        nulled={"fact_engagement_graph.engagement_data": 2},
    ),
    Odd(
        "a day has an odd number",
        {"byday": of(B, row(DAY, {"play_count": "qzx"}))},
        {"fact_engagements_byday": having({f"{B}|{DAY}": {"play_count": None}})},
        nulled={"fact_engagements_byday.play_count": 1},
    ),
    Odd(
        "a measured day has an odd number",
        {"timeseries": of(B, row(f"{DAY} 05:00:00.000Z", {"plays": {"x": "qzx"}}))},
        {"fact_media_timeseries": having({f"{B}|{DAY}": {"plays": None}})},
        nulled={"fact_media_timeseries.plays": 1},
    ),
    Odd(
        "a measured day has nothing but its time",
        {"timeseries": of(B, instead_of(f"{DAY} 05:00:00.000Z", {"timestamp": f"{DAY} 05:00:00.000Z"}))},
        {
            "fact_media_timeseries": lambda rows: {
                **rows,
                f"{B}|{DAY}": nothing_but(rows[f"{B}|{DAY}"], "media_id", "date"),
            }
        },
    ),
    Odd(
        "a day of the account has an odd number",
        {"account": row(DAY, {"hours_watched": "qzx"})},
        {"fact_account_byday": having({DAY: {"hours_watched": None}})},
        nulled={"fact_account_byday.hours_watched": 1},
    ),
    Odd(
        "the country of a visitor is a list",
        {"events": row("e2", {"country": ["qzx"]})},
        {"fact_events": having({"e2": {"country": None}}), "dim_visitors": having({"v2": {"country": None}})},
        nulled=None,
    ),
    Odd(
        "the actions of a media are no list",
        {"stats": of(B, every({"actions": "qzx"}))},
        {"fact_media_actions": without_media(B)},
        nulled=None,
    ),
    Odd("a media has no actions", {"stats": of(B, every({"actions": GONE}))}, {"fact_media_actions": without_media(B)}),
    Odd(
        "fields that no table has",
        {"events": every({"new_one": "qzx", "attributes": {"deep": ["qzx"]}})},
        says=("new_one",),
    ),
    Odd("an empty row", {"visitors": with_row({})}, skipped=1),
    Odd("a row of null", {"visitors": with_row(None)}, skipped=1),
    Odd("a row of an empty text", {"visitors": with_row("")}, skipped=1),
    Odd(
        "whether an address is known is said by true",
        {"events": row("e2", {"email": True})},
        {"fact_events": having({"e2": {"email": 1}})},
        nulled=None,
    ),
    Odd(
        "whether an address is known is said by false",
        {"events": row("e1", {"email": False})},
        {"fact_events": having({"e1": {"email": 0}})},
        nulled=None,
    ),
    Odd(
        "an address of spaces",
        {"events": row("e1", {"email": "  "})},
        {"fact_events": having({"e1": {"email": 0}})},
    ),
]


def nothing_but(found: Json, *names: str) -> Json:
    """A row with nothing but these."""
    return {name: found[name] if name in names else None for name in found}


# Both spellings of a field in one row, and a field twice.


def spellings(
    resource: str, key: str, column: str, documented: tuple[str, Any], other: tuple[str, Any], kept: Any = None
) -> list[Odd]:
    """The documented one holds; the other one stands in where there is none."""
    stream = FEEDS[resource][0]
    target = {"medias": "12", "projects": "7002", "channels": "502"}.get(resource, key)
    (name, value), (alias, stand_in) = documented, other

    def odd(title: str, changes: Mapping[str, Any], becomes: Any) -> Odd:
        return Odd(title, {resource: row(key, changes)}, {stream: having({target: {column: becomes}})})

    kept = value if kept is None else kept
    return [
        odd(f"{stream}.{column} as {name} and {alias}", {name: value, alias: stand_in}, kept),
        odd(f"{stream}.{column} as {alias}, and {name} is null", {alias: stand_in, name: None}, stand_in),
    ]


def twice(resource: str, key: str, column: str, name: str, first: bytes, second: bytes, becomes: Any) -> Odd:
    """A field stands twice in a row. The last one holds."""
    stream = FEEDS[resource][0]
    target = {"medias": "12", "projects": "7002", "channels": "502"}.get(resource, key)
    field = name.rsplit(".", 1)[-1].encode()
    answer = row(key, {name: Raw(first + b',"' + field + b'":' + second)})
    return Odd(
        f"{stream}.{column} twice, first {first.decode()}",
        {resource: answer},
        {stream: having({target: {column: becomes}})},
    )


OTHER_PROJECT = {"id": 9, "name": "Other", "hashedId": "other00009"}

SPELLINGS = [
    # Of a media, the hashed id leads to everything else: the wrong one would be told by its statistics.
    Odd("dim_media.hashed_id as hashed_id and hashedId", {"medias": row(B, {"hashedId": "other00000"})}),
    Odd("dim_media.hashed_id as hashedId alone", {"medias": renamed({"hashed_id": "hashedId"})}),
    Odd(
        "dim_media.hashed_id as hashedId, and hashed_id is empty",
        {"medias": row(B, {"hashedId": B, "hashed_id": ""})},
    ),
    *spellings(
        "medias",
        B,
        "project",
        ("project", {"id": 7, "name": "P", "hashedId": "p7"}),
        ("folder", OTHER_PROJECT),
        {"id": 7, "name": "P", "hashed_id": "p7"},
    )[:1],
    Odd(
        "dim_media.project as folder, and project is null",
        {"medias": row(B, {"project": None, "folder": OTHER_PROJECT})},
        {"dim_media": having({"12": {"project": {"id": 9, "name": "Other", "hashed_id": "other00009"}}})},
    ),
    *spellings("medias", B, "project.hashed_id", ("project.hashedId", "a"), ("project.hashed_id", "b")),
    *spellings("medias", B, "assets.0.file_size", ("assets.0.fileSize", 5), ("assets.0.file_size", 6)),
    *spellings("medias", B, "assets.0.content_type", ("assets.0.contentType", "a/b"), ("assets.0.content_type", "c/d")),
    *spellings("projects", "proj007002", "hashed_id", ("hashedId", "proj007002"), ("hashed_id", "other"))[:1],
    *spellings("projects", "proj007002", "media_count", ("mediaCount", 5), ("media_count", 6)),
    *spellings("projects", "proj007002", "created", ("created", "2026-01-01"), ("created_at", "2026-01-02")),
    *spellings("projects", "proj007002", "updated", ("updated", "2026-01-01"), ("updated_at", "2026-01-02")),
    *spellings("channels", "chan000502", "media_count", ("mediaCount", 5), ("media_count", 6)),
    *spellings("channels", "chan000502", "created", ("created", "2026-01-01"), ("created_at", "2026-01-02")),
    Odd(
        "dim_channels.hashed_id as hashedId and hashed_id",
        {"channels": row("chan000502", {"hashed_id": "other"})},
    ),
    *spellings(
        "events",
        "e2",
        "user_agent_details.browser_version",
        ("user_agent_details.browser_version", "5"),
        ("user_agent_details.browserVersion", "6"),
    ),
    *spellings("events", "e2", "thumbnail.file_size", ("thumbnail.fileSize", 5), ("thumbnail.file_size", 6)),
    *spellings(
        "visitors",
        "v2",
        "user_agent_details.browser_version",
        ("user_agent_details.browser_version", "5"),
        ("user_agent_details.browserVersion", "6"),
    ),
    Odd(
        "the channel of an episode as channelHashedId and channel_hashed_id",
        {"episodes": every({"channel_hashed_id": "other"})},
    ),
    Odd(
        "the media of an episode as mediaHashedId and media_hashed_id",
        {"episodes": every({"media_hashed_id": "other"})},
    ),
    Odd(
        "an episode in the other spelling",
        {"episodes": renamed({"channelHashedId": "channel_hashed_id", "mediaHashedId": "media_hashed_id"})},
    ),
    twice("events", "e2", "lat", "lat", b"1.5", b"2.5", 2.5),
    twice("events", "e2", "lat", "lat", b'"qzx"', b"2.5", 2.5),
    twice("events", "e2", "city", "city", b'"first"', b'"last"', "last"),
    twice("medias", B, "name", "name", b'"first"', b'"last"', "last"),
    twice("medias", B, "project.name", "project.name", b'"first"', b'"last"', "last"),
    twice("projects", "proj007002", "media_count", "mediaCount", b"1", b"2", 2),
    twice("visitors", "v2", "play_count", "play_count", b"1", b"2", 2),
    Odd(
        "the key of an event twice",
        {"events": row("e2", {"event_key": Raw(b'"qzx","event_key":"e2"')})},
    ),
    Odd(
        "the figures of a media twice",
        {"stats": of(B, every({"load_count": Raw(b'1,"load_count":2')}))},
        {"fact_engagements": having({f"{B}|{days_ago(0)}": {"load_count": 2}})},
    ),
]


# What no JSON can hold, or no string.


def undecodable(name: str, value: bytes, column: str = "city", **more: Any) -> Odd:
    return Odd(
        f"{name} in {column}",
        {"events": row("e2", {column: Raw(value)})},
        {"fact_events": having({"e2": {column: None}})},
        **{"nulled": {f"fact_events.{column}": 1}, **more},
    )


def without_event(name: str, answer: Answer, skipped: int = 1) -> Odd:
    """An event is skipped, and the visitor whom it alone shows."""
    return Odd(name, {"events": answer}, {"fact_events": without("e2"), "dim_visitors": without("v2")}, skipped=skipped)


UNDECODABLE = [
    undecodable("bytes that are no UTF-8", b'"qz\xff"'),
    undecodable("half a character", b'"\xc3"'),
    undecodable("a lone surrogate", b'"qz\\ud800"'),
    undecodable("surrogates in the wrong order", b'"\\udc00\\ud800"'),
    undecodable("a number beyond all doubles", b"1e400", "lat"),
    undecodable("a number far below zero", b"-1e400", "lat"),
    undecodable("NaN", b"NaN", "lat"),
    undecodable("Infinity", b"Infinity", "lat"),
    undecodable("-Infinity", b"-Infinity", "percent_viewed"),
    undecodable("200 nested lists", b"[" * 200 + b"]" * 200),
    undecodable("200 nested objects", b'{"a":' * 200 + b"1" + b"}" * 200, "lat"),
    Odd(
        "a number beyond all doubles where a whole one belongs",
        {"stats": of(B, every({"load_count": Raw(b"1e400")}))},
        {"fact_engagements": having({f"{B}|{days_ago(0)}": {"load_count": None}})},
        nulled={"fact_engagements.load_count": 1},
    ),
    Odd(
        "bytes that are no UTF-8 in a tag",
        {"medias": row(B, {"tags": [Raw(b'"qz\xff"'), "paid"]})},
        {"dim_media": having({"12": {"tags": ["paid"]}})},
        nulled={"dim_media.tags": 1},
    ),
    Odd(
        "bytes that are no UTF-8 in an object",
        {"events": row("e2", {"user_agent_details.platform": Raw(b'"qz\xff"')})},
        {"fact_events": having({"e2": {"user_agent_details.platform": None}})},
        nulled={"fact_events.user_agent_details.platform": 1},
    ),
    without_event("bytes that are no UTF-8 in a key", row("e2", {"event_key": Raw(b'"qz\xff"')})),
    without_event("a lone surrogate in a key", row("e2", {"event_key": Raw(b'"qz\\udfff"')})),
    Odd(
        "a number beyond all doubles as the key of a project",
        {"projects": row("proj007002", {"id": Raw(b"1e400")})},
        {"dim_projects": without("7002")},
        skipped=1,
    ),
    Odd(
        "bytes that are no UTF-8 as the key of a visitor",
        {"visitors": row("v2", {"visitor_key": Raw(b'"\xff\xfe"')})},
        {"visitors": without("v2")},
        skipped=1,
    ),
    Odd("bytes that are no UTF-8 in an unknown field", {"events": every({"new_one": Raw(b'"\xff"')})}),
    Odd("a number beyond all doubles in an unknown field", {"events": every({"new_one": Raw(b"1e999")})}),
    Odd("200 nested lists in an unknown field", {"events": every({"new_one": Raw(b"[" * 200 + b"]" * 200)})}),
    Odd("bytes that are no UTF-8 in the name of a field", {"events": every({"new": Raw(b'1,"\xff":1')})}),
    Odd("a lone surrogate in the name of a field", {"events": every({"new": Raw(b'1,"\\ud800":1')})}),
    Odd(
        "bytes that are no UTF-8 in the name of a field of an object",
        {"events": row("e2", {"user_agent_details.new": Raw(b'1,"\xff":1')})},
    ),
    Odd("a byte order mark before a list", {"events": prefixed(b"\xef\xbb\xbf")}),
    Odd("a byte order mark before an object", {"stats": prefixed(b"\xef\xbb\xbf")}),
    Odd("spaces and lines before a list", {"projects": prefixed(b"\r\n\t  ")}),
    Odd(
        "a control character in a text as it is",
        {"events": row("e2", {"city": Raw(b'"a\x01b"')})},
        {"fact_events": having({"e2": {"city": ANYTHING}})},
        nulled=None,
    ),
    Odd(
        "a zero in a text",
        {"events": row("e2", {"city": "a\0b"})},
        {"fact_events": having({"e2": {"city": ANYTHING}})},
        nulled=None,
    ),
]


# Nothing of it can be read any more: the stream fails, and says what it met without showing it.


def drift(resource: str, column: str, value: Any, *says: str, source: str = "", **more: Any) -> Odd:
    """All rows have something odd in one column."""
    stream = FEEDS[resource][0]
    answer = every({source or column: value})
    return fails(f"{stream}.{column} is always {shown(value)}", resource, answer, column, *says, **more)


NOTHINGS: tuple[Any, ...] = ({}, None, "")

OTHER_FIGURES = {
    "load_count": "loads",
    "play_count": "plays",
    "play_rate": "rate",
    "hours_watched": "hours",
    "engagement": "engaged",
    "visitors": "people",
}
"""Other names of statistics."""

DRIFT = [
    drift("events", "lat", {"x": "qzx", "y": 2}, "an object with x, y"),
    drift("events", "lat", "qzx"),
    drift("events", "percent_viewed", "50%"),
    drift("events", "city", ["qzx", "qzx", "qzx"], "a list of 3"),
    drift("events", "user_agent_details", "Chrome qzx"),
    drift("events", "user_agent_details.mobile", "qzx"),
    drift("medias", "duration", "1:40 qzx"),
    drift("medias", "archived", "qzx"),
    drift("medias", "tags", "qzx"),
    drift("medias", "project", "qzx"),
    drift("medias", "assets", {"original": "qzx"}),
    drift("projects", "media_count", "qzx", source="mediaCount"),
    drift("projects", "public", "qzx"),
    drift("channels", "media_count", {"total": 3}, source="mediaCount"),
    drift("visitors", "load_count", "qzx"),
    drift("visitors", "visitor_identity", "qzx"),
    drift("account", "load_count", {"total": 3}),
    drift("byday", "load_count", "qzx"),
    drift("byday", "hours_watched", "1:40 qzx"),
    drift("timeseries", "played_time", "1:40 qzx"),
    drift("timeseries", "plays", {"total": 3}),
    drift("stats", "load_count", {"total": 3}, unknown=frozenset({"fact_media_actions"})),
    drift("stats", "engagement", "25%", unknown=frozenset({"fact_media_actions"})),
    drift("graph", "engagement", "25%", unknown=frozenset({"fact_engagement_graph_points"})),
    drift("graph", "engagement_data", "qzx", unknown=frozenset({"fact_engagement_graph_points"})),
    fails_without("the days of a media have odd numbers only", "byday", every({"load_count": "qzx"}), "load_count"),
    # An error that says of itself that it is none.
    *(fails(f"{resource} answer 200 with an error", resource, json_reply({"error": "qzx gone"})) for resource in FEEDS),
    *(
        fails_without(f"{resource} answer 200 with an error for a media", resource, json_reply({"error": "qzx gone"}))
        for resource in STATISTICS
    ),
    fails("the figures of all medias are one level deeper", "stats", lambda _, truth: Reply(encode({"stats": truth}))),
    fails(
        "the figures of all medias have other names",
        "stats",
        renamed({**OTHER_FIGURES, "actions": "acts"}),
    ),
    fails(
        "the figures of all medias have other names, and the actions have not",
        "stats",
        renamed(OTHER_FIGURES),
        unknown=frozenset({"fact_media_actions"}),
    ),
    fails_without(
        "the figures of a media have other names, and the actions have not",
        "stats",
        renamed(OTHER_FIGURES),
        unknown=frozenset({"fact_media_actions"}),
    ),
    fails("the figures of all days have other names", "byday", renamed(OTHER_FIGURES)),
    fails("the figures of the days of the account have other names", "account", renamed(OTHER_FIGURES)),
    fails(
        "the figures of all measured days have other names",
        "timeseries",
        lambda _, truth: Reply(encode([{"timestamp": row["timestamp"], "seconds": 5} for row in truth])),
    ),
    fails(
        "the graphs of all medias have other names",
        "graph",
        renamed({"engagement": "a", "engagement_data": "b", "rewatch_data": "c"}),
    ),
    fails("the days of all medias have another name", "byday", renamed({"date": "day"})),
    fails("the days of the account have another name", "account", renamed({"date": "day"})),
    fails("events have another key", "events", renamed({"event_key": "key"})),
    fails("projects have another key", "projects", renamed({"id": "number"})),
    # What should be objects.
    fails("events are texts", "events", json_reply(["qzx", "qzx"])),
    fails("medias are texts", "medias", json_reply(["qzx", "qzx"])),
    fails("an event is a text", "events", instead_of("e2", "qzx")),
    fails("an event is a number", "events", instead_of("e2", 7)),
    fails("an event is a list", "events", instead_of("e2", ["qzx"])),
    fails("a project is true", "projects", instead_of("proj007002", True)),
    fails("a media is a text", "medias", instead_of(B, "qzx")),
    fails("an event has no known field", "events", instead_of("e2", {"x": "qzx"})),
    fails("a visitor has no known field", "visitors", instead_of("v2", {"x": "qzx"})),
    fails_without("a day of a media is a text", "byday", instead_of(DAY, "qzx")),
    fails("a day of the account is a text", "account", instead_of(DAY, "qzx")),
    # Medias of which nothing else can be known.
    fails("a media without a hashed id", "medias", row(B, {"hashed_id": GONE}), "hashed id"),
    fails("a media whose hashed id is null", "medias", row(B, {"hashed_id": None}), "hashed id"),
    fails("a media whose hashed id is empty", "medias", row(B, {"hashed_id": ""}), "hashed id"),
    fails("a media whose hashed id is an object", "medias", row(B, {"hashed_id": {"x": "qzx"}}), "hashed_id"),
    fails("medias with another name of the hashed id", "medias", renamed({"hashed_id": "public_id"}), "hashed id"),
    # A list where an object belongs, and the other way round.
    fails_without("a list in the place of the figures of a media", "stats", json_reply([])),
    fails_without("a list of the figures of a media", "stats", lambda _, truth: Reply(encode([truth]))),
    fails_without("a list in the place of the graph of a media", "graph", json_reply([1, 2])),
    fails("events in an object", "events", lambda _, truth: Reply(encode({"data": truth}))),
    fails("medias in an object", "medias", lambda _, truth: Reply(encode({"medias": truth}))),
    fails_without("days in an object", "byday", lambda _, truth: Reply(encode({"days": truth}))),
    fails("projects are an empty object", "projects", json_reply({})),
    fails("projects are a text", "projects", json_reply("qzx")),
    fails("projects are a number", "projects", json_reply(7)),
    # Nothing, and less.
    fails("no body in the place of projects", "projects", reply()),
    fails("spaces in the place of projects", "projects", reply(body="  \n")),
    fails("null in the place of projects", "projects", json_reply(None)),
    fails("null in the place of events", "events", json_reply(None)),
    fails("null in the place of medias", "medias", json_reply(None)),
    fails_without("no body in the place of the figures of a media", "stats", reply()),
    fails_without("null in the place of the days of a media", "byday", json_reply(None)),
    Odd("no projects", {"projects": json_reply([])}, {"dim_projects": keys(())}),
    Odd("no visitors", {"visitors": json_reply([])}, {"visitors": keys(())}),
    Odd("no events", {"events": json_reply([])}, {"fact_events": keys(()), "dim_visitors": keys(())}),
    *(
        fails(f"{resource} of all medias are {shown(nothing)}", resource, json_reply(nothing))
        for resource in ("stats", "graph")
        for nothing in NOTHINGS
    ),
    *(
        left_out(f"{resource} of a media are {shown(nothing)}", resource, json_reply(nothing), skipped=1)
        for resource in ("stats", "graph")
        for nothing in NOTHINGS
    ),
    Odd(
        "a graph without cells",
        {"graph": of(B, every({"engagement_data": [], "rewatch_data": []}))},
        {
            "fact_engagement_graph": having({B: {"engagement_data": [], "rewatch_data": []}}),
            "fact_engagement_graph_points": without_media(B),
        },
    ),
]


# Statuses.

HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
NO_SCOPE = '{"code":"unauthorized_scope","error":"This token lacks a permission."}'
NO_CODE = '{"error":"Invalid credentials."}'
DEAD = '{"code":"unauthorized_credentials","error":"Invalid credentials."}'
INACTIVE = '{"code":"account_inactive","error":"The account is not active."}'

OPTIONAL = ("projects", "channels", "episodes", "tags", "deleted", "visitors", "account", "events")
"""Lists that nothing else hangs on."""


def status(resource: str, number: int, body: str, *says: str, title: str = "", **more: Any) -> Odd:
    return fails(
        f"{resource} answer {number}{title}", resource, reply(number, body), str(number), "{host}", *says, **more
    )


TWENTY = tuple(media(number, f"media{number:05}") for number in range(1, 21))


def half_broken(resource: str, number: int) -> Odd:
    """The medias that come first answer so for good. Those behind them are read."""
    stream, broken = FEEDS[resource][0], {row["hashed_id"] for row in TWENTY[:10]}
    days = {"stats": (0,), "byday": range(10)}[resource]

    def answer(asked: Asked, truth: Any) -> Reply:
        return Reply(status=number) if asked.media in broken else good(asked, truth)

    return Odd(
        f"{resource} of the first ten of twenty medias answer {number}",
        {resource: answer},
        {stream: keys(f"{row['hashed_id']}|{days_ago(ago)}" for row in TWENTY[10:] for ago in days)},
        failed=(stream,),
        moved=(stream,),
        says=(str(number),),
        account=lambda: Account(medias=TWENTY),
        streams=(stream,),
    )


STATUSES = [
    *(status(resource, 404, "") for resource in OPTIONAL),
    *(status(resource, 400, '{"error":"page is not valid"}', "page is not valid") for resource in OPTIONAL),
    *(status(resource, 403, '{"error":"not on your plan"}', "not on your plan") for resource in OPTIONAL),
    *(status(resource, 401, NO_SCOPE, "lacks a permission") for resource in OPTIONAL),
    *(status(resource, 401, NO_CODE, title=" without a code") for resource in ("events", "account")),
    *(status(resource, 500, '{"error":"Internal server error"}') for resource in OPTIONAL),
    status("projects", 402, ""),
    status("projects", 410, "qzx gone", "text, 8 bytes"),
    status("projects", 418, ""),
    status("events", 422, '{"error":"start_date is odd"}', "start_date is odd"),
    status("projects", 422, '{"errors":{"page":["first problem","second problem"]}}', "first problem"),
    status(
        "visitors", 400, '{"errors":["one","another"]}', "one", "another", title=" with a list", hides=('"errors"',)
    ),
    status("projects", 502, HTML, "an HTML page, 50 bytes", hides=("Bad Gateway", "<h1>")),
    status("projects", 504, "upstream timed out", "text, 18 bytes", hides=("upstream timed out",)),
    status("projects", 503, ""),
    status("projects", 429, "Too many requests", "text, 17 bytes", hides=("Too many",)),
    status("projects", 409, '{"qzx":"qzx","detail":"qzx","title":["qzx"]}', "JSON, 44 bytes"),
    status("tags", 409, '{"error":{"event":{"ip":"qzx"}}}', "JSON, 32 bytes"),
    status("channels", 409, '{"error":"qzx', "JSON that breaks off at line 1 column 13, 13 bytes"),
    status("account", 409, '{"code":"unauthorized_params"}', "the code unauthorized_params"),
    status("medias", 404, ""),
    status("medias", 500, ""),
    status("medias", 403, '{"error":"no"}'),
    fails(
        "projects answer 200 with HTML",
        "projects",
        reply(200, HTML, Content_Type="text/html; charset=utf-8"),
        "an HTML page, 50 bytes of text/html with status 200 ({host})",
        hides=("Bad Gateway", "<h1>", "charset"),
    ),
    fails("projects answer 204", "projects", reply(204), "an empty body with status 204"),
    fails("projects answer 299", "projects", reply(299, "qzx accepted"), "text, 12 bytes", "with status 299"),
    fails("projects answer 302", "projects", reply(302, Location="http://elsewhere.invalid/x"), "elsewhere.invalid"),
    fails("projects answer 301 to the same host", "projects", reply(301, Location="/v1/channels"), "/v1/channels"),
    fails("projects answer 307 without a place", "projects", reply(307), "307"),
    fails("projects answer 304", "projects", reply(304), "304"),
    Odd("projects answer 503 once", {"projects": once(reply(503))}, settings={"retry_for_seconds": 10}),
    Odd("projects answer HTML once", {"projects": once(reply(200, HTML))}, settings={"retry_for_seconds": 10}),
    Odd("projects answer 429 once", {"projects": once(reply(429, Retry_After="1"))}, settings={"retry_for_seconds": 9}),
    # Of one media.
    *(
        left_out(f"{resource} of a media answer {number}", resource, reply(number, body), str(number))
        for resource in STATISTICS
        for number, body in ((404, ""), (403, '{"error":"no"}'))
    ),
    *(
        fails_without(f"{resource} of a media answer {number}", resource, reply(number, body), str(number))
        for resource in STATISTICS
        for number, body in ((400, '{"error":"no"}'), (500, ""))
    ),
    fails_without("graph of a media answers 502 with HTML", "graph", reply(502, HTML), "502"),
    fails_without("graph of a media answers 200 with HTML", "graph", reply(200, HTML)),
    fails_without("byday of a media answer 302", "byday", reply(302, Location="http://elsewhere.invalid/"), "302"),
    *(half_broken(resource, number) for resource in ("stats", "byday") for number in (400, 500)),
    # Of all medias.
    *(
        fails(f"{resource} of all medias answer {number}", resource, reply(number), str(number))
        for resource in STATISTICS
        for number in (404, 403)
    ),
    *(fails(f"{resource} of all medias answer 500", resource, reply(500), "500") for resource in ("byday", "stats")),
    *(
        fails(
            f"{resource} of all medias answer 401 for a permission",
            resource,
            reply(401, NO_SCOPE),
            "lacks a permission",
            # Another media would be answered alike; one may be on its way already.
            requests={resource: 3},
        )
        for resource in STATISTICS
    ),
    fails("byday of all medias answer 401 without a code", "byday", reply(401, NO_CODE), "401"),
    # Everything.
    Odd(
        "everything answers 404",
        {resource: reply(404) for resource in FEEDS},
        failed=tuple(stream for streams in FEEDS.values() for stream in streams),
        says=("api_url", "{host}"),
    ),
    Odd(
        "everything answers 500",
        {resource: reply(500) for resource in FEEDS},
        failed=tuple(stream for streams in FEEDS.values() for stream in streams),
        says=("500", "{host}"),
    ),
    Odd(
        "everything answers 401",
        {resource: reply(401, DEAD) for resource in FEEDS},
        stops=True,
        says=("does not accept the token", "401"),
        requests={"medias": 1, "projects": 1, "events": 1},
    ),
    Odd(
        "everything answers 401 without a code",
        {resource: reply(401, NO_CODE) for resource in FEEDS},
        stops=True,
        says=("does not accept the token", "401"),
    ),
    Odd(
        "the token dies while events are read",
        {"events": reply(401, DEAD)},
        stops=True,
        failed=FEEDS["events"],
        says=("does not accept the token", "401"),
    ),
    Odd(
        "the account is not active",
        {resource: reply(401, INACTIVE) for resource in FEEDS},
        stops=True,
        says=("The account is not active", "401"),
        hides=("make a token",),
    ),
    fails(
        "a firewall answers 403 with HTML",
        "projects",
        reply(403, "<html><title>qzx</title>Blocked</html>"),
        "403",
        "firewall",
        "an HTML page, 38 bytes",
        hides=("Blocked", "qzx"),
    ),
]


# Headers and bodies that mean harm.

RETRY_AFTER = (
    "0",
    "3600",
    "1000000000",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999999",
    "-1",
    "1.5",
    "1e9",
    "soon",
    "",
    "Wed, 21 Oct 2099 07:28:00 GMT",
    "Wed, 21 Oct 1999 07:28:00 GMT",
    "Thu, 99 Foo 9999 99:99:99 GMT",
)

MEBIBYTE = 1 << 20


@cache
def spaces(mebibytes: int) -> bytes:
    """So much of nothing, gzipped."""
    return gzip.compress(b" " * (mebibytes * MEBIBYTE), 1)


def gzipped(make: Answer) -> Answer:
    def answer(asked: Any, truth: Any) -> Reply:
        plain = make(asked, truth)
        return Reply(gzip.compress(plain.body), plain.status, {"Content-Encoding": "gzip"})

    return answer


def padded(mebibytes: int) -> Answer:
    return lambda asked, truth: Reply(gzip.compress(b" " * (mebibytes * MEBIBYTE) + encode(truth), 1), 200, GZIP)


def between(start: bytes, middle: bytes, times: int, end: bytes) -> Answer:
    """Very much of the same, gzipped."""

    @cache
    def body() -> bytes:
        return gzip.compress(start + middle * times + end, 1)

    return lambda asked, truth: Reply(body(), 200, GZIP)


def cut(asked: Any, truth: Any) -> Reply:
    """A body that ends too early."""
    body = encode(truth)
    return Reply(body, length=len(body) + 10)


GZIP = {"Content-Encoding": "gzip"}
ECHO = '{"error":"the header Authorization: Bearer %s is odd"}' % TOKEN


def bare(sent: bytes) -> Answer:
    """Nothing but this goes over the wire."""
    return lambda asked, truth: Reply(sent, bare=True)


def utf_16(_: Any, truth: Any) -> Reply:
    return Reply(encode(truth).decode().encode("utf-16"))


HOSTILE = [
    *(
        fails(f"the answer is {name}", "projects", bare(sent), "{host}")
        for name, sent in (
            ("nothing at all", b""),
            ("no HTTP", b"\x16\x03\x01\x02\r\n\r\n"),
            ("of a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[]"),
            ("of two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\n[]"),
            ("in chunks that do not end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n"),
            ("in a chunk of no size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n"),
            ("of many headers", b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 500 + b"Content-Length: 2\r\n\r\n[]"),
            ("the promise of another", b"HTTP/1.1 100 Continue\r\n\r\n"),
            ("another protocol", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        )
    ),
    fails(
        "100 GB are promised", "projects", bare(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n[]"), "64 MiB"
    ),
    fails(
        "an answer takes too long",
        "projects",
        lambda _, truth: Reply(encode(truth), seconds=3),
        "{host}",
        settings={"request_timeout_seconds": 1},
        within=10,
    ),
    fails("UTF-16", "projects", utf_16, "{host}"),
    fails("Latin-1", "projects", every({"name": Raw(b'"M\xfcller"')}), "name"),
    *(
        fails(
            f"{number} with Retry-After: {value}", "projects", reply(number, Retry_After=value), str(number), within=9
        )
        for value in RETRY_AFTER
        for number in ((429,) if value in ("0", "-1", "1.5", "1e9", "") else (429, 503))
    ),
    fails("500 with Retry-After: 3600", "projects", reply(500, Retry_After="3600"), "500", "3600", within=9),
    fails("429 for an hour, for each media", "byday", reply(429, Retry_After="3600"), "429", "3600", within=9),
    fails("events ask to be left alone for an hour", "events", reply(503, Retry_After="3600"), "3600", within=9),
    *(
        fails(f"the token comes back in a {number}", "projects", reply(number, ECHO), "is odd")
        for number in (400, 403, 404, 422, 500)
    ),
    fails("the token comes back in HTML", "projects", reply(200, f"<html>{TOKEN}</html>")),
    fails("the token comes back in a redirect", "projects", reply(302, Location=f"http://x.invalid/?t={TOKEN}"), "302"),
    fails("the token comes back as a field", "projects", json_reply({TOKEN: 1})),
    Odd(
        "the token comes back as an unknown field",
        {"projects": every({TOKEN: 1})},
    ),
    Odd(
        "the token comes back in a 401",
        {resource: reply(401, ECHO) for resource in FEEDS},
        stops=True,
        says=("does not accept the token",),
    ),
    left_out("the token comes back in the 403 of a media", "stats", reply(403, ECHO), "403"),
    fails(
        "control characters in a 400",
        "projects",
        reply(400, "a\x1b[31mred\x07\x00"),
        "text, 11 bytes",
        hides=("\x1b", "31mred"),
    ),
    fails(
        "control characters in the error of a 400",
        "projects",
        reply(400, '{"error":"a\\u001b[31mred\\u0007"}'),
        "31mred",
        hides=("\x1b", "\x07"),
    ),
    fails("control characters in HTML", "projects", reply(200, "<html>\x1b]0;title\x07"), hides=("\x1b", "\x07")),
    Odd("control characters in an unknown field", {"projects": every({"a\x1b[31m": 1})}, hides=("\x1b",)),
    Odd(
        "an unknown field that is an address",
        {"projects": every({"qzx@home": 1})},
        says=("`aaa@aaaa` of /projects is a field that no table has",),
    ),
    fails("lines in the error of a 400", "projects", reply(400, '{"error":"first\\nerror: second"}'), "first"),
    fails("a long error", "projects", reply(400, "x" * 5_000_000), "400", "text, more than 64 KiB", hides=("xx",)),
    fails(
        "a long error in JSON",
        "projects",
        json_reply({"error": "x" * 100_000}, 422),
        "422",
        "the beginning of JSON, more than 64 KiB",
        hides=("xx",),
    ),
    fails(
        "a long reason in JSON",
        "projects",
        json_reply({"error": "x" * 60_000}, 422),
        "x" * 200 + "…",
        hides=("x" * 201,),
    ),
    fails(
        "a long answer that is no JSON", "projects", reply(200, "x" * 5_000_000), "text, 5000000 bytes", hides=("xx",)
    ),
    fails("70 MiB of spaces, gzipped", "projects", reply(200, spaces(70), **GZIP), "64 MiB", requests={"projects": 1}),
    fails("70 MiB of spaces as they are", "projects", reply(200, b" " * (70 * MEBIBYTE)), "64 MiB"),
    fails("70 MiB of spaces in a 500", "projects", reply(500, spaces(70), **GZIP), "500"),
    fails_without("70 MiB of spaces for a media", "stats", reply(200, spaces(70), **GZIP), "64 MiB"),
    Odd("40 MiB of spaces before good rows", {"projects": padded(40)}),
    fails("a text of 60 MiB", "projects", between(b'[{"id":1,"name":"', b"a", 60 * MEBIBYTE, b'"}]'), "{host}"),
    fails("20 million rows", "projects", between(b"[", b"{},", 20_000_000, b"{}]"), "{host}"),
    fails_without(
        "30 million cells of a graph", "graph", between(b'{"engagement_data":[', b"0,", 30_000_000, b"0]}"), "{host}"
    ),
    Odd("gzipped answers", {resource: gzipped(lambda _, truth: Reply(encode(truth))) for resource in FEEDS}),
    fails("gzip that is none", "projects", reply(200, "[]", **GZIP)),
    fails("gzip that ends too early", "projects", reply(200, gzip.compress(b"[]" * 99)[:-9], **GZIP)),
    fails("a body that ends too early", "projects", cut),
    fails_without("a body that ends too early for a media", "graph", cut),
    fails("100,000 nested lists", "projects", reply(200, "[" * 100_000)),
    fails("100,000 nested objects", "stats", reply(200, '{"a":' * 100_000)),
    fails(
        "a list that does not end",
        "projects",
        lambda _, truth: Reply(encode(truth)[:-1]),
        "JSON that breaks off at line 1 column ",
        hides=("Project 7",),
    ),
    fails(
        "a list and something else",
        "projects",
        lambda _, truth: Reply(encode(truth) + b"[]"),
        "JSON that is damaged at line 1 column ",
        hides=("Project 7",),
    ),
    Odd(
        "another type of content",
        {"projects": lambda _, truth: Reply(encode(truth), 200, {"Content-Type": "text/html"})},
    ),
    Odd("ten thousand unknown fields", {"projects": every({f"new{number}": 1 for number in range(10_000)})}),
]


# Where lists end.


def numbers(count: int) -> range:
    return range(1, count + 1)


VISITORS = list(map(visitor, numbers(250)))
VISITOR_KEYS = keys(row["visitor_key"] for row in VISITORS)
EVENTS = tuple((days_ago(5), event(number, MEDIAS[number % 3], days_ago(5))) for number in numbers(250))
MANY_MEDIAS = tuple(media(number, f"media{number:05}") for number in numbers(250))


def many_events() -> Account:
    return Account(events=EVENTS)


def events_by(size: int) -> Answer:
    """Pages of events of this size, whatever is asked for."""
    account = many_events()
    return lambda asked, truth: Reply(encode(page_of(account.events_of(asked)[::-1], asked, size)))


def of_list(name: str, resource: str, answer: Answer, names: Change, **more: Any) -> Odd:
    streams = FEEDS[resource]
    return Odd(name, {resource: answer}, dict.fromkeys(streams, names), **{"unknown": BRIDGE, **more})


def visitors_in(name: str, answer: Answer, count: int = 250, **more: Any) -> Odd:
    names = keys(row["visitor_key"] for row in VISITORS[:count])
    return of_list(name, "visitors", answer, names, **more)


def events_in(name: str, answer: Answer) -> Odd:
    rows = {
        "fact_events": keys(f"e{number}" for number in numbers(250)),
        "dim_visitors": keys(f"v{number}" for number in numbers(250)),
    }
    return Odd(name, {"events": answer}, rows, account=many_events)


def doubled(key: str, *changes: Mapping[str, Any]) -> Answer:
    """A row comes several times, with other values each time."""

    def answer(_: Any, truth: Any) -> Reply:
        copies = [edited(row, change) for row in truth if row["event_key"] == key for change in changes]
        return Reply(encode([*(row for row in truth if row["event_key"] != key), *copies]))

    return answer


def changing(rows: list[Json]) -> Answer:
    """The same rows on each page, but for their times."""
    return lambda asked, truth: Reply(
        encode([edited(row, {"last_active_at": f"2026-01-01T00:00:{asked.number % 60:02}Z"}) for row in rows])
    )


EPISODES = [episode(number, 501, f"media{number:05}") for number in numbers(250)]

PAGES = [
    *(visitors_in(f"pages of {size} visitors", paged(VISITORS, size)) for size in (10, 20, 25, 50, 60, 99)),
    visitors_in("one page of 50 visitors", paged(VISITORS[:50], 100), 50, requests={"visitors": 2}),
    visitors_in("one page of 100 visitors", paged(VISITORS[:100], 100), 100, requests={"visitors": 2}),
    visitors_in("one page of 7 visitors", paged(VISITORS[:7], 100), 7, requests={"visitors": 2}),
    visitors_in("a page in the middle is short", pages(VISITORS[:100], VISITORS[100:160], VISITORS[160:])),
    visitors_in(
        "two pages in the middle are short",
        pages(VISITORS[:100], VISITORS[100:140], VISITORS[140:180], VISITORS[180:]),
    ),
    visitors_in("the first page is short", pages(VISITORS[:60], VISITORS[60:160], VISITORS[160:])),
    visitors_in("a page comes twice", pages(VISITORS[:100], VISITORS[:100], VISITORS[100:200], VISITORS[200:])),
    visitors_in("pages overlap", pages(VISITORS[:100], VISITORS[50:150], VISITORS[100:200], VISITORS[150:])),
    visitors_in(
        "a page of empty rows", pages(VISITORS[:100], [{}] * 100, VISITORS[100:200], VISITORS[200:]), skipped=100
    ),
    visitors_in(
        "the page is ignored",
        pages(*[VISITORS[:100]] * 50),
        100,
        failed=("visitors",),
        says=("never end",),
        requests={"visitors": 8},
    ),
    visitors_in(
        "the page is ignored, and times change",
        changing(VISITORS[:100]),
        100,
        failed=("visitors",),
        says=("never end",),
        requests={"visitors": 8},
    ),
    visitors_in("the page of a short list is ignored", pages(*[VISITORS[:60]] * 50), 60, requests={"visitors": 3}),
    visitors_in(
        "the page of a short list is ignored, and times change", changing(VISITORS[:50]), 50, requests={"visitors": 3}
    ),
    visitors_in("more rows than were asked for", pages(VISITORS), requests={"visitors": 2}),
    fails(
        "the second page of visitors answers 500",
        "visitors",
        on_page(2, reply(500)),
        "500",
        rows={"visitors": lambda rows: rows},
    ),
    of_list(
        "pages of 50 projects",
        "projects",
        paged([project(number) for number in numbers(250)], 50),
        keys(map(str, numbers(250))),
    ),
    of_list(
        "pages of 50 channels",
        "channels",
        paged([channel(number) for number in numbers(250)], 50),
        keys(map(str, numbers(250))),
    ),
    of_list(
        "pages of 50 tags",
        "tags",
        paged([tag(f"t{number}", number) for number in numbers(250)], 50),
        keys(f"t{number}" for number in numbers(250)),
    ),
    Odd(
        "pages of 50 episodes",
        {"episodes": paged(EPISODES, 50)},
        {
            "bridge_media_channel": lambda rows: {
                f"{row['mediaHashedId']}|chan000501|wistia": ANYTHING for row in EPISODES
            }
        },
    ),
    *(events_in(f"pages of {size} events", events_by(size)) for size in (25, 50, 60, 100)),
    *(
        fails(f"the second page of events {name}", "events", on_page(2, answer), *says, account=many_events)
        for name, answer, says in (
            ("answers 500", reply(500), ("500", "page=2")),
            ("answers 404", reply(404), ("404", "page=2")),
            ("is HTML", reply(200, HTML), ("page=2",)),
            ("is null", json_reply(None), ("page=2",)),
            ("is an error with 200", json_reply({"error": "qzx"}), ("page=2",)),
            ("has odd numbers only", every({"lat": "qzx"}), ("lat", "page=2")),
            ("has texts in it", json_reply(["qzx"] * 100), ("page=2",)),
        )
    ),
    events_in(
        "events come oldest first", lambda asked, _: Reply(encode(page_of(many_events().events_of(asked), asked)))
    ),
    events_in("the days are ignored", lambda asked, _: Reply(encode(page_of([row for _, row in EVENTS], asked)))),
    events_in("each event comes twice", lambda _, truth: Reply(encode([row for row in truth for _ in range(2)]))),
    fails(
        "the page of events is ignored",
        "events",
        lambda _, truth: Reply(encode([row for _, row in EVENTS[:100]])),
        "never end",
        requests={"events": 8},
        account=many_events,
    ),
    Odd(
        "of an event that comes twice, the longer view stays",
        {"events": doubled("e2", {"percent_viewed": 0.75}, {"percent_viewed": 0.5})},
        {"fact_events": having({"e2": {"percent_viewed": 0.75}})},
    ),
    Odd(
        "pages of 50 medias by their cursor",
        {"medias": lambda _, truth: Reply(encode(truth[:50]))},
        {"dim_media": keys(map(str, numbers(250)))},
        account=lambda: Account(medias=MANY_MEDIAS),
        streams=("dim_media",),
    ),
    Odd(
        "pages of 50 medias without a cursor",
        {"medias": paged(list(MANY_MEDIAS), 50)},
        {"dim_media": keys(map(str, numbers(250)))},
        streams=("dim_media",),
    ),
    Odd(
        "pages of 100 medias without a cursor",
        {"medias": paged(list(MANY_MEDIAS), 100)},
        {"dim_media": keys(map(str, numbers(250)))},
        streams=("dim_media",),
    ),
    Odd(
        "the cursor of medias is ignored",
        {"medias": json_reply([{**row, "cursor": str(row["id"])} for row in MANY_MEDIAS[:100]])},
        {"dim_media": keys(map(str, numbers(100)))},
        failed=("dim_media",),
        says=("never end",),
        streams=("dim_media",),
        requests={"medias": 8},
    ),
]


# Days and times.


def bad_day(value: Any, *, account: bool = False) -> Odd:
    """A day that is none, or not in the one form that a key may have."""
    if account:
        return fails(f"a day of the account is {shown(value)}", "account", row(DAY, {"date": value}), "date")
    return fails_without(f"a day of a media is {shown(value)}", "byday", row(DAY, {"date": value}), "date")


def measured(name: str, timestamp: str, day: str = DAY) -> Odd:
    """A measured day by its midnight."""
    return Odd(name, {"timeseries": of(B, row(f"{DAY} 05:00:00.000Z", {"timestamp": timestamp}))})


def received(name: str, time: Any, *, unreadable: int = 0, here: bool = True) -> Odd:
    """An event at another time. It is there, or outside the days that are read."""
    changed = having({"e2": {"received_at": ANYTHING}}) if here else without("e2")
    return Odd(
        name,
        {"events": row("e2", {"received_at": time})},
        {"fact_events": changed, **({} if here else {"dim_visitors": without("v2")})},
        unreadable=unreadable,
        nulled=None,
    )


BEFORE, FIRST = days_ago(10), days_ago(9)
"""The last day that is not read, and the first one that is."""

DATES = [
    *(
        bad_day(value)
        for value in (
            "yesterday qzx",
            1_795_600_000,
            "11/25/2026",
            f"{DAY}T00:00:00Z",
            f" {DAY}",
            f"{DAY} ",
            "2026-02-30",
            "2026-1-5",
            DAY.replace("-", ""),
            f"+{DAY}",
            {"day": "qzx"},
            None,
            "",
        )
    ),
    *(bad_day(value, account=True) for value in ("yesterday qzx", 1_795_600_000, f"{DAY}T00:00:00Z", "2026-02-30")),
    fails("all days of all medias have a time", "byday", every({"date": f"{DAY}T00:00:00Z"}), "date"),
    measured("a measured day far in the east", f"{DAY}T00:00:00+14:00"),
    measured("a measured day far in the west", f"{DAY}T00:00:00-11:00"),
    measured("a measured day with the zone of the account", f"{DAY}T00:00:00-05:00"),
    measured("a measured day in UTC", f"{DAY}T00:00:00Z"),
    measured("a measured day with a space", f"{DAY} 05:00:00Z"),
    measured("a measured day of an account in the east", f"{days_ago(5)} 14:00:00.000Z"),
    fails_without(
        "a measured day is no time",
        "timeseries",
        row(f"{DAY} 05:00:00.000Z", {"timestamp": "qzx"}),
        "no time",
    ),
    received("an event with an offset", f"{DAY}T12:00:00+02:00"),
    received("an event with a space", f"{DAY} 12:00:00Z"),
    received("an event with a space and milliseconds", f"{DAY} 12:00:00.000Z"),
    received("an event that the offset brings before the first day", f"{FIRST}T01:00:00+02:00", here=False),
    received("an event that the offset brings into the first day", f"{BEFORE}T23:30:00-02:00"),
    received("an event before the first day", f"{BEFORE}T12:00:00Z", here=False),
    received("an event with a space before the first day", f"{BEFORE} 12:00:00Z", here=False),
    received("an event whose time is a word", "soon", unreadable=1),
    received("an event whose time is null", None, unreadable=1),
    received("an event whose time is an object", {"x": "qzx"}, unreadable=1),
    received("an event on a day that there is not", "2026-02-30T12:00:00Z", unreadable=1),
    Odd(
        "no event has a readable time",
        {"events": every({"received_at": "soon"})},
        {"fact_events": all_having({"received_at": ANYTHING})},
        unreadable=5,
        nulled=None,
    ),
]


# Ids as they come, and as the settings name them.


def with_id(odd_id: str) -> Odd:
    """A media whose id would be something else in a path, were it written there as it is."""
    medias = tuple({**row, "hashed_id": odd_id} if row["hashed_id"] == B else row for row in Account().medias)
    changed = of_another_media(B, odd_id)
    streams = [stream for resource in STATISTICS for stream in FEEDS[resource]]
    return Odd(
        f"a media has the id {shown(odd_id)}",
        rows=dict.fromkeys(("dim_media", *streams), changed),
        account=lambda: Account(medias=medias),
    )


def with_no_path(odd_id: str) -> Odd:
    """A media whose id leads to another path however it is written: nothing is asked there."""
    usual = with_id(odd_id)
    streams = [stream for resource in STATISTICS for stream in FEEDS[resource]]
    rows = {**dict.fromkeys(streams, without_media(B)), "dim_media": usual.rows["dim_media"]}
    return Odd(usual.name, rows=rows, failed=tuple(streams), moved=tuple(streams), account=usual.account)


IDS = [
    with_no_path("."),
    with_no_path(".."),
    *(with_id(odd_id) for odd_id in ("a?b=c", "a/b", "a b", "ä", "a#b", "a%2fb", "a&b", "a+b", "a:b", "a;b", "a\\b")),
    *(
        Odd(
            f"`media_ids` names {name}",
            settings={"media_ids": [A, wanted]},
            stops=True,
            says=("media_ids", wanted),
        )
        for name, wanted in (("nothing", "nowhere"), ("a number", "12"), ("other letters", B.upper()))
    ),
    Odd(
        "`media_ids` names two of three",
        rows={
            **{stream: where(lambda row: row["media_id"] != B) for stream in ("fact_events", *OF_MEDIAS[1:])},
            "dim_media": without_media(B),
            "dim_visitors": keys(("v2", "v3", "v5")),
            "bridge_media_channel": where(lambda row: row["media_id"] != B),
        },
        settings={"media_ids": [A, C]},
    ),
]


GROUPS: dict[str, list[Odd]] = {
    "cleaning": CLEANING,
    "spellings": SPELLINGS,
    "undecodable": UNDECODABLE,
    "drift": DRIFT,
    "statuses": STATUSES,
    "hostile": HOSTILE,
    "pages": PAGES,
    "dates": DATES,
    "ids": IDS,
}
