"""Inline mapping: what stream maps and flattening make of a stream, at the target and at the tap."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import JSON_LOG, TAP, TARGET, lines, run
from lake import files

SCHEMA = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": ["null", "string"]},
            "email": {"type": ["null", "string"]},
            "age": {"type": ["null", "integer"]},
            "since": {"type": ["null", "string"], "format": "date-time"},
            "address": {
                "type": ["null", "object"],
                "properties": {
                    "city": {"type": "string"},
                    "geo": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}},
                },
            },
            "tags": {"type": "array", "items": {"type": "string"}},
        }
    },
}
USERS = [
    {
        "id": 1,
        "name": "Ann",
        "email": "ann@example.com",
        "age": 40,
        "since": "2025-01-01T00:00:00Z",
        "address": {"city": "Bern", "geo": {"lat": 46.9, "lon": 7.4}},
        "tags": ["a", "b"],
    },
    {
        "id": 2,
        "name": "Bob",
        "email": None,
        "age": None,
        "since": "2026-06-01T12:00:00+02:00",
        "address": None,
        "tags": [],
    },
    {"id": 3, "name": None, "email": "eve@other.org", "age": 17, "since": None, "address": {"city": "Rom"}},
]


def messages(*records, schema=SCHEMA):
    return [
        schema,
        *({"type": "RECORD", "stream": schema["stream"], "record": r} for r in records),
        {"type": "STATE", "value": {"n": 1}},
    ]


@pytest.fixture
def load(tmp_path):
    def start(messages, **settings):
        (tmp_path / "t.json").write_text(json.dumps({"destination": str(tmp_path / "lake"), **settings}))
        return run(TARGET, "--config", tmp_path / "t.json", *JSON_LOG, stdin=lines(*messages))

    return start


@pytest.fixture
def rows(tmp_path, load):
    """Loads and reads a table back, ordered by its first column."""

    def read(table, given=None, **settings):
        load(given or messages(*USERS), **settings).succeeded()
        found = [pq.ParquetFile(path).read() for path in files(tmp_path / "lake", table)]
        whole = pa.concat_tables(found)
        return whole.sort_by(whole.column_names[0]).to_pylist() if whole.column_names else []

    return read


def tables(lake):
    return sorted(path.name for path in lake.iterdir() if path.name != "_lake")


def test_properties_are_renamed_dropped_and_made(rows, tmp_path):
    maps = {
        "users": {
            "__alias__": "people",
            "full_name": "name",
            "name": "__NULL__",
            "email": None,
            "address": "__NULL__",
            "tags": "__NULL__",
            "city": "address.city",
            "source": "'crm'",
            "weight": "2.5",
        }
    }
    assert rows("people", stream_maps=maps) == [
        {
            "id": 1,
            "age": 40,
            "since": instant("2025-01-01T00:00"),
            "full_name": "Ann",
            "city": "Bern",
            "source": "crm",
            "weight": 2.5,
        },
        {
            "id": 2,
            "age": None,
            "since": instant("2026-06-01T10:00"),
            "full_name": "Bob",
            "city": None,
            "source": "crm",
            "weight": 2.5,
        },
        {"id": 3, "age": 17, "since": None, "full_name": None, "city": "Rom", "source": "crm", "weight": 2.5},
    ]
    assert tables(tmp_path / "lake") == ["people"]


def instant(text):
    return pa.scalar(text).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")).as_py()


def test_what_is_mapped_away_is_neither_unknown_nor_checked(load):
    run = load(
        messages({**USERS[0], "email": 5, "really_new": 1}),
        stream_maps={"users": {"email": "__NULL__", "address": "__NULL__"}},
    ).succeeded()
    assert run.summary["streams"]["users"]["unknown"] == {"really_new": 1}


def test_a_stream_is_copied_dropped_and_the_rest_left_out(rows, load, tmp_path):
    others = [{**SCHEMA, "stream": name} for name in ("orders", "tmp_1", "logs")]
    records = [{"type": "RECORD", "stream": name, "record": USERS[0]} for name in ("orders", "tmp_1", "logs")]
    maps = {
        "users": {"email": "__NULL__"},
        "users_pii": {"__source__": "users", "email": "email", "__else__": "__NULL__"},
        "orders": {},
        "tmp_*": "__NULL__",
        "__else__": "__NULL__",
    }
    found = rows("users_pii", [*messages(*USERS), *others, *records], stream_maps=maps)
    assert found == [{"id": user["id"], "email": user["email"]} for user in USERS]
    assert tables(tmp_path / "lake") == ["orders", "users", "users_pii"]


@pytest.mark.parametrize(
    ("filter", "ids"),
    [
        ("age >= 18", [1]),
        ("age is None or age < 18", [2, 3]),
        ("email.endswith('@example.com')", [1]),
        ("'other' in email", [3]),
        ("name in ['Ann', 'Bob'] and not age == 40", [2]),
        ("since >= '2026-01-01'", [2]),
        ("since == '2025-01-01T01:00:00+01:00'", [1]),
        ("address.geo.lat > 40", [1]),
        ("record['address']['city'] != 'Bern'", [2, 3]),
        ("tags", [1]),
        ("id == 99", []),
    ],
)
def test_a_filter_leaves_rows_out(rows, filter, ids):
    maps = {"users": {"__filter__": filter, "id": "id", "__else__": "__NULL__"}}
    try:
        found = [row["id"] for row in rows("users", stream_maps=maps)]
    except pa.ArrowInvalid:
        found = []
    assert found == ids


def test_a_filter_may_leave_out_records_without_a_key(rows, load):
    keyless = {**USERS[0], "id": None}
    maps = {"users": {"__filter__": "id is not None"}}
    assert len(rows("users", messages(keyless, *USERS), stream_maps=maps)) == 3
    summary = load(messages(keyless, *USERS), stream_maps=maps).succeeded().summary["streams"]["users"]
    assert (summary["records"], summary["filtered"]) == (4, 1)
    run = load(messages(*USERS, keyless), stream_maps={"users": {"__filter__": "age == 40"}})
    run.refused("line 5", "`id`", "key_properties")


@pytest.mark.parametrize("extra", [{}, {"add_record_metadata": True, "validate_records": True}])
def test_flattening_makes_columns_and_text_of_what_is_deeper(rows, extra):
    found = rows("users", flattening_enabled=True, flattening_max_depth=1, **extra)
    first = {name: value for name, value in found[0].items() if not name.startswith("_sdc")}
    assert first == {
        "id": 1,
        "name": "Ann",
        "email": "ann@example.com",
        "age": 40,
        "since": instant("2025-01-01T00:00"),
        "address__city": "Bern",
        "address__geo": '{"lat":46.9,"lon":7.4}',
        "tags": '["a","b"]',
    }
    assert [row["address__city"] for row in found] == ["Bern", None, "Rom"]
    assert ("_sdc_received_at" in found[0]) == bool(extra)


def test_flattening_goes_all_the_way_unless_told_otherwise(rows):
    found = rows(
        "users", flattening_enabled=True, flattening_separator="_of_", stream_maps={"users": {"home": "address"}}
    )
    assert found[0]["home_of_geo_of_lon"] == 7.4 and found[0]["address_of_city"] == "Bern"


def test_versions_and_batches_follow_their_stream(rows, tmp_path):
    (tmp_path / "batch.jsonl").write_text("".join(json.dumps(user) + "\n" for user in USERS))
    batch = {
        "type": "BATCH",
        "stream": "users",
        "encoding": {"format": "jsonl"},
        "manifest": [str(tmp_path / "batch.jsonl")],
    }
    old = {"type": "RECORD", "stream": "users", "record": {"id": 9, "name": "old"}, "version": 1}
    settings = {"stream_maps": {"users": {"__alias__": "people", "n": "name", "__else__": "__NULL__"}}}
    assert [row["id"] for row in rows("people", [SCHEMA, old, batch], **settings)] == [1, 2, 3, 9]
    new = {"type": "RECORD", "stream": "users", "record": {"id": 7, "name": "new"}, "version": 2}
    activate = {"type": "ACTIVATE_VERSION", "stream": "users", "version": 2}
    assert [row["id"] for row in rows("people", [SCHEMA, new, activate], **settings)] == [7]


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (
            {"users": {"hash": "md5(email)"}},
            ["stream_maps", "`users.hash`", "md5(email)", "another property", "constant"],
        ),
        ({"users": {"__filter__": "len(name) > 3"}}, ["`users.__filter__`", "is not supported", "startswith"]),
        ({"users": {"id": "__NULL__"}}, ["`stream_maps.users.id`", "__key_properties__"]),
        ({"users": {"x": "nowhere"}}, ["`stream_maps.users.x`", "no property `nowhere`"]),
        ({"users": {"__filter__": "age == 'x'"}}, ["`age`", "bigint", "type string"]),
        ({"users": {"__filter__": "since > 'tomorrow'"}}, ["`since`", "timestamp", "`tomorrow` is no time"]),
    ],
)
def test_what_does_not_work_is_said_with_what_does(load, maps, words):
    load(messages(*USERS), stream_maps=maps).refused(*words)


def test_two_streams_cannot_become_one(load):
    other = {**SCHEMA, "stream": "orders"}
    load([SCHEMA, other], stream_maps={"orders": {"__alias__": "users"}}).refused("`users`", "`orders`", "both")


def test_the_tap_maps_what_it_sends(simulator, pipe):
    server = simulator(seed=70, medias=6, events=50)
    maps = {
        "dim_media": {
            "__alias__": "videos",
            "title": "name",
            "name": "__NULL__",
            "__filter__": "duration is not None and type == 'Video'",
        },
        "fact_events": "__NULL__",
        "dim_visitors": "__NULL__",
    }
    job = pipe(server, stream_maps=maps, flattening_enabled=True)
    tap, _ = job.sync()
    sent = {message["stream"] for message in tap.messages if "stream" in message}
    assert sent == {"videos", "fact_engagements", "fact_engagements_byday", "fact_engagement_graph"}
    assert not [request for request in server.requests() if request["path"] == "stats/events"]
    (schema,) = tap.of_type("SCHEMA", "videos")
    properties = schema["schema"]["properties"]
    assert "title" in properties and "name" not in properties and "project__hashed_id" in properties
    assert properties["assets"]["type"] == ["null", "string"]
    truth = [row for row in server.truth("dim_media") if row["type"] == "Video" and row["duration"] is not None]
    records = {message["record"]["id"]: message["record"] for message in tap.of_type("RECORD", "videos")}
    assert sorted(records) == sorted(row["id"] for row in truth)
    for row in truth:
        assert records[row["id"]]["title"] == row["name"]
        assert records[row["id"]].get("project__name") == (row["project"] or {}).get("name")
        assert json.loads(records[row["id"]]["tags"]) == row["tags"]


def test_tap_and_target_mean_the_same(simulator, pipe, tmp_path):
    """The same maps at either end leave the same lake."""
    server = simulator(seed=71, medias=20, events=200)
    maps = {
        "dim_*": {
            "__filter__": "archived or 'e' in name or duration > 100",
            "where": "project.name",
            "kind": "'media'",
        },
        "dim_visitors": {"ip_address": "__NULL__"},
        "fact_events": {"__filter__": "percent_viewed >= 0.5 and email == 0", "thumbnail": "__NULL__"},
    }
    settings = {"stream_maps": maps, "flattening_enabled": True, "flattening_max_depth": 1}
    at_tap = pipe(server, **settings)
    at_tap.sync()
    at_tap.state.unlink()
    at_target = pipe(server, target={"destination": str(tmp_path / "other"), **settings})
    at_target.sync()
    for table in ("dim_media", "dim_visitors", "fact_events", "fact_engagement_graph"):
        one, other = (
            sorted((row for path in files(lake, table) for row in pq.ParquetFile(path).read().to_pylist()), key=str)
            for lake in (at_tap.lake, at_target.lake)
        )
        assert one and one == other, table


def test_the_catalog_of_the_tap_stays_what_it_is():
    assert (
        run(TAP, "--discover").succeeded().out
        == run(TAP, "--discover", env={"TAP_WISTIA_FLATTENING_ENABLED": "true"}).out
    )


def test_the_tap_points_out_maps_that_do_nothing(simulator, pipe):
    maps = {
        "dim_medai": "__NULL__",
        "orders": {"a": "b"},
        "dim_*": {},
        "dim_visitors": {"emial": "__NULL__", "contry": "__NULL__"},
    }
    job = pipe(simulator(seed=70, medias=1, events=1), stream_maps=maps)
    told = [
        line.partition("WARN ")[2]
        for line in run(*job.tap_command()).succeeded().err.splitlines()
        if "stream_maps" in line
    ]
    assert told == [
        "`stream_maps` names the stream `dim_medai`, which there is not; is `dim_media` meant?",
        "`stream_maps` names the stream `orders`, which there is not",
        "`stream_maps.dim_visitors.emial` drops a property that the stream does not have",
        "`stream_maps.dim_visitors.contry` drops a property that the stream does not have; is `country` meant?",
    ]
