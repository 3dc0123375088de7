"""The dbt project: figures against what is true of the account, lakes that lack something, other engines."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta

import duckdb
import pytest
import sqlglot
import yaml

import answers
from harness import PARTITIONS, ROOT, TARGET, run
from lake import KEYS, PERSONAL, files
from marts import DBT, PATIENCE, PROJECT, Marts, part_of

pytestmark = pytest.mark.xdist_group("dbt")

MARTS = {path.stem for path in (PROJECT / "models" / "marts").glob("*.sql")}
DEFAULT = ["dim_media", "dim_visitors", "fact_engagement_graph", "fact_engagements", "fact_engagements_byday"]
DEFAULT += ["fact_events"]
"""What the tap reads without being told."""


def test_sources_are_those_of_the_schemas():
    subprocess.run([sys.executable, ROOT / "scripts" / "dbt_sources.py", "--check"], check=True)


def test_sources_have_every_column_with_its_marks():
    document = yaml.safe_load((PROJECT / "models" / "sources.yml").read_text())
    tables = {table["name"]: table for source in document["sources"] for table in source["tables"]}
    assert set(tables) == set(KEYS)
    for name, table in tables.items():
        assert table["config"]["meta"]["key"] == KEYS[name]
        marked = {
            column["name"] for column in table["columns"] if "personal" in column.get("config", {}).get("tags", [])
        }
        assert marked == PERSONAL.get(name, set())
        assert all(column["description"] and column["data_type"] for column in table["columns"])


def test_what_is_documented_is_what_there_is(marts):
    documented = {}
    for path in (PROJECT / "models" / "marts").glob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            assert model["description"]
            documented[model["name"]] = [column["name"] for column in model["columns"]]
            assert all(column["description"] for column in model["columns"]), model["name"]
    there = marts.columns()
    assert documented == {name: there[name] for name in MARTS}


def by_key(rows, *keys):
    return {tuple(row[key] for key in keys): row for row in rows}


def same(mine, true, what=""):
    assert (mine is None) == (true is None) and (true is None or mine == pytest.approx(true, rel=1e-9, abs=1e-9)), what


def test_days_are_those_of_the_account(marts, demo):
    truth = by_key(demo.truth("fact_engagements_byday"), "media_id", "date")
    measured = by_key(demo.truth("fact_media_timeseries"), "media_id", "date")
    rows = by_key(marts.ask("select * from wistia.video_performance_daily"), "media_id", "day")
    assert set(rows) == set(truth) | set(measured)
    for (media, day), row in rows.items():
        true, seconds = truth[media, day], measured.get((media, day), {}).get("played_time")
        assert (row["plays"], row["loads"]) == (true["play_count"], true["load_count"])
        same(row["hours_computed"], true["hours_watched"])
        same(row["hours_measured"], None if seconds is None else seconds / 3600, row)
        same(row["play_rate"], true["play_count"] / true["load_count"] if true["load_count"] else None)

        def plays(first, last, media=media, day=day):
            days = (str(date.fromisoformat(day) - timedelta(days=age)) for age in range(first, last))
            return [truth[media, other]["play_count"] for other in days if (media, other) in truth]

        now, before = plays(0, 7), plays(7, 14)
        assert row["plays_of_7_days"] == sum(now)
        assert row["plays_of_7_days_before"] == (sum(before) if before else None)
        same(row["plays_trend"], (sum(now) - sum(before)) / sum(before) if sum(before) else None)


def of_the_year(marts, columns, mart, group, also=""):
    return marts.ask(f"select {columns} from wistia.{mart} where month >= '2026-01-01' {also} group by {group}")


@pytest.mark.parametrize(("grouped", "question"), [("channel", "watch_time_by_channel"), ("tag", "watch_time_by_tag")])
def test_watch_time_is_that_of_the_answers(marts, demo, grouped, question):
    rows = of_the_year(
        marts,
        "name, sum(plays)::bigint as plays, sum(hours_computed) as hours",
        "watch_time_by_channel",
        "name",
        f"and grouped_by = '{grouped}'",
    )
    key = "channel" if grouped == "channel" else "tag_name"
    true = {row[key]: row for row in answers.ANSWERS[question](demo.truth)}
    assert {row["name"] for row in rows} == set(true)
    for row in rows:
        assert row["plays"] == true[row["name"]]["plays"]
        same(row["hours"], true[row["name"]]["hours_watched"])


def test_watch_time_by_section_is_that_of_the_answers(marts, demo):
    rows = of_the_year(
        marts, "name, sum(plays)::bigint as plays", "watch_time_by_channel", "name", "and grouped_by = 'section'"
    )
    true = answers.watch_time_by_project(demo.truth)
    assert {row["name"]: row["plays"] for row in rows} == {
        f"{row['project']} / {row['project_section']}": row["plays"] for row in true
    }


def test_links_are_counted_by_what_they_say(marts, demo):
    counted = defaultdict(int)
    for row in demo.truth("fact_events"):
        if said := re.search(r"[?&]utm_source=([^&#]+)", row["embed_url"] or ""):
            counted[said[1]] += 1
    rows = marts.ask(
        "select name, sum(plays)::bigint as views from wistia.watch_time_by_channel "
        "where grouped_by = 'utm_source' group by 1"
    )
    assert counted and {row["name"]: row["views"] for row in rows} == counted


def test_regions_are_those_of_the_answers(marts, demo):
    rows = of_the_year(
        marts,
        "country, region, sum(views)::bigint as views, sum(percent_viewed_total) / sum(percent_viewed_known) as mean",
        "engagement_by_region",
        "country, region",
    )
    true = by_key(answers.active_regions(demo.truth), "country", "visitor_region")
    assert {(row["country"], row["region"]) for row in rows} == set(true)
    for row in rows:
        expected = true[row["country"], row["region"]]
        assert row["views"] == expected["watched_count"]
        same(100 * row["mean"], expected["mean_percent_viewed"])


def test_events_are_those_of_the_answers(marts, demo):
    rows = by_key(marts.ask("select * from wistia.events_per_video where month >= '2026-01-01'"), "month", "media_id")
    true = {(f"{row['month']}-01", row["media_id"]): row for row in answers.events_by_video(demo.truth)}
    assert set(rows) == set(true)
    names = {
        "views": "watched_count",
        "views_by_known_people": "by_known_people",
        **{name: name for name in ("visitors", "watched_to_the_end", "conversions", "on_mobile_devices", "last_day")},
    }
    for key, row in rows.items():
        assert {mine: row[mine] for mine in names} == {mine: true[key][its] for mine, its in names.items()}
        same(100 * row["mean_percent_viewed"], true[key]["mean_percent_viewed"])


def test_drop_off_is_that_of_the_answers(marts, demo):
    true = answers.drop_off(demo.truth)
    rows = marts.ask(f"select * from wistia.drop_off where media = '{true[0]['media']}' order by part")
    assert len(rows) == len(true) > 10
    for row, expected in zip(rows, true, strict=True):
        assert [row[name] for name in ("watching", "lost", "steepest", "watched_again")] == [
            expected[name] for name in ("watching", "lost", "steepest", "watched_again")
        ]
        same(row["from_second"], expected["from_second"])
        same(100 * row["share_watching"], expected["percent_watching"])


def journeys(demo):
    """The views of each visitor in their order."""
    found = defaultdict(list)
    for row in sorted(demo.truth("fact_events"), key=lambda row: (row["received_at"][:19], row["event_key"])):
        found[row["visitor_key"]].append(row)
    return found


def test_journeys_are_those_of_the_visitors(marts, demo):
    rows = by_key(marts.ask("select * from wistia.viewer_journey"), "visitor_key")
    true = journeys(demo)
    assert len(rows) == len(true) > 1000
    titles = answers.names(demo.truth)
    visits_at_all = 0
    for visitor, views in true.items():
        row = rows[(hashlib.sha256(visitor.encode()).hexdigest(),)]
        times = [datetime.fromisoformat(view["received_at"][:19]) for view in views]
        visits = 1 + sum(
            (there - here).total_seconds() > 30 * 60 for here, there in zip(times, times[1:], strict=False)
        )
        visits_at_all += visits
        assert (row["views"], row["visits"]) == (len(views), visits)
        assert row["videos"] == len({view["media_id"] for view in views})
        assert (row["first_media_id"], row["last_media_id"]) == (views[0]["media_id"], views[-1]["media_id"])
        if views[0]["media_id"] in titles:
            assert row["first_video"] == titles[views[0]["media_id"]]
        assert row["days_between"] == (times[-1].date() - times[0].date()).days
        assert row["known_email"] == max(view["email"] for view in views)
    assert visits_at_all == sum(row["visits"] for row in rows.values())


def test_a_score_is_the_sum_of_its_signs(marts):
    weights = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["wistia_lead_weights"]
    rows = marts.ask("select * from wistia.lead_score")
    assert rows
    for row in rows:
        expected = (
            weights["known_email"] * row["email_is_known"]
            + weights["conversion"] * (row["conversions"] > 0)
            + weights["watched"] * min(row["watched_to_the_end"], 5) / 5
            + weights["visits"] * min(row["visits"], 4) / 4
            + weights["recent"] * (row["days_since"] <= 30)
        )
        same(row["score"], expected)
    assert {row["identity_name"] for row in rows} == {None}


def test_health_says_what_the_account_has(marts, demo):
    rows = by_key(marts.ask("select * from wistia.account_health"), "table_name")
    assert set(rows) == {(name,) for name in KEYS}
    for (table,), row in rows.items():
        with duckdb.connect() as connection:
            count = connection.read_parquet([str(path) for path in files(demo.lake, table)]).count("*").fetchall()[0][0]
        assert (row["is_there"], row["row_count"], row["what_to_do"]) == (1, count, "")
    assert rows[("fact_engagements_byday",)]["newest_day"] == "2026-06-30"
    nulls = by_key(marts.ask("select * from wistia.account_health_columns"), "table_name", "column_name")
    events = demo.truth("fact_events")
    for column in ("conversion_type", "country", "embed_url", "user_agent_details"):
        assert nulls["fact_events", column]["null_count"] == sum(row[column] is None for row in events)


def texts(marts):
    """Every text that the project has made."""
    found = set()
    for table, columns in marts.columns().items():
        for row in marts.ask(f"select {', '.join(columns)} from wistia.{table}"):
            found |= {value for value in row.values() if isinstance(value, str)}
    return found


def secrets(demo):
    """What says who a viewer is."""
    found = {row["visitor_key"] for row in demo.truth("fact_events")}
    found |= {row["city"] for row in demo.truth("fact_events")} | {row["org"] for row in demo.truth("fact_events")}
    found |= {row["embed_url"] for row in demo.truth("fact_events") if "?" in (row["embed_url"] or "")}
    found |= {row["ip_address"] for row in demo.truth("dim_visitors")}
    found |= {row["visitor_identity"]["name"] for row in demo.truth("visitors") if row["visitor_identity"]}
    # Some places are called as their region is.
    return found - {None, ""} - {row["region"] for row in demo.truth("fact_events")}


def test_who_a_viewer_is_is_masked_unless_asked(marts, demo, tmp_path):
    said = texts(marts)
    assert not said & secrets(demo)
    assert not [text for text in said if "mail=" in text or "%40" in text]
    shown = Marts(tmp_path, demo.lake)
    chosen = ["--select", "staging", "viewer_journey", "+viewer_journey", "--exclude-resource-type", "test"]
    shown.build(*chosen, variables={"wistia_personal": "shown"})
    assert len(texts(shown) & secrets(demo)) > 1000


def test_a_lake_with_some_tables_says_what_is_missing(demo, tmp_path):
    some = ["dim_media", "fact_engagements_byday"]
    made = Marts(tmp_path, part_of(demo.lake, some, tmp_path / "a lake's"))
    said = made.build().out
    assert "fact_events is not in the lake; what needs it is empty" in said
    assert '"selected": true for the stream bridge_media_channel' in said
    there = {row["table_name"] for row in made.ask("select * from wistia.account_health where is_there = 1")}
    assert there == set(some)
    assert made.ask("select count(*) as n from wistia.video_performance_daily")[0]["n"] == len(
        demo.truth("fact_engagements_byday")
    )
    assert {row["channel"] for row in made.ask("select channel from wistia.video_channels")} == {"in no channel"}
    for mart in ("engagement_by_region", "drop_off", "viewer_journey", "lead_score"):
        assert made.ask(f"select * from wistia.{mart}") == []


def test_an_empty_lake_has_every_mart_without_rows(tmp_path, marts):
    (tmp_path / "lake").mkdir()
    made = Marts(tmp_path, tmp_path / "lake")
    made.build()
    assert made.columns() == marts.columns()
    full = {"account_health", "account_health_columns", "days"}
    for mart in MARTS - full:
        assert made.ask(f"select * from wistia.{mart}") == [], mart


def test_columns_that_are_not_there_yet_and_other_types_are_borne(demo, tmp_path):
    """A lake of an older version, of one that drops what is personal, and with types of the user's."""
    lake = part_of(demo.lake, DEFAULT, tmp_path / "lake")
    with duckdb.connect() as connection:
        for table, columns in {
            "fact_events": "* exclude (country, is_new_lead, embed_url, visitor_key)",
            "dim_media": "* exclude (subfolder, deleted_at) replace (cast(id as integer) as id)",
            "fact_engagements_byday": "* replace (cast(date as date) as date, play_count::integer as play_count)",
        }.items():
            rows = f"read_parquet('{lake}/{table}/**/*.parquet', hive_partitioning = false)"
            connection.execute(f"copy (select {columns} from {rows}) to '{tmp_path}/{table}.parquet'")
            shutil.rmtree(lake / table)
            (lake / table).mkdir()
            shutil.move(tmp_path / f"{table}.parquet", lake / table / "part-00000.parquet")
    made = Marts(tmp_path, lake)
    made.build("--exclude-resource-type", "test")
    plays = made.ask("select sum(plays)::bigint as plays from wistia.video_performance_daily")[0]["plays"]
    assert plays == sum(row["play_count"] for row in demo.truth("fact_engagements_byday"))
    missing = made.ask(
        "select column_name from wistia.account_health_columns where is_there = 0 and table_name = 'dim_media'"
    )
    assert {row["column_name"] for row in missing} == {"subfolder", "deleted_at"}
    assert made.ask("select sum(views)::bigint as n from wistia.engagement_by_region")[0]["n"] == len(
        demo.truth("fact_events")
    )
    assert made.ask("select * from wistia.viewer_journey") == []


def every_other(messages):
    """Messages that lack every other record."""
    kept, skip = [], False
    for line in messages.splitlines(keepends=True):
        if '"type":"RECORD"' in line:
            skip = not skip
        if not (skip and '"type":"RECORD"' in line):
            kept.append(line)
    return "".join(kept)


def load_iceberg(demo, folder, settings):
    """The demo's lake as tables of Iceberg, in two nights: files of the first are still there after the second."""
    folder.mkdir(exist_ok=True)
    config = folder / "target.json"
    config.write_text(json.dumps({**settings, "table_format": "iceberg", "streams": PARTITIONS}))
    for night in (every_other(demo.messages), demo.messages):
        run(TARGET, "--config", config, stdin=night).succeeded()


def assert_same_marts(made, marts, names=MARTS - {"days"}):
    for mart in names:
        query = f"select * from wistia.{mart} order by all"
        for mine, true in zip(made.ask(query), marts.ask(query), strict=True):
            # Sums of doubles depend on who adds them up.
            assert mine == pytest.approx(true), mart


def test_a_lake_of_iceberg_is_the_same_lake_and_has_a_page(demo, marts, tmp_path):
    lake = tmp_path / "a lake's"
    load_iceberg(demo, tmp_path, {"destination": str(lake)})
    # All the files of a folder are more than its table.
    assert len(files(lake, "fact_engagements_byday")) > len(files(demo.lake, "fact_engagements_byday"))
    page = tmp_path / "page"
    run(
        DBT.parent / "python", ROOT / "report" / "build.py", "--lake", lake, "--out", page, timeout=PATIENCE
    ).succeeded()
    made = Marts(tmp_path / "page.work", lake)
    assert_same_marts(made, marts)
    assert {path.stem for path in page.glob("*.html")} == {
        path.stem for path in (ROOT / "report" / "pages").glob("*.md")
    }


def test_a_lake_of_iceberg_on_s3_is_the_same_lake(demo, marts, s3, tmp_path):
    bucket = s3.bucket("dbt-iceberg")
    load_iceberg(demo, tmp_path, s3.settings(f"s3://{bucket}/wistia"))
    made = Marts(tmp_path / "marts", f"s3://{bucket}/wistia")
    some = {"events_per_video", "video_performance_daily"}
    made.build("--exclude-resource-type", "test", "--select", *(f"+{mart}" for mart in some), env=aws(s3))
    assert_same_marts(made, marts, some)


def aws(s3):
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    return {"AWS_ENDPOINT_URL": s3.url, **keys}


def test_a_table_of_iceberg_that_cannot_be_read_by_its_files_is_refused_with_what_to_do(tmp_path):
    """tests/test_iceberg.py has what Spark does to tables."""
    (tmp_path / "lake" / "dim_media" / "metadata").mkdir(parents=True)
    (tmp_path / "lake" / "dim_media" / "metadata" / "00001-a.metadata.json").write_text("{}")
    done = Marts(tmp_path, tmp_path / "lake").dbt("run")
    assert done.code != 0 and "dim_media is a table of Iceberg" in done.out and "it is in a catalog" in done.out
    assert "name that by WISTIA_CATALOG" in done.out and "--target athena" in done.out


def test_a_profile_without_the_plugin_is_told_of_it(tmp_path):
    (tmp_path / "lake" / "dim_media" / "metadata").mkdir(parents=True)
    (tmp_path / "lake" / "dim_media" / "metadata" / "v1.metadata.json").write_text("{}")
    (profile := tmp_path / "profile").mkdir()
    outputs = {"duckdb": {"type": "duckdb", "path": str(tmp_path / "marts.duckdb")}}
    (profile / "profiles.yml").write_text(yaml.safe_dump({"dbt_wistia": {"target": "duckdb", "outputs": outputs}}))
    done = Marts(tmp_path, tmp_path / "lake").dbt("run", profile=profile)
    assert done.code != 0 and "Give your profile the plugin duckdb_plugin" in done.out


def test_a_lake_on_s3_is_the_same_lake(demo, marts, s3, tmp_path):
    bucket = s3.bucket("dbt")
    for path in files(demo.lake):
        s3.client.upload_file(str(path), bucket, f"wistia/{path.relative_to(demo.lake)}")
    made = Marts(tmp_path, f"s3://{bucket}/wistia")
    made.build("--exclude-resource-type", "test", env=aws(s3))
    assert_same_marts(made, marts)


def test_stale_rows_are_noticed(marts):
    done = marts.dbt("source freshness")
    assert "ERROR STALE freshness of wistia_personal.fact_events" in done.out


def test_a_wrong_figure_fails_a_test(marts, tmp_path):
    """The tests can fail: one row that is there twice, one value that cannot be."""
    with duckdb.connect() as connection:
        lake = part_of(marts.lake, DEFAULT, tmp_path / "lake")
        rows = f"read_parquet('{lake}/fact_engagements_byday/**/*.parquet', hive_partitioning = false)"
        wrong = f"select * replace (-1 as play_count) from {rows} limit 1"
        connection.execute(f"copy ({wrong}) to '{lake}/fact_engagements_byday/wrong.parquet'")
    done = Marts(tmp_path, lake).dbt("build", "--select", "stg_wistia__engagements_byday")
    assert done.code == 1
    for test in (
        "unique_together_stg_wistia__engagements_byday",
        "in_range_stg_wistia__engagements_byday_0__play_count",
    ):
        assert re.search(rf"FAIL \d+ {test}", done.out), done.out[-3000:]


@pytest.mark.parametrize("engine", ["athena", "redshift", "spark"])
def test_every_model_is_sql_of_the_other_engines(engine, tmp_path):
    """Compiled by their adapters, and parsed. None of these engines is here to run it."""
    made = Marts(tmp_path, "")
    done = made.dbt("compile", "--target", engine, "--no-populate-cache", "--no-introspect")
    assert done.code == 0, done.out[-3000:]
    compiled = {path.stem: path for path in (made.target / "compiled").rglob("*.sql") if "on-run" not in path.name}
    assert set(compiled) >= MARTS
    for path in compiled.values():
        assert sqlglot.parse_one(path.read_text(), dialect=engine, error_level=sqlglot.ErrorLevel.RAISE), path
    words = {"athena": "with ordinality", "redshift": "no schema binding|t.tags as item", "spark": "posexplode"}
    text = "\n".join(path.read_text() for path in compiled.values())
    assert re.search(words[engine], text)
    # What only DuckDB has.
    assert "date_diff('second'" not in text or engine == "athena"
    assert "read_parquet" not in text


def test_nothing_asks_the_network():
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    assert project["flags"]["send_anonymous_usage_stats"] is False
    assert not (PROJECT / "packages.yml").exists()
