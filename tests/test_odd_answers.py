"""What the tap makes of answers that Wistia should never give.

Each row of `odd_answers.py` is one answer that is odd, in an account that is good otherwise. Whatever is odd
about it: what the account has beside it arrives, what is missing is told, and no state claims more than was read.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import TOKEN
from odd_answers import GROUPS
from odd_rows import Odd, bookmarked
from stub_syncs import Sync, differences, sync
from wistia_stub import Account, Stub

TABLE = [pytest.param(odd, id=f"{group}: {odd.name}") for group, rows in GROUPS.items() for odd in rows]


def test_each_row_has_a_name_of_its_own():
    names = [param.id for param in TABLE]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


@pytest.fixture(scope="session")
def stub():
    server = Stub()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def baseline(stub, tmp_path_factory):
    """A sync of the account in which nothing is odd."""
    with stub.serving():
        return sync(stub, tmp_path_factory.mktemp("baseline"))


def test_a_good_account_is_read_as_it_is(stub, baseline):
    assert baseline.code == 0, baseline.err
    summary = baseline.summary
    assert (summary["failed"], summary["nulled_values"], summary["skipped_rows"]) == ([], 0, 0)
    account = Account()
    counts = {name: len(rows) for name, rows in baseline.rows.items()}
    days = 10
    assert counts["dim_media"] == counts["fact_engagements"] == counts["fact_engagement_graph"] == 3
    assert counts["fact_engagement_graph_points"] == 9
    assert counts["fact_engagements_byday"] == counts["fact_media_timeseries"] == 3 * days
    assert counts["fact_account_byday"] == days
    assert counts["fact_events"] == counts["dim_visitors"] == 5
    assert counts["visitors"] == 3
    assert counts["dim_projects"] == counts["dim_channels"] == 2
    assert counts["bridge_media_channel"] == 3
    assert (counts["dim_tags"], counts["dim_deleted_media"], counts["fact_media_actions"]) == (4, 2, 3)
    for event in (event for _, event in account.events):
        row = baseline.rows["fact_events"][event["event_key"]]
        same = ("received_at", "city", "lat", "lon", "percent_viewed", "visitor_key", "media_id", "user_agent_details")
        assert {name: row[name] for name in same} == {name: event[name] for name in same}
        assert row["email"] == (1 if event["email"] else 0)
        assert row["thumbnail"]["file_size"] == event["thumbnail"]["fileSize"]
    for media in account.medias:
        row = baseline.rows["dim_media"][str(media["id"])]
        assert row["tags"] == [tag["name"] for tag in media["tags"]]
        assert [asset["file_size"] for asset in row["assets"]] == [asset["fileSize"] for asset in media["assets"]]
    assert bookmarked(baseline) == {
        "fact_events",
        "dim_visitors",
        "fact_engagements_byday",
        "fact_media_timeseries",
        "fact_account_byday",
    }


@pytest.mark.parametrize("odd", TABLE)
def test_an_odd_answer(stub, baseline, tmp_path, odd: Odd):
    with stub.serving(odd.account() if odd.account else None, odd.answers):
        done = sync(stub, tmp_path, odd.streams, **odd.settings)
        asked = {resource: len(stub.requests(resource)) for resource in ("", *odd.requests)}
    wrong = [*shown(odd, done, stub), *asked_too_often(odd, asked)]
    if odd.stops:
        claimed = bookmarked(done) & set(odd.failed or baseline.rows)
        wrong += [f"the state has {claimed}"] if claimed else []
    else:
        wrong += [*read(odd, done, baseline), *summed_up(odd, done), *claimed_too_much(odd, done, baseline)]
    # All that is wrong at once, and what the tap said.
    assert not wrong, "\n".join(["", *wrong, "", done.log])


def shown(odd: Odd, done: Sync, stub: Stub) -> Iterator[str]:
    """What a person gets to see."""
    if done.code != odd.code:
        yield f"exit code {done.code} and not {odd.code}"
    for word in ("panicked", "internal error"):
        if word in done.log:
            yield f"it {word}"
    for word in (TOKEN, *odd.hides):
        if any(word in text for text in (done.out, done.err, done.log)):
            yield f"{word[:100]!r} is shown"
    for word in odd.says:
        if word.replace("{host}", stub.host) not in done.log:
            yield f"{word!r} is not said"
    if done.seconds > odd.within:
        yield f"it took {done.seconds:.1f} s"
    if done.megabytes > odd.megabytes:
        yield f"it took {done.megabytes:.0f} MB"


def asked_too_often(odd: Odd, asked: dict[str, int]) -> Iterator[str]:
    """Requests in vain."""
    if asked[""]:
        yield "it asked for paths that there are not"
    for resource, most in odd.requests.items():
        if asked[resource] > most:
            yield f"{asked[resource]} requests for {resource}"


def read(odd: Odd, done: Sync, baseline: Sync) -> Iterator[str]:
    """What is odd about one stream takes nothing from another."""
    for stream in sorted(set(odd.streams or baseline.rows) - odd.unknown):
        yield from differences(stream, odd.expected(stream, baseline), done.rows.get(stream, {}))


def summed_up(odd: Odd, done: Sync) -> Iterator[str]:
    """What is missing stands in the summary, and what failed in the log by its name too."""
    summary = done.summary
    if set(summary["failed"]) - odd.unknown != set(odd.failed) - odd.unknown:
        yield f"failed are {summary['failed']} and not {odd.failed}"
    for stream in sorted(set(odd.failed) - odd.unknown):
        if not any(entry["level"] == "ERROR" and stream in str(entry["fields"]) for entry in done.entries):
            yield f"no error names {stream}"
    if odd.failed and not odd.counted:
        return
    counted = {"skipped_rows": odd.skipped, "unreadable_times": odd.unreadable}
    if odd.nulled is not None:
        counted |= {"nulled_columns": dict(odd.nulled), "nulled_values": sum(odd.nulled.values())}
    for name, value in counted.items():
        # What there is none of may be left out.
        if value != summary.get(name, {} if isinstance(value, dict) else 0):
            yield f"{name} is {summary.get(name)} and not {value}"


def claimed_too_much(odd: Odd, done: Sync, baseline: Sync) -> Iterator[str]:
    """A stream that failed has come no further; every other one has."""
    failed, streams = set(odd.failed), set(odd.streams or baseline.rows)
    if too_far := bookmarked(done) & failed - set(odd.moved):
        yield f"the state says that these were read: {too_far}"
    if behind := (bookmarked(baseline) & streams) - bookmarked(done) - failed - odd.unknown:
        yield f"the state says that these were not read: {behind}"
