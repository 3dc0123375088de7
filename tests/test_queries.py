"""The queries: what Redshift would refuse is not in them, and every engine answers what is true."""

import duckdb
import pytest
import sqlglot

import querying
import redshift
from answers import assert_answers
from demo import DEPLOY, analyst, ask, connect, text_of, warehouse
from redshift_rights import let_through, rights

pytestmark = pytest.mark.xdist_group("demo")

REDSHIFT = DEPLOY / "redshift"
QUESTIONS = sorted(set(REDSHIFT.glob("*.sql")) - set(redshift.SETUP))


def name(path):
    return path.stem


@pytest.fixture(scope="module")
def lake(demo):
    """As analysts have it."""
    return analyst(demo.lake)


@pytest.fixture(scope="module")
def everything(demo):
    return warehouse(demo.lake)


@pytest.fixture(scope="module")
def athena_lake(demo):
    """The two databases, and the views that Athena needs for some questions."""
    connection = connect(demo.lake, "wistia", "wistia__personal")
    connection.execute("create schema wistia_views")
    for path in sorted((DEPLOY / "athena").glob("viewing_*.sql")):
        connection.execute(athena(path.read_text()))
    return connection


@pytest.mark.parametrize("path", QUESTIONS, ids=name)
def test_a_question_is_answered_with_what_is_true(path, lake, demo):
    query = redshift.question(path.read_text())
    assert redshift.problems(query) == []
    assert redshift.unpruned(query) == []
    assert_answers(path.stem, *ask(lake, redshift.to_duckdb(query)), demo.truth)


@pytest.mark.parametrize("path", QUESTIONS, ids=name)
def test_the_order_of_an_answer_is_the_one_that_was_asked_for(path, lake):
    """And leaves nothing open, so that an answer is the same one each time."""
    query = redshift.question(path.read_text())
    columns, rows = ask(lake, redshift.to_duckdb(query))
    order = [(columns.index(item.this.name), bool(item.args.get("desc"))) for item in query.args["order"].expressions]
    keys = [tuple(row[column] for column, _ in order) for row in rows]
    assert len(set(keys)) == len(keys)
    for column, descending in reversed(order):
        rows = sorted(rows, key=lambda row: row[column], reverse=descending)
    assert [tuple(row[column] for column, _ in order) for row in rows] == keys


@pytest.mark.parametrize("path", QUESTIONS, ids=name)
def test_athena_takes_the_same_question(path, athena_lake, demo):
    assert_answers(path.stem, *ask(athena_lake, athena(text_of(path.stem, "athena"))), demo.truth)


def athena(text):
    strict = {"unsupported_level": sqlglot.ErrorLevel.RAISE}
    (query,) = sqlglot.transpile(text, read="athena", write="duckdb", **strict)
    return query


def test_athena_knows_the_order_of_a_list(athena_lake, demo):
    columns, rows = ask(athena_lake, athena((DEPLOY / "athena" / "graph_points.sql").read_text()))
    points = [dict(zip(columns, row, strict=True)) for row in rows]
    truth = demo.truth("fact_engagement_graph_points")
    assert points == sorted(truth, key=lambda row: (row["media_id"], row["position"]))


def test_the_page_shows_what_the_queries_answer(lake):
    """`make docs` writes it."""
    page = querying.PAGE.read_text()
    assert querying.fill(page, lake) == page
    shown = {question for _, _, question, *_ in querying.BLOCK.findall(page)}
    assert shown == {path.stem for path in QUESTIONS}
    for question in querying.CHARTS:
        drawn_from = querying.fingerprint(*querying.answer(lake, question))
        chart = querying.IMAGES / f"{question}.svg"
        assert drawn_from in chart.read_text(), f"{chart.name} shows other figures"


def test_a_channel_that_has_a_media_twice_counts_it_once(demo, lake):
    """The account of these tests has such medias, or the answer would prove little."""
    twice = "select media_id from wistia.bridge_media_channel group by media_id, channel having count(*) > 1"
    assert ask(lake, twice)[1]


def test_the_account_has_drafts_of_episodes_and_two_channels_of_one_name(demo):
    """Or the answer by channel would prove little."""
    episodes = demo.truth("bridge_media_channel")
    assert {row["published"] for row in episodes} == {True, False}
    channels = {(row["channel"], row["channel_id"]) for row in episodes}
    assert len({name for name, _ in channels}) < len(channels)


def test_the_lake_is_set_up_in_redshift():
    """Only what a Redshift parser does not know in detail goes unread."""
    found = [statement for path in redshift.SETUP for statement in redshift.statements(path.read_text())]
    assert [problem for statement in found for problem in redshift.problems(statement)] == []
    opaque = [statement.sql() for statement in found if isinstance(statement, sqlglot.exp.Command)]
    assert [" ".join(text.split(" */ ")[-1].split()[:3]).lower() for text in opaque] == [
        "create external schema",
        "create external schema",
        "create group analysts",
        "create group visitor_analysts",
        "grant select on",
        "grant select on",
        "revoke assumerole on",
    ]


def test_views_hold_every_column_of_what_they_flatten(everything, demo):
    def view(table, schema="wistia_views"):
        columns, rows = ask(everything, f"select * from {schema}.{table}")
        return [dict(zip(columns, row, strict=True)) for row in rows]

    medias = {row["media_id"]: row for row in view("media")}
    for media in demo.truth("dim_media"):
        row = medias.pop(media["hashed_id"])
        assert row["media"] == media["name"] and row["kind"] == media["type"]
        project, still = media["project"] or {}, media["thumbnail"] or {}
        assert (row["project_id"], row["project"]) == (project.get("hashed_id"), project.get("name"))
        assert (row["thumbnail_url"], row["thumbnail_height"]) == (still.get("url"), still.get("height"))
        within = media["subfolder"] or {}
        assert (row["subfolder_id"], row["subfolder"]) == (within.get("hashed_id"), within.get("name"))
        assert row["created_at"].isoformat() + "+00:00" == media["created"]
    assert not medias

    medias = demo.truth("dim_media")
    assets = [(media["hashed_id"], asset["url"], asset["file_size"]) for media in medias for asset in media["assets"]]
    assert sorted((row["media_id"], row["url"], row["file_size"]) for row in view("media_assets")) == sorted(assets)
    tags = [(media["hashed_id"], tag) for media in medias for tag in media["tags"]]
    assert sorted((row["media_id"], row["tag_name"]) for row in view("media_tags")) == sorted(tags)

    seen = {row["event_key"]: row for row in view("events", "wistia_personal_views")}
    for event in demo.truth("fact_events"):
        row = seen.pop(event["event_key"])
        assert row["received_at"].isoformat() == event["received_at"][:19]
        assert row["month"] == event["received_at"][:7]
        for column, field in {"browser": "browser", "device_platform": "platform", "mobile": "mobile"}.items():
            assert row[column] == (event["user_agent_details"] or {}).get(field)
        assert (row["country"], row["is_new_lead"]) == (event["country"], event["is_new_lead"])
    assert not seen

    days = {(row["media_id"], str(row["day_played"])): row["play_count"] for row in view("engagement_by_day")}
    assert days == {(row["media_id"], row["date"]): row["play_count"] for row in demo.truth("fact_engagements_byday")}
    gone = {row["media_id"]: row for row in view("deleted_media")}
    for media in demo.truth("dim_deleted_media"):
        row = gone.pop(media["hashed_id"])
        folder = media["folder"] or {}
        assert (row["media"], row["project"]) == (media["name"], folder.get("name"))
        assert row["deleted_at"].isoformat() == media["deleted_at"][:19]
    assert not gone
    latest = {row["media_id"]: row["visitors"] for row in view("engagement_latest")}
    assert latest == {row["media_id"]: row["visitors"] for row in demo.truth("fact_engagements")}


def test_a_media_that_was_restored_is_not_gone():
    """It has figures of a later day than the one on which it was deleted."""
    lake = duckdb.connect()
    lake.execute("create schema wistia; create schema wistia_views")
    lake.execute("""create table wistia.dim_deleted_media as
        select hashed_id, hashed_id as name, 'Video' as "type", 1.0 as duration, deleted_at,
            null::varchar as restore_expires_at, null::struct(hashed_id varchar, name varchar) as folder
        from (values ('gone', '2026-06-20T18:47:39+00:00'), ('today', '2026-06-20T01:00:00+00:00'),
            ('back', '2026-06-20T18:47:39+00:00'), ('never measured', '2026-06-20T18:47:39+00:00'))
            as rows (hashed_id, deleted_at)""")
    lake.execute("""create table wistia.fact_engagements as
        select media_id, measured::date as "date" from (values ('gone', '2026-06-19'), ('today', '2026-06-20'),
            ('back', '2026-06-19'), ('back', '2026-06-21'), ('other', '2026-06-21')) as rows (media_id, measured)""")
    views = redshift.statements((REDSHIFT / "2_views.sql").read_text())
    (view,) = (one for one in views if "deleted_media" in one.find(sqlglot.exp.Table).name)
    lake.execute(redshift.to_duckdb(view))
    _, rows = ask(lake, "select media_id from wistia_views.deleted_media")
    assert sorted(row[0] for row in rows) == ["gone", "never measured", "today"]


REFUSED = {
    "no star over dim_media": "select * from wistia.dim_media m",
    "no star over fact_events": "select e.* from wistia_personal.fact_events e",
    "take its fields": "select m.project from wistia.dim_media m",
    "is ARRAY": "select m.name, m.assets from wistia.dim_media m",
    "is STRUCT": "select a from wistia.dim_media m, m.assets a",
    "take its fields or elements": "select m.name from wistia.dim_media m where m.tags is not null",
    "by its place": "select g.engagement_data[0] from wistia.fact_engagement_graph g",
    "m, e: a nested table": "select m.name, e.visitors from wistia.dim_media m join wistia.fact_engagements e on true",
    "m, x: a nested table": "select m.name from wistia.dim_media m join (select 1 as one) x on true",
    "only in `from`": "select m.name, (select count(m.id) from m.assets a) from wistia.dim_media m",
    "no `in` over nested": "select m.name from wistia.dim_media m where 'q3' in (select t from m.tags t)",
    "date is a word": "select e.date from wistia.fact_engagements e",
    "tag is a word": "select t as tag from wistia.dim_media m, m.tags t",
    "without a fraction": "select b.play_count / b.load_count from wistia.fact_engagements_byday b",
    "mean of integers": "select avg(b.play_count) from wistia.fact_engagements_byday b",
    "nulls last": "select v.country from wistia_personal.dim_visitors v order by v.country desc",
    "no such table": "select e.month from wistia.fact_events e",
    "colour": "select m.colour from wistia.dim_media m",
    "no such field": "select m.project.colour from wistia.dim_media m",
    "binds late": "create view wistia_views.v as select v.country from wistia_personal.dim_visitors v",
    "name the schema": "create view wistia_views.v as select v.country from dim_visitors v with no schema binding",
}


@pytest.mark.parametrize("problem", REFUSED)
def test_what_redshift_would_refuse_is_found(problem):
    (statement,) = redshift.statements(REFUSED[problem])
    assert any(problem in found for found in redshift.problems(statement)), redshift.problems(statement)


ACCEPTED = [
    "select m.name, m.project.name as project from wistia.dim_media m",
    "select m.name, a.width from wistia.dim_media m, m.assets a",
    "select m.name, a.width from wistia.dim_media m left join m.assets a on true",
    "select m.name, (select count(*) from m.assets a where a.width > 100) as wide from wistia.dim_media m",
    "select m.name from wistia.dim_media m where exists (select 1 from m.tags t where t = 'q3')",
    "select * from wistia_personal.dim_visitors v",
    'select e."date", avg(e.engagement) as engagement from wistia.fact_engagements e group by e."date"',
]


@pytest.mark.parametrize("query", ACCEPTED)
def test_what_redshift_takes_is_left_alone_and_runs(query, everything):
    (statement,) = redshift.statements(query)
    assert redshift.problems(statement) == []
    assert ask(everything, redshift.to_duckdb(statement))[1]


def test_a_query_of_a_whole_partitioned_table_is_found():
    query = "select count(*) as n from wistia_personal.fact_events e"
    assert redshift.unpruned(redshift.question(query)) == ["fact_events"]
    assert redshift.unpruned(redshift.question(f"{query} where e.month >= '2026-01'")) == []


def test_a_refresh_puts_new_figures_in_the_place_of_the_old(demo):
    connection = warehouse(demo.lake)
    figures = [f"select * from wistia_views.{table} order by all" for table in FILLED]
    before = [ask(connection, query) for query in figures]
    for statement in redshift.statements((REDSHIFT / "4_refresh.sql").read_text()):
        connection.execute(redshift.to_duckdb(statement))
    assert [ask(connection, query) for query in figures] == before
    assert all(rows for _, rows in before)


FILLED = ["viewing_by_media", "viewing_by_region", "viewing_by_device"]


@pytest.mark.parametrize("table", FILLED)
def test_athena_counts_what_redshift_counts(table, lake, athena_lake):
    query = f"select * from wistia_views.{table} order by all"
    assert ask(athena_lake, query) == ask(lake, query)


def set_up(**changes):
    """The rights of a Redshift, whose files of these numbers were changed: what is replaced, and by what."""
    texts = {path.name[0]: path.read_text() for path in redshift.SETUP}
    for number, (old, new) in ((name[1:], change) for name, change in changes.items()):
        assert old in texts[number], f"{old} is not there"
        texts[number] = texts[number].replace(old, new)
    return rights(texts.values())


def views_of(schema):
    """A query of each view and table of a schema."""
    return [redshift.question(f"select * from {schema}.{name}") for name in redshift.SCHEMA[schema]]


def test_analysts_can_ask_every_question_and_read_all_that_is_made_for_them():
    made = set_up()
    questions = [redshift.question(path.read_text()) for path in QUESTIONS]
    for query in (*questions, *views_of("wistia_views")):
        assert made.refusals("analysts", query) == []
    for query in views_of("wistia_personal_views"):
        assert made.refusals("visitor_analysts", query) == []
        assert made.refusals("analysts", query) != []


def test_analysts_read_nothing_personal_and_visitor_analysts_do():
    # Those of the page and of SECURITY.md.
    assert set(redshift.PERSONAL) == {"dim_visitors", "fact_events", "visitors"}
    made = set_up()
    assert made.personal_columns("analysts") == []
    assert made.personal_columns("anyone") == []
    assert "wistia_personal.fact_events.visitor_key" in made.personal_columns("visitor_analysts")
    assert "wistia_personal_views.events.org" in made.personal_columns("visitor_analysts")


USAGE = "grant usage on schema wistia to group analysts;"
SHOWN = {
    "wistia_personal.fact_events.visitor_key": {"_3": (USAGE, f"{USAGE} {USAGE.replace('wistia', 'wistia_personal')}")},
    "wistia_personal.dim_visitors.ip_address": {"_3": (USAGE, "grant usage on schema wistia_personal to public;")},
    "wistia.visitors.visitor_identity": {"_1": ("database 'wistia'", "database 'wistia__personal'")},
    "by `copy`": {"_3": ("revoke assumerole on all from public for all;", "")},
    "viewing_by_region.visitor_region": {"_4": ("e.region", "e.city")},
    "viewing_by_media.media": {"_4": ("max(e.media_name)", "max(e.embed_url)")},
    "viewing_by_device.a row for each of them": {"_4": ("group by 1, 2, 3, 4", "group by 1, 2, 3, 4, e.visitor_key")},
    "viewing_by_region.country": {"_4": ("coalesce(v.country, 'unknown')", "coalesce(v.ip_address, v.country)")},
}
"""What analysts would see after a change of a file."""


@pytest.mark.parametrize("shown", SHOWN)
def test_what_would_show_analysts_something_personal_is_found(shown):
    found = set_up(**SHOWN[shown]).personal_columns("analysts")
    assert any(shown in column for column in found), found


MEDIA = {("wistia", "dim_media"): {"name", "tags"}}
LET_THROUGH = {
    "select m.hashed_id as media, count(m.name) as names from wistia.dim_media m group by 1": set(),
    "select n.media from (select max(m.name) as media from wistia.dim_media m) n": {"media"},
    "with n as (select m.name as media from wistia.dim_media m) select upper(n.media) as big from n": {"big"},
    "select m.hashed_id as media, t as tag_name from wistia.dim_media m, m.tags t": {"tag_name"},
    "select m.hashed_id as media from wistia.dim_media m union all select m.name from wistia.dim_media m": {"media"},
    "select m.id, (select max(n.name) from wistia.dim_media n) as last from wistia.dim_media m": {"id", "last"},
}
"""Queries, and in which of their columns there would be something personal if names and tags were that."""


@pytest.mark.parametrize("query", LET_THROUGH)
def test_what_is_personal_is_followed_through_a_query(query):
    assert let_through(redshift.question(query), MEDIA) == LET_THROUGH[query]


TABLE = "create table if not exists wistia_views.viewing_by_region"
COUNTRIES = "view wistia_views.countries as select v.country from wistia_personal.dim_visitors v"
ASK_COUNTRIES = "select c.country from wistia_views.countries c"
ASK_MEDIA = "select m.media from wistia_views.media m"
LACKING = [
    ("no usage on schema wistia, for dim_media", ASK_MEDIA, {"_3": (USAGE, "")}),
    ("no usage on schema wistia_views", ASK_MEDIA, {"_3": (USAGE.replace("wistia", "wistia_views"), "")}),
    (
        "no select on wistia_views.media",
        ASK_MEDIA,
        {"_3": ("tables in schema wistia_views", "tables in schema wistia")},
    ),
    ("no usage on schema wistia_personal", "select v.country from wistia_personal.dim_visitors v", {}),
    (
        "no usage on schema wistia_personal",
        ASK_COUNTRIES,
        {"_2": (TABLE, f"create {COUNTRIES} with no schema binding;\n\n{TABLE}")},
    ),
    (
        "no usage on schema wistia_personal",
        ASK_COUNTRIES,
        {"_2": (TABLE, f"create materialized {COUNTRIES};\n\n{TABLE}")},
    ),
]
"""What analysts would lack for a query, after a change of a file."""


@pytest.mark.parametrize(("lack", "query", "changes"), LACKING)
def test_what_analysts_would_be_refused_is_found(lack, query, changes):
    found = set_up(**changes).refusals("analysts", redshift.question(query))
    assert [lack in refusal for refusal in found] == [True], found
