"""The end of a run says how fresh a stream is and what is usual, and warns of a run that is unlike those before it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from harness import JSON_LOG, TARGET, lines, run

KEEP = 14
TEXT = {"type": ["null", "string"]}
WHO = {"type": ["null", "object"], "properties": {"name": TEXT}}


class Nights:
    """A lake, and runs into it."""

    def __init__(self, folder, **settings):
        self.lake, self.config = folder / "lake", folder / "t.json"
        self.settings(**settings)
        self.next = 0

    def settings(self, **settings):
        self.config.write_text(json.dumps({"destination": str(self.lake), **settings}))

    def night(self, records, nulls=0, nameless=0, age=timedelta(hours=3, seconds=30), bookmark="at", flags=()):
        """One run of so many records, the first of them without an e-mail address or a name, the newest of that age."""
        at = {"type": "string", "format": "date-time"}
        schema = {
            "type": "SCHEMA",
            "stream": "s",
            "key_properties": ["id"],
            "bookmark_properties": [bookmark] if bookmark else None,
            "schema": {"properties": {"id": {"type": "integer"}, "email": TEXT, "at": at, "who": WHO}},
        }
        newest = datetime.now(UTC) - age

        def record(number):
            values = {"id": self.next + number, "at": str(newest - timedelta(seconds=number))}
            values["email"] = None if number < nulls else "a@b.c"
            values["who"] = {"name": None if number < nameless else "Ann"}
            return {"type": "RECORD", "stream": "s", "record": values}

        messages = [schema, *map(record, range(records)), {"type": "STATE", "value": {"n": self.next}}]
        self.next += records
        return run(TARGET, "--config", self.config, *flags, stdin=lines(*messages)).succeeded()

    def week(self):
        for _ in range(7):
            done = self.night(100)
            assert "WARN" not in done.err, done.err
        return done

    @property
    def note(self):
        return self.lake / "_lake" / "runs" / "s.json"


@pytest.fixture
def nights(tmp_path):
    return Nights(tmp_path)


def test_freshness_is_said_from_the_first_night_and_what_is_usual_after_a_week(nights):
    first = nights.night(100)
    assert "s: the newest `at` is 20" in first.err and "3 h 0 min ago" in first.err
    assert "in half of the last" not in first.err
    last = nights.week()
    assert "s: 100 records read, in half of the last 7 runs 100 to 100, the newest `at` is 20" in last.err
    summary = json.loads(nights.night(100, flags=JSON_LOG).err.splitlines()[-1])["fields"]["summary"]["streams"]["s"]
    assert (summary["runs_before"], summary["records_usual"]) == (8, [100, 100])
    assert summary["newest"]["column"] == "at" and abs(summary["newest_age_seconds"] - 3 * 3600) < 60


def test_a_night_that_looks_wrong_is_warned_of_in_words(nights):
    nights.week()
    few = nights.night(10)
    assert "WARN" in few.err
    assert "s: 10 records have come, where half of the last 7 runs had 100 to 100" in few.err
    none = nights.night(0)
    assert "s: no record has come, where half of the last 8 runs had 100 to 100" in none.err
    nulls = nights.night(100, nulls=4)
    assert "s: `email` has no value in 4 of 100 records, and had one in all of the last 8 runs" in nulls.err
    nameless = nights.night(100, nameless=3)
    assert "s: `who.name` has no value in 3 of 100 records, and had one in all of the last 9 runs" in nameless.err
    assert "`who`" not in nameless.err
    old = nights.night(100, age=timedelta(days=3, hours=1, minutes=9))
    assert "s: the newest `at` is 20" in old.err and "3 d 1 h ago; after the runs before it was at most" in old.err
    summary = json.loads(nights.night(5, flags=JSON_LOG).err.splitlines()[-1])["fields"]["summary"]["streams"]["s"]
    assert [words for words in summary["unusual"] if "5 records have come" in words]


def test_so_many_runs_are_remembered_and_one_that_fails_is_none_of_them(nights):
    for _ in range(KEEP + 2):
        nights.night(3)
    note = json.loads(nights.note.read_text())
    assert len(note["runs"]) == KEEP and note["nulls"]["email"] == [0] * KEEP
    before = nights.note.read_text()
    failed = run(TARGET, "--config", nights.config, stdin="no message\n")
    assert failed.code == 1 and nights.note.read_text() == before


def test_none_are_remembered_where_nobody_asks_for_it(tmp_path):
    nights = Nights(tmp_path, history_runs=0)
    done = nights.night(3)
    assert not nights.note.exists() and "the newest" not in done.err


def test_a_note_that_is_damaged_keeps_no_row_from_the_lake(nights):
    nights.night(3)
    nights.note.write_text("{")
    done = nights.night(3)
    assert "could not be noted in the lake, which has its rows" in done.err and "s.json" in done.err
    assert nights.note.read_text() == "{"


@pytest.mark.parametrize("bookmark", ["at", "nothing of it", None])
def test_a_partition_by_date_says_it_where_no_bookmark_does(tmp_path, bookmark):
    by_day = {"s": {"partition_by": {"column": "at", "granularity": "day"}}}
    done = Nights(tmp_path, streams=by_day).night(3, bookmark=bookmark)
    assert "the newest `at` is 20" in done.err
