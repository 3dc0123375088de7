"""The words in which `odd_answers.py` says what is odd and what comes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import Json
from stub_syncs import ANYTHING, Sync
from wistia_stub import Account, Answer, Asked, Raw, Reply, encode, good, page_of

Rows = Mapping[str, Json]
"""Rows of a stream by their key."""

Change = Callable[[Rows], Rows]
"""Makes the rows that a stream should have of those that it has where nothing is odd."""

FEEDS = {
    "medias": ("dim_media",),
    "projects": ("dim_projects",),
    "channels": ("dim_channels",),
    "episodes": ("bridge_media_channel",),
    "tags": ("dim_tags",),
    "deleted": ("dim_deleted_media",),
    "visitors": ("visitors",),
    "events": ("fact_events", "dim_visitors"),
    "stats": ("fact_engagements", "fact_media_actions"),
    "byday": ("fact_engagements_byday",),
    "graph": ("fact_engagement_graph", "fact_engagement_graph_points"),
    "timeseries": ("fact_media_timeseries",),
    "account": ("fact_account_byday",),
}
"""The streams that each resource of the account feeds."""

STATISTICS = ("stats", "byday", "graph", "timeseries")
"""What is asked for media by media."""

OF_MEDIAS = ("dim_media", *(stream for resource in STATISTICS for stream in FEEDS[resource]))
"""Streams that cannot be without the list of medias."""


def bookmarked(done: Sync) -> set[str]:
    """Streams of which the next sync reads only what is new."""
    return {name for name, bookmark in done.state["bookmarks"].items() if bookmark.get("day")}


@dataclass(frozen=True)
class Odd:
    """An odd answer, and what the tap makes of it."""

    name: str
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """What is answered in the place of what is true, by resource."""
    rows: Mapping[str, Change] = field(default_factory=dict)
    """Rows of streams that are not as ever. Of a stream that failed there are none, unless they stand here."""
    failed: tuple[str, ...] = ()
    """Streams that are named as not synced."""
    nulled: Mapping[str, int] | None = field(default_factory=dict)
    """Odd values by column. None where it does not matter."""
    skipped: Any = 0
    """Rows that were left out."""
    unreadable: int = 0
    """Events whose time cannot be read."""
    says: tuple[str, ...] = ()
    """What the log or the error at its end must have in it."""
    hides: tuple[str, ...] = ("qzx",)
    """What nobody should get to see, on any output."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    account: Callable[[], Account] | None = None
    """Another account than the usual one."""
    streams: tuple[str, ...] | None = None
    """The streams that are read. None for all."""
    stops: bool = False
    """Whether nothing more is read after it, and no state is written."""
    counted: bool = False
    """Whether odd values are counted although a stream failed."""
    moved: tuple[str, ...] = ()
    """Failed streams whose bookmark may move all the same: it tells what is left to be read."""
    unknown: frozenset[str] = frozenset()
    """Streams of which nothing is said."""
    requests: Mapping[str, int] = field(default_factory=dict)
    """How often a resource may be asked for at the most."""
    within: float = 20
    """Seconds."""
    megabytes: float = 128
    """Of memory."""

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.failed or self.stops else 0

    def expected(self, stream: str, baseline: Sync) -> Rows:
        if stream in self.rows:
            return self.rows[stream](baseline.rows[stream])
        return {} if stream in self.failed else baseline.rows[stream]


# Answers.


def reply(status: int = 200, body: bytes | str = b"", **headers: str) -> Answer:
    """The same, whatever was asked. An underscore in the name of a header stands for a dash."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    found = Reply(body.encode() if isinstance(body, str) else body, status, names)
    return lambda asked, truth: found


def json_reply(document: Any, status: int = 200) -> Answer:
    return reply(status, encode(document))


def of(media: str, answer: Answer) -> Answer:
    """Only for this media."""
    return lambda asked, truth: answer(asked, truth) if asked.media == media else good(asked, truth)


def once(answer: Answer, times: int = 1) -> Answer:
    """Only for the first requests."""
    return lambda asked, truth: answer(asked, truth) if asked.number <= times else good(asked, truth)


def on_page(page: int, answer: Answer) -> Answer:
    """Only for this page of a list."""
    return lambda asked, truth: answer(asked, truth) if asked.page == page else good(asked, truth)


IDENTITIES = ("event_key", "hashed_id", "hashedId", "visitor_key", "date", "timestamp", "name")


def is_row(row: Json, key: str) -> bool:
    return any(row.get(name) == key for name in IDENTITIES)


def edited(row: Json, changes: Mapping[str, Any]) -> Json:
    """A row with other values. A path such as `assets.0.width` leads into what it holds."""
    row = copy.deepcopy(row)
    for path, value in changes.items():
        *way, last = path.split(".")
        place: Any = row
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if value is GONE:
            place.pop(last)
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return row


GONE: Any = object()
"""In the place of a value: the field is not there."""


def row(key: str, changes: Mapping[str, Any]) -> Answer:
    """One row of a list has other values."""

    def answer(_: Asked, truth: Any) -> Reply:
        return Reply(encode([edited(row, changes) if is_row(row, key) else row for row in truth]))

    return answer


def every(changes: Mapping[str, Any]) -> Answer:
    """All rows of a list, or the one object that is answered, have other values."""

    def answer(_: Asked, truth: Any) -> Reply:
        if isinstance(truth, list):
            return Reply(encode([edited(row, changes) for row in truth]))
        return Reply(encode(edited(truth, changes)))

    return answer


def with_row(extra: Any) -> Answer:
    """A list that has something else in it, too; where it has anything."""
    return lambda asked, truth: Reply(encode([*truth, extra] if truth else truth))


def instead_of(key: str, other: Any) -> Answer:
    """Something else stands in the place of a row."""
    return lambda asked, truth: Reply(encode([other if is_row(row, key) else row for row in truth]))


def renamed(names: Mapping[str, str]) -> Answer:
    """Fields have other names, in all rows or in the one object."""

    def answer(_: Asked, truth: Any) -> Reply:
        def rename(row: Json) -> Json:
            return {names.get(name, name): value for name, value in row.items()}

        return Reply(encode([rename(row) for row in truth] if isinstance(truth, list) else rename(truth)))

    return answer


def prefixed(prefix: bytes) -> Answer:
    return lambda asked, truth: Reply(prefix + encode(truth))


def paged(rows: list[Json], size: int) -> Answer:
    """A list in pages of this size, whatever is asked for."""
    return lambda asked, truth: Reply(encode(page_of(rows, asked, size)))


def pages(*lists: list[Json]) -> Answer:
    """These pages, then empty ones."""
    return lambda asked, truth: Reply(encode(lists[asked.page - 1] if asked.page <= len(lists) else []))


# Rows.


def having(changes: Mapping[str, Mapping[str, Any]]) -> Change:
    """Some rows have other values."""
    return lambda rows: {**rows, **{key: edited(rows[key], columns) for key, columns in changes.items()}}


def without(*keys: str) -> Change:
    assert keys
    return lambda rows: {key: row for key, row in rows.items() if key not in keys}


def where(condition: Callable[[Json], object]) -> Change:
    return lambda rows: {key: row for key, row in rows.items() if condition(row)}


def without_media(media: str) -> Change:
    """Nothing of this media."""
    return where(lambda row: media not in (row.get("media_id"), row.get("hashed_id")))


def all_having(columns: Mapping[str, Any]) -> Change:
    return lambda rows: {key: edited(row, columns) for key, row in rows.items()}


def keys(names: Iterable[str]) -> Change:
    """Rows of exactly these keys, whatever they hold."""
    found: dict[str, Any] = dict.fromkeys(names, ANYTHING)
    return lambda rows: found


def of_another_media(old: str, new: str) -> Change:
    """What one media has is another's."""

    def change(rows: Rows) -> Rows:
        moved = {}
        for key, row in rows.items():
            names = {name: new for name in ("media_id", "hashed_id") if row.get(name) == old}
            moved["|".join(new if part == old else part for part in key.split("|"))] = {**row, **names}
        return moved

    return change


def shown(value: Any) -> str:
    """A value as the name of a test has it."""
    if isinstance(value, Raw):
        return value.text.decode(errors="backslashreplace")
    return "missing" if value is GONE else json.dumps(value)
