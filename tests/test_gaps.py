"""What one sync could not read, or was not asked for, the next one reads: from where it was left."""

from __future__ import annotations

import json

import pytest

from odd_rows import bookmarked, every, json_reply, of, reply
from stub_syncs import days_ago, sync
from wistia_stub import MEDIAS, Account, Stub, event, good, media

A, B, C = MEDIAS
DAYS = 61
"""Days of the account, today included. The lookback of daily figures is 14 days, that of events 3."""

EVENTS = tuple(
    (days_ago(ago), event(number, MEDIAS[number % 3], days_ago(ago)))
    for number, ago in enumerate((55, 50, 45, 40, 35, 30, 20, 10, 1), 1)
)
BY_DAY = {"fact_engagements_byday": "byday", "fact_media_timeseries": "timeseries"}
WORDS = "from the beginning"


@pytest.fixture(scope="module")
def stub():
    server = Stub()
    yield server
    server.stop()


class Nights:
    """Syncs of an account, one after the other, and the state between them."""

    def __init__(self, stub, folder):
        self.stub, self.folder, self.state, self.settings = stub, folder, None, {}
        self.account = Account(events=EVENTS)

    def sync(self, answers=None, streams=None, code=0, **settings):
        self.settings |= settings
        options = {"start_date": str(days_ago(DAYS - 1)), **self.settings}
        with self.stub.serving(self.account, answers):
            done = sync(self.stub, self.folder, streams, self.state, **options)
            self.asked = list(self.stub.asked)
        assert code is None or done.code == code, done.log
        assert "panicked" not in done.err and "internal error" not in done.err
        self.state = done.state
        assert len(json.dumps(self.state)) < 4096
        return done

    def first_day(self, resource, media_id):
        """From when on a media was asked for."""
        (asked,) = (asked for asked in self.asked if (asked.resource, asked.media) == (resource, media_id))
        return asked.query["start_date"]


@pytest.fixture
def nights(stub, tmp_path):
    return Nights(stub, tmp_path)


def days_of(done, stream, media_id):
    return sorted(row["date"] for row in done.rows[stream].values() if row["media_id"] == media_id)


def days(count):
    """The last days, today included."""
    return [str(days_ago(ago)) for ago in reversed(range(count))]


def events_of(done, media_id):
    return {key for key, row in done.rows["fact_events"].items() if row["media_id"] == media_id}


ALL_OF = {name: {row["event_key"] for _, row in EVENTS if row["media_id"] == name} for name in MEDIAS}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply(404), 0),
        (reply(403, '{"error":"no"}'), 0),
        (reply(500), 1),
        (reply(400), 1),
        (reply(200, "<html>"), 1),
        (json_reply({"error": "gone"}), 1),
    ],
    ids=["404", "403", "500", "400", "HTML", "an error with 200"],
)
@pytest.mark.parametrize("stream", BY_DAY)
def test_days_of_a_media_that_was_left_out_are_read_when_it_is_there_again(nights, stream, answer, code):
    answers = {BY_DAY[stream]: of(B, answer)}
    first = nights.sync(answers, [stream], code)
    assert days_of(first, stream, A) == days(DAYS) and days_of(first, stream, B) == []
    # One more night without it.
    nights.sync(answers, [stream], code)
    third = nights.sync(None, [stream])
    assert days_of(third, stream, B) == days(DAYS)
    # That was that.
    fourth = nights.sync(None, [stream])
    assert [days_of(fourth, stream, name) for name in MEDIAS] == [days(15)] * 3


@pytest.mark.parametrize("stream", BY_DAY)
def test_a_media_that_is_left_out_later_is_read_from_where_it_was_left(nights, stream):
    resource = BY_DAY[stream]
    nights.sync(None, [stream])
    nights.sync({resource: of(B, reply(404))}, [stream], byday_lookback_days=20)
    left = nights.first_day(resource, B)
    nights.sync(None, [stream], byday_lookback_days=2)
    assert left == str(days_ago(20))
    assert nights.first_day(resource, B) <= left
    assert nights.first_day(resource, A) == str(days_ago(2))


@pytest.mark.parametrize("nothing", [[], [{}], [None]], ids=json.dumps)
@pytest.mark.parametrize("stream", BY_DAY)
def test_days_that_were_asked_for_and_did_not_come_are_read_when_they_are_there(nights, stream, nothing):
    """Each day has a row, also those on which nothing happened."""
    nights.sync({BY_DAY[stream]: of(B, json_reply(nothing))}, [stream], code=None)
    second = nights.sync(None, [stream])
    assert days_of(second, stream, B) == days(DAYS)


@pytest.mark.parametrize("stream", [*BY_DAY, "fact_account_byday"])
def test_no_days_at_all_are_nothing_that_was_read(nights, stream):
    nights.sync({BY_DAY.get(stream, "account"): json_reply([])}, [stream], code=None)
    second = nights.sync(None, [stream])
    assert len(second.rows[stream]) == (DAYS if stream == "fact_account_byday" else 3 * DAYS)


@pytest.mark.parametrize("status", [404, 403])
@pytest.mark.parametrize("stream", BY_DAY)
def test_where_every_media_is_left_out_nothing_was_read(nights, stream, status):
    first = nights.sync({BY_DAY[stream]: reply(status)}, [stream], code=1)
    assert first.summary["failed"] == [stream] and not bookmarked(first)
    second = nights.sync(None, [stream])
    assert [days_of(second, stream, name) for name in MEDIAS] == [days(DAYS)] * 3


@pytest.mark.parametrize(
    ("stream", "resource"),
    [
        ("fact_events", "events"),
        ("fact_account_byday", "account"),
        ("fact_engagements_byday", "byday"),
        ("fact_media_timeseries", "timeseries"),
    ],
)
@pytest.mark.parametrize("answer", [reply(500), reply(400), json_reply({"error": "gone"}), reply(200, "<html>")])
def test_a_stream_that_failed_is_read_again_from_its_beginning(nights, stream, resource, answer):
    first = nights.sync({resource: answer}, [stream], code=1)
    assert first.summary["failed"] == [stream] and not bookmarked(first)
    second = nights.sync(None, [stream])
    expected = {"fact_events": len(EVENTS), "fact_account_byday": DAYS}.get(stream, 3 * DAYS)
    assert len(second.rows[stream]) == expected


@pytest.mark.parametrize("answer", [reply(500), json_reply({"error": "gone"}), every({"lat": {"x": 1}})])
def test_events_go_on_behind_the_last_days_that_were_read(nights, answer):
    """They are read in slices of days, oldest first."""
    nights.account = Account(
        events=tuple((days_ago(ago), event(ago, A, days_ago(ago))) for ago in range(150, -1, -1)),
    )
    streams = ["fact_events", "dim_visitors"]
    everything = {f"e{ago}" for ago in range(151)}

    def later(asked, truth):
        return (answer if asked.query["start_date"] > str(days_ago(100)) else good)(asked, truth)

    first = nights.sync({"events": later}, streams, code=1, start_date=str(days_ago(150)))
    assert sorted(first.summary["failed"]) == sorted(streams)
    read = set(first.rows["fact_events"])
    assert read and read < everything
    # What the state says is what was written.
    day = first.state["bookmarks"]["fact_events"]["day"]
    assert {f"e{ago}" for ago in range(151) if str(days_ago(ago)) <= day} <= read
    second = nights.sync(None, streams)
    assert read | set(second.rows["fact_events"]) == everything
    assert set(second.rows["fact_events"]) < everything


def test_what_drifted_is_read_again_when_it_is_back(nights):
    streams = ["fact_events", "dim_visitors", "fact_account_byday"]
    drifted = {"events": every({"lat": {"x": 1}}), "account": every({"load_count": {"x": 1}})}
    nights.sync(None, streams)
    second = nights.sync(drifted, streams, code=1, lookback_days=60, byday_lookback_days=60)
    assert sorted(second.summary["failed"]) == sorted(streams)
    assert not any(second.rows.values())
    third = nights.sync(None, streams)
    assert len(third.rows["fact_events"]) == len(EVENTS)
    assert len(third.rows["fact_account_byday"]) == DAYS


def test_medias_that_are_named_later_are_read_from_the_beginning(nights):
    streams = [*BY_DAY, "fact_events", "dim_visitors", "fact_engagements"]
    first = nights.sync(None, streams, media_ids=[A])
    assert events_of(first, A) == ALL_OF[A] and not events_of(first, B)
    second = nights.sync(None, streams, media_ids=[A, B])
    assert WORDS in second.log
    for stream in BY_DAY:
        assert days_of(second, stream, B) == days(DAYS)
        assert days_of(second, stream, C) == []
    assert events_of(second, B) == ALL_OF[B] and not events_of(second, C)
    # All of them, which no list names.
    third = nights.sync(None, streams, media_ids=[])
    assert WORDS in third.log
    assert days_of(third, "fact_engagements_byday", C) == days(DAYS) and events_of(third, C) == ALL_OF[C]
    fourth = nights.sync(None, streams)
    assert WORDS not in fourth.log
    assert [days_of(fourth, stream, name) for stream in BY_DAY for name in MEDIAS] == [days(15)] * 6
    assert len(fourth.rows["fact_events"]) == 1


def test_fewer_medias_are_nothing_to_read_again(nights):
    streams = [*BY_DAY, "fact_events"]
    nights.sync(None, streams)
    second = nights.sync(None, streams, media_ids=[A, B])
    assert WORDS not in second.log
    assert [days_of(second, stream, A) for stream in BY_DAY] == [days(15)] * 2
    third = nights.sync(None, streams, media_ids=[])
    # Of the one that was away, nobody knows what has changed since.
    for stream in BY_DAY:
        assert set(days(15)) <= set(days_of(third, stream, C))
    assert third.code == 0


def test_medias_that_are_not_there_move_nothing(nights):
    done = nights.sync(None, None, code=1, media_ids=[A, "nowhere"])
    assert "media_ids" in done.log and "nowhere" in done.log
    assert not bookmarked(done)
    second = nights.sync(None, None, media_ids=[A])
    assert days_of(second, "fact_engagements_byday", A) == days(DAYS)


def test_an_earlier_first_day_is_read_from_the_beginning(nights):
    streams = [*BY_DAY, "fact_events", "dim_visitors", "fact_account_byday"]
    first = nights.sync(None, streams, start_date=str(days_ago(20)))
    assert days_of(first, "fact_engagements_byday", A) == days(21)
    second = nights.sync(None, streams, start_date=str(days_ago(DAYS - 1)))
    assert WORDS in second.log
    for stream in BY_DAY:
        assert [days_of(second, stream, name) for name in MEDIAS] == [days(DAYS)] * 3
    assert len(second.rows["fact_events"]) == len(second.rows["dim_visitors"]) == len(EVENTS)
    assert len(second.rows["fact_account_byday"]) == DAYS
    third = nights.sync(None, streams)
    assert WORDS not in third.log and days_of(third, "fact_engagements_byday", A) == days(15)
    # A later one is nothing to read again.
    fourth = nights.sync(None, streams, start_date=str(days_ago(30)))
    assert WORDS not in fourth.log and days_of(fourth, "fact_engagements_byday", A) == days(15)


def test_archived_medias_are_read_from_the_beginning_once_they_are_wanted(nights):
    archived = {**media(12, B), "archived": True}
    nights.account = Account(events=EVENTS, medias=(media(11, A), archived, media(13, C)))
    streams = [*BY_DAY, "dim_media"]
    first = nights.sync(None, streams, include_archived=False)
    assert set(first.rows["dim_media"]) == {"11", "13"}
    second = nights.sync(None, streams, include_archived=True)
    assert set(second.rows["dim_media"]) == {"11", "12", "13"}
    assert WORDS in second.log
    for stream in BY_DAY:
        assert days_of(second, stream, B) == days(DAYS)
    third = nights.sync(None, streams)
    assert WORDS not in third.log and days_of(third, "fact_engagements_byday", B) == days(15)


def test_a_stream_that_is_selected_later_is_read_from_the_beginning(nights):
    nights.sync(None, ["fact_engagements_byday", "fact_events"])
    streams = ["fact_engagements_byday", "fact_media_timeseries", "fact_events", "dim_visitors", "fact_account_byday"]
    second = nights.sync(None, streams)
    assert days_of(second, "fact_media_timeseries", A) == days(DAYS)
    assert len(second.rows["dim_visitors"]) == len(EVENTS)
    assert len(second.rows["fact_account_byday"]) == DAYS
    assert days_of(second, "fact_engagements_byday", A) == days(15)
    assert WORDS in second.log
    third = nights.sync(None, streams)
    assert WORDS not in third.log and len(third.rows["dim_visitors"]) == 1


@pytest.mark.parametrize("treatment", ["hash", "drop"])
def test_another_treatment_of_personal_data_takes_the_place_of_the_first(nights, treatment):
    streams = ["fact_events", "dim_visitors", "fact_engagements_byday"]
    first = nights.sync(None, streams)
    kept = {row["visitor_key"] for row in first.rows["fact_events"].values()}
    second = nights.sync(None, streams, personal_data=treatment, personal_data_salt="pepper of some length")
    assert WORDS in second.log and "pepper of some length" not in second.log + json.dumps(second.state)
    assert set(second.rows["fact_events"]) == set(first.rows["fact_events"])
    assert not kept & {row["visitor_key"] for row in second.rows["fact_events"].values()}
    assert len(second.rows["dim_visitors"]) == len(EVENTS)
    # There is nothing personal about days.
    assert days_of(second, "fact_engagements_byday", A) == days(15)
    third = nights.sync(None, streams)
    assert WORDS not in third.log and len(third.rows["fact_events"]) == 1


def test_a_state_of_an_older_release_is_gone_on_with(nights):
    yesterday = str(days_ago(1))
    read = {"day": yesterday, "read_on": yesterday}
    bookmarks = {
        "fact_events": read,
        "dim_visitors": read,
        "fact_account_byday": read,
        "fact_engagements_byday": {**read, "newest_media": 13},
        "fact_media_timeseries": {**read, "newest_media": 13},
    }
    nights.state = {"bookmarks": bookmarks}
    done = nights.sync()
    assert set(days(16)) <= set(days_of(done, "fact_engagements_byday", A))
    assert {"e9"} <= set(done.rows["fact_events"])
    again = nights.sync()
    assert days_of(again, "fact_engagements_byday", A) == days(15)


@pytest.mark.parametrize("step", [2, 3], ids=["every second", "every third"])
def test_a_state_stays_small_however_many_medias_were_left_out(nights, step):
    medias = tuple(media(number, f"media{number:05}") for number in range(1, 3001))
    nights.account = Account(medias=medias)
    gone = {row["hashed_id"] for row in medias[::step]}

    def answer(asked, truth):
        return reply(404)(asked, truth) if asked.media in gone else good(asked, truth)

    stream = "fact_engagements_byday"
    settings = {"start_date": str(days_ago(5)), "byday_lookback_days": 0, "concurrency": 16}
    first = nights.sync({"byday": answer}, [stream], **settings)
    assert len(first.rows[stream]) == 6 * (3000 - len(gone))
    # `sync` looks at the size of each last state; those on the way are no larger.
    states = [message["value"] for message in first.messages if message["type"] == "STATE"]
    assert len(states) >= 30 and max(len(json.dumps(state)) for state in states) < 4096
    second = nights.sync(None, [stream])
    assert first.rows[stream].keys() | second.rows[stream].keys() >= {
        f"{row['hashed_id']}|{day}" for row in medias for day in days(6)
    }
    third = nights.sync(None, [stream])
    assert len(third.rows[stream]) == 3000


@pytest.mark.parametrize("stream", BY_DAY)
def test_whichever_state_is_the_last_one_nothing_is_missing_behind_it(nights, stream):
    """A sync may die behind any of its states, with medias that were left out before it."""
    medias = tuple(media(number, f"media{number:05}") for number in range(1, 351))
    nights.account = Account(medias=medias)
    gone = {row["hashed_id"] for row in medias[::7]}

    def answer(asked, truth):
        return reply(404)(asked, truth) if asked.media in gone else good(asked, truth)

    settings = {"start_date": str(days_ago(3)), "byday_lookback_days": 0}
    nights.sync({BY_DAY[stream]: answer}, [stream], **settings)
    # The second one dies. Before, one of those that were away was there again, and others are away now.
    gone = {row["hashed_id"] for row in medias[1::5]}
    second = nights.sync({BY_DAY[stream]: answer}, [stream], **settings)
    everything = {f"{row['hashed_id']}|{day}" for row in medias for day in days(4)}
    written = {f"{row['hashed_id']}|{day}" for row in medias if row not in medias[::7] for day in days(4)}
    for message in second.messages:
        if message["type"] == "RECORD":
            written.add(f"{message['record']['media_id']}|{message['record']['date']}")
        elif message["type"] == "STATE":
            nights.state = message["value"]
            # The first one ends the pass that was begun, the next one reads what that had left out.
            after = [nights.sync(None, [stream], **settings).rows[stream].keys() for _ in range(2)]
            assert written.union(*after) >= everything
