"""The true answers to the queries, computed from the account's true rows and not from the lake."""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, TypeVar

from demo import RULES
from harness import Json

Rows = list[Json]
Truth = Callable[[str], Rows]
"""The true rows of a table."""

Key = TypeVar("Key", bound=Hashable)

SINCE = "2026-01"
"""The first month of the queries."""


def percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


def mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def mean_percent_viewed(rows: Rows) -> float | None:
    share = mean(row["percent_viewed"] for row in rows)
    return None if share is None else 100 * share


def names(truth: Truth) -> dict[str, str]:
    return {media["hashed_id"]: media["name"] for media in truth("dim_media")}


def plays(truth: Truth) -> Rows:
    return [row for row in truth("fact_engagements_byday") if row["date"][:7] >= SINCE]


def events(truth: Truth) -> Rows:
    return [row for row in truth("fact_events") if row["received_at"][:7] >= SINCE]


def grouped(rows: Rows, key: Callable[[Json], Key]) -> dict[Key, Rows]:
    groups: defaultdict[Key, Rows] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def engagement_trends(truth: Truth) -> Rows:
    by_day = {(row["media_id"], row["date"]): row for row in truth("fact_engagements_byday")}
    titles = names(truth)
    answer = []
    for (media, day), row in by_day.items():
        if day < "2026-06-01":
            continue
        week = [str(date.fromisoformat(day) - timedelta(days=age)) for age in range(7)]
        answer.append(
            {
                "day_played": day,
                "media_id": media,
                "media": titles[media],
                "load_count": row["load_count"],
                "play_count": row["play_count"],
                "play_rate_percent": percent(row["play_count"], row["load_count"]),
                "hours_watched": row["hours_watched"],
                "plays_of_7_days": sum(by_day[media, earlier]["play_count"] for earlier in week),
            }
        )
    return answer


def visitors_a_month(rows: Rows) -> float | None:
    """How many visitors a month has, of the months in which there were any."""
    return mean(
        len({row["visitor_key"] for row in month})
        for month in grouped(rows, lambda row: row["received_at"][:7]).values()
    )


def active_regions(truth: Truth) -> Rows:
    countries = {row["visitor_id"]: row["country"] for row in truth("dim_visitors")}
    watched = events(truth)
    places = grouped(watched, lambda row: (countries[row["visitor_key"]] or "unknown", row["region"] or "unknown"))
    return [
        {
            "country": country,
            "visitor_region": region,
            "watched_count": len(rows),
            "visitors_a_month": visitors_a_month(rows),
            "mean_percent_viewed": mean_percent_viewed(rows),
            "percent_of_all": percent(len(rows), len(watched)),
        }
        for (country, region), rows in places.items()
    ]


def channels(truth: Truth) -> dict[str, set[str]]:
    """The names of the channels of each media: Wistia's, where an episode shows it, and that of the first
    rule that fits its name."""
    shown_in = defaultdict(set)
    for row in truth("bridge_media_channel"):
        if row["published"]:
            shown_in[row["media_id"]].add(row["channel"])
    for media, title in names(truth).items():
        for rule in RULES:
            if re.search(rule["name"], title):
                shown_in[media].add(rule["channel"])
                break
    return shown_in


def watch_time(rows: Rows) -> Json:
    return {
        "medias": len({row["media_id"] for row in rows}),
        "plays": sum(row["play_count"] for row in rows),
        "hours_watched": sum(row["hours_watched"] for row in rows),
    }


def watch_time_by_channel(truth: Truth) -> Rows:
    shown_in = channels(truth)
    found = defaultdict(list)
    for row in plays(truth):
        for channel in shown_in[row["media_id"]] or {"in no channel"}:
            found[channel].append(row)
    answer = []
    for channel, rows in found.items():
        time = watch_time(rows)
        answer.append({"channel": channel, **time, "minutes_a_play": 60 * time["hours_watched"] / time["plays"]})
    return answer


def watch_time_by_project(truth: Truth) -> Rows:
    medias = {media["hashed_id"]: media for media in truth("dim_media")}

    def place(row: Json) -> tuple[str, str]:
        media = medias[row["media_id"]]
        return (media["project"] or {}).get("name") or "in no project", media["section"] or "in no section"

    everything = watch_time(plays(truth))["hours_watched"]
    answer = []
    for (project, section), rows in grouped(plays(truth), place).items():
        time = watch_time(rows)
        share = percent(time["hours_watched"], everything)
        answer.append({"project": project, "project_section": section, **time, "percent_of_all": share})
    return answer


def watch_time_by_tag(truth: Truth) -> Rows:
    tags = {media["hashed_id"]: media["tags"] for media in truth("dim_media")}
    found = defaultdict(list)
    for row in plays(truth):
        for tag in tags[row["media_id"]]:
            found[tag].append(row)
    return [{"tag_name": tag, **watch_time(rows)} for tag, rows in found.items()]


def events_by_video(truth: Truth) -> Rows:
    return [
        {
            "month": month,
            "media_id": media,
            "media": rows[0]["media_name"],
            "watched_count": len(rows),
            "visitors": len({row["visitor_key"] for row in rows}),
            "by_known_people": sum(row["email"] for row in rows),
            "watched_to_the_end": sum(row["percent_viewed"] >= 0.9 for row in rows),
            "conversions": sum(row["conversion_type"] is not None for row in rows),
            "on_mobile_devices": sum((row["user_agent_details"] or {}).get("mobile") is True for row in rows),
            "mean_percent_viewed": mean_percent_viewed(rows),
            "last_day": max(row["received_at"] for row in rows)[:10],
        }
        for (month, media), rows in grouped(
            events(truth), lambda row: (row["received_at"][:7], row["media_id"])
        ).items()
    ]


def top_media(truth: Truth) -> Rows:
    medias = {media["hashed_id"]: media for media in truth("dim_media")}
    ranked = sorted(truth("fact_engagements"), key=lambda row: (-row["hours_watched"], row["media_id"]))
    hours = [row["hours_watched"] for row in ranked]
    answer = []
    for row in ranked[:10]:
        media = medias[row["media_id"]]
        answer.append(
            {
                "place": 1 + sum(more > row["hours_watched"] for more in hours),
                "media_id": row["media_id"],
                "media": media["name"],
                "project": media["project"] and media["project"]["name"],
                "hours_watched": row["hours_watched"],
                "play_count": row["play_count"],
                "play_rate_percent": 100 * row["play_rate"],
                "visitors": row["visitors"],
                "engagement_percent": 100 * row["engagement"],
                "minutes_long": media["duration"] and media["duration"] / 60,
            }
        )
    return answer


def drop_off(truth: Truth) -> Rows:
    graphs = {row["media_id"]: row for row in truth("fact_engagement_graph") if row["engagement_data"]}
    hours = {row["media_id"]: row["hours_watched"] for row in truth("fact_engagements")}
    video = min(graphs, key=lambda media: (-hours[media], media))
    media = next(media for media in truth("dim_media") if media["hashed_id"] == video)
    watched, again = graphs[video]["engagement_data"], graphs[video]["rewatch_data"]
    size = -(-len(watched) // 20)
    starts = range(0, len(watched), size)
    watching = [watched[start] for start in starts]
    losses = [here - there for here, there in pairwise(watching)]
    ranks = [1 + sum(other > lost for other in losses) for lost in losses]
    return [
        {
            "media": media["name"],
            "from_second": start * media["duration"] / len(watched),
            "watching": watching[place],
            "percent_watching": percent(watching[place], watching[0]),
            "lost": losses[place] if place < len(losses) else None,
            "steepest": ranks[place] if place < len(losses) else None,
            "watched_again": sum(again[start : start + size]),
        }
        for place, start in enumerate(starts)
    ]


def devices_and_browsers(truth: Truth) -> Rows:
    watched = events(truth)

    def device(row: Json) -> tuple[str, str, str]:
        agent = row["user_agent_details"] or {}
        kind = {True: "mobile", False: "desktop", None: "unknown"}[agent.get("mobile")]
        return kind, agent.get("platform") or "unknown", agent.get("browser") or "unknown"

    return [
        {
            "device": kind,
            "device_platform": platform,
            "browser": browser,
            "watched_count": len(rows),
            "visitors_a_month": visitors_a_month(rows),
            "mean_percent_viewed": mean_percent_viewed(rows),
            "percent_of_all": percent(len(rows), len(watched)),
        }
        for (kind, platform, browser), rows in grouped(watched, device).items()
    ]


ANSWERS = {
    "active_regions": active_regions,
    "devices_and_browsers": devices_and_browsers,
    "drop_off": drop_off,
    "engagement_trends": engagement_trends,
    "events_by_video": events_by_video,
    "top_media": top_media,
    "watch_time_by_channel": watch_time_by_channel,
    "watch_time_by_project": watch_time_by_project,
    "watch_time_by_tag": watch_time_by_tag,
}

# A column, and how exactly it is rounded.
DECIMALS = {
    "from_second": 0,
    "hours_watched": 1,
    "minutes_a_play": 2,
    "minutes_long": 1,
    "mean_percent_viewed": 1,
    "percent_of_all": 1,
    "percent_watching": 1,
    "play_rate_percent": 1,
    "engagement_percent": 1,
    "visitors_a_month": 1,
}


def assert_answers(query: str, columns: list[str], rows: Sequence[Sequence[Any]], truth: Truth) -> None:
    """The rows are the true ones; a rounded value is at most half of its last digit off."""
    expected = ANSWERS[query](truth)
    decimals = {**DECIMALS, "hours_watched": 2 if query == "engagement_trends" else 1}
    assert list(expected[0]) == columns
    assert len(rows) == len(expected)
    keys = [column for column in columns if column not in decimals]

    def key(row: Json) -> list[str]:
        return [str(row[column]) for column in keys]

    answered = sorted((dict(zip(columns, row, strict=True)) for row in rows), key=key)
    for mine, true in zip(answered, sorted(expected, key=key), strict=True):
        for column in columns:
            if column in decimals and true[column] is not None:
                off = abs(float(mine[column]) - true[column])
                assert off <= 0.5 * 10 ** -decimals[column] + 1e-9, f"{column}: {mine} is not {true}"
            else:
                assert mine[column] == true[column], f"{column}: {mine} is not {true}"
