"""Folders of partitions and names that are not ASCII: as Hive writes them, and as lakes that exist have them."""

import json
import runpy
import shutil
import urllib.parse
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from harness import JSON_LOG, TARGET, lines, run
from lake import files

HIVE = "__HIVE_DEFAULT_PARTITION__"
VALUES = {
    "Zürich": "Zürich",
    "a b": "a b",
    "a/b": "a%2Fb",
    "100%": "100%25",
    "x=y:z": "x%3Dy%3Az",
    "東京 😀": "東京 😀",
    "a&b+c~d,e;f@g!h(i)j|k<l>": "a&b+c~d,e;f@g!h(i)j|k<l>",
    "'\"#?*\\{}[]^": "%27%22%23%3F%2A%5C%7B}%5B%5D%5E",
    "tab\tline\n\x7f": "tab%09line%0A%7F",
    "..": "..",
    "%C3%BC": "%25C3%25BC",
}
"""A value, and what Hive's FileUtils.escapePathName makes of it."""

SCHEMA = {"id": {"type": "integer"}, "city": {"type": "string"}, "v": {"type": "string"}}
BY = {"partition_by": {"column": "city"}}


def messages(records, properties=SCHEMA, stream="s", keys=("id",)):
    schema = {"type": "SCHEMA", "stream": stream, "key_properties": keys, "schema": {"properties": properties}}
    sent = [{"type": "RECORD", "stream": stream, "record": record} for record in records]
    return lines(schema, *sent, {"type": "STATE", "value": {}})


@pytest.fixture
def load(tmp_path):
    def start(stdin, **settings):
        (tmp_path / "t.json").write_text(json.dumps({"destination": str(tmp_path / "lake"), **settings}))
        return run(TARGET, "--config", tmp_path / "t.json", *JSON_LOG, stdin=stdin)

    return start


@pytest.fixture
def cities():
    """A record for each value."""
    return [{"id": at, "city": value, "v": "old"} for at, value in enumerate(VALUES)]


def rows(lake, table="s"):
    """All rows of a table, each as often as it is there."""
    found = [row for path in files(lake, table) for row in pq.ParquetFile(path).read().to_pylist()]
    return sorted(found, key=lambda row: row["id"])


def renewed(cities):
    return [{**city, "v": "new"} for city in cities]


def test_folders_are_escaped_as_hive_does_and_their_rows_are_found_again(load, tmp_path, cities):
    load(messages(cities), **BY).succeeded()
    expected = sorted(f"p_city={escaped}" for escaped in VALUES.values())
    assert sorted(path.name for path in (tmp_path / "lake/s").iterdir()) == expected
    load(messages(renewed(cities)), **BY).succeeded()
    assert sorted(path.name for path in (tmp_path / "lake/s").iterdir()) == expected
    assert rows(tmp_path / "lake") == renewed(cities)


READERS = {
    "duckdb": lambda folder: duckdb.sql(
        f"select p_city, city from read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
    ).fetchall(),
    "pyarrow": lambda folder: [
        (row["p_city"], row["city"])
        for row in ds.dataset(folder, partitioning=ds.partitioning(pa.schema([("p_city", pa.string())]), flavor="hive"))
        .to_table().to_pylist()
    ],
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_readers_find_the_value_in_the_folder(load, tmp_path, cities, reader):
    load(messages(cities), **BY).succeeded()
    found = READERS[reader](str(tmp_path / "lake/s"))
    assert sorted(found) == sorted((value, value) for value in VALUES)


def test_folders_on_s3_have_the_same_names_and_glue_knows_where_they_are(s3, tmp_path, cities):
    bucket = s3.bucket("hive-folders")
    catalog = {"type": "glue", "database": "hive_folders", "endpoint_url": s3.url}
    settings = {**s3.settings(f"s3://{bucket}/lake", catalog=catalog), **BY}
    (tmp_path / "t.json").write_text(json.dumps(settings))
    for sent in (cities, renewed(cities)):
        run(TARGET, "--config", tmp_path / "t.json", stdin=messages(sent)).succeeded()
        keys = s3.keys(bucket, "lake/s/")
        assert sorted(keys) == sorted(f"lake/s/p_city={escaped}/part-00000.parquet" for escaped in VALUES.values())
        pages = s3.glue.get_paginator("get_partitions").paginate(DatabaseName="hive_folders", TableName="s")
        partitions = [partition for page in pages for partition in page["Partitions"]]
        found = {p["Values"][0]: p["StorageDescriptor"]["Location"].rstrip("/") for p in partitions}
        assert found == {value: f"s3://{bucket}/lake/s/p_city={escaped}" for value, escaped in VALUES.items()}
    s3.download(bucket, tmp_path / "copy")
    assert rows(tmp_path / "copy/lake") == renewed(cities)


def as_the_first_release(lake, table="s"):
    """Makes a table what release 0.1.0 would have written: every byte that is no plain letter is %XX."""
    for folder in list((lake / table).iterdir()):
        key, _, escaped = folder.name.partition("=")
        value = urllib.parse.quote(urllib.parse.unquote(escaped), safe="-_.").replace("~", "%7E")
        value = value.replace(".", "%2E") if set(value) == {"."} else value
        folder.rename(folder.with_name(f"{key}={value}"))
    path = lake / f"_lake/tables/{table}.json"
    definition = json.loads(path.read_text())
    assert (definition.pop("folders"), definition["format"]) == ("hive", 3)
    path.write_text(json.dumps({**definition, "format": 1}))


@pytest.mark.parametrize("method", ["upsert", "overwrite"])
def test_a_lake_with_folders_of_the_first_release_is_gone_on_with(load, tmp_path, cities, method):
    load(messages(cities), **BY, load_method=method).succeeded()
    lake = tmp_path / "lake"
    as_the_first_release(lake)
    folders = sorted(path.name for path in (lake / "s").iterdir())
    assert "p_city=Z%C3%BCrich" in folders and "p_city=%2E%2E" in folders
    more = [*renewed(cities), {"id": 99, "city": "Köln", "v": "new"}]
    load(messages(more), **BY, load_method=method).succeeded()
    assert sorted(path.name for path in (lake / "s").iterdir()) == sorted([*folders, "p_city=K%C3%B6ln"])
    assert rows(lake) == more
    definition = json.loads((lake / "_lake/tables/s.json").read_text())
    assert definition["format"] == 1 and "folders" not in definition


def test_a_table_that_is_cut_by_dates_is_one_that_the_first_release_takes(load, tmp_path):
    by = {"partition_by": {"column": "city", "granularity": "month"}}
    load(messages([{"id": 1, "city": "2026-01-02"}]), **by).succeeded()
    assert json.loads((tmp_path / "lake/_lake/tables/s.json").read_text())["format"] == 1


@pytest.mark.parametrize("kind", [{"format": "date-time"}, {}], ids=["time", "text"])
def test_an_hour_is_a_folder_that_others_find_by_its_name(load, tmp_path, kind):
    by = {"partition_by": {"column": "city", "granularity": "hour"}}
    times = ["2026-01-31T13:59:59Z", "2026-01-31T13:00:00Z", "2026-01-31T14:00:00Z", "1969-12-31T23:59:59Z", None]
    properties = {**SCHEMA, "city": {"type": ["null", "string"], **kind}}
    load(messages([{"id": at, "city": time} for at, time in enumerate(times)], properties), **by).succeeded()
    folders = {path.name for path in (tmp_path / "lake/s").iterdir()}
    assert folders == {"hour=2026-01-31T13", "hour=2026-01-31T14", "hour=1969-12-31T23", f"hour={HIVE}"}
    read = f"read_parquet('{tmp_path}/lake/s/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
    found = duckdb.sql(f"select id from {read} where hour = '2026-01-31T13' order by id").fetchall()
    assert found == [(0,), (1,)]
    dataset = ds.dataset(
        tmp_path / "lake/s", partitioning=ds.partitioning(pa.schema({"hour": pa.string()}), flavor="hive")
    )
    assert dataset.to_table(filter=ds.field("hour") == "2026-01-31T14")["id"].to_pylist() == [2]
    dated = {**SCHEMA, "city": {"type": "string", "format": "date"}}
    load(messages([{"id": 1, "city": "2026-01-31"}], dated, stream="d"), **by).refused("cuts `city` by hours", "date")


def test_values_that_are_no_dates_are_counted_and_named(load, tmp_path):
    by = {"partition_by": {"column": "city", "granularity": "month"}}
    texts = ["2026-01-02", "soon", "2026-02-30", None, "2026-01-03T00:00:00Z"]
    done = load(messages([{"id": at, "city": text} for at, text in enumerate(texts)]), **by).succeeded()
    misplaced = {"column": "city", "folder": f"month={HIVE}", "count": 2, "example": "soon", "is_no_date": True}
    assert done.summary["streams"]["s"]["misplaced"] == misplaced
    told = [line for line in done.err.splitlines() if "are no dates" in line]
    assert (
        len(told) == 1
        and f"2 values of column `city` are no dates, such as `soon`: see partition month={HIVE}" in told[0]
    )
    assert {path.name for path in (tmp_path / "lake/s").iterdir()} == {"month=2026-01", f"month={HIVE}"}
    done = load(messages([{"id": 1, "city": "2026-01-02"}], stream="t"), **by).succeeded()
    assert "misplaced" not in done.summary["streams"]["t"]


def test_a_key_that_is_too_long_for_s3_is_refused_before_it_is_sent(s3, tmp_path):
    """1,024 bytes, of which a long prefix leaves less than the name of a folder may have."""
    bucket = s3.bucket("long-prefix")
    prefix = "/".join(["p" * 200] * 4)
    (tmp_path / "t.json").write_text(json.dumps({**s3.settings(f"s3://{bucket}/{prefix}"), **BY}))
    fits, long = {"id": 1, "city": "x" * 50}, {"id": 2, "city": "x" * 150}
    run(TARGET, "--config", tmp_path / "t.json", stdin=messages([fits])).succeeded()
    before = s3.keys(bucket)
    done = run(TARGET, "--config", tmp_path / "t.json", stdin=messages([fits, long]))
    done.refused("table `s`", "`city`", "150 bytes")
    assert s3.keys(bucket) == before and max(map(len, before)) <= 1024


UMLAUTS = {"id": {"type": "integer"}, "größe": {"type": "string"}, "Länge": {"type": "number"}}
NAMES = {"größe": "gr__e", "Länge": "l_nge"}


def test_names_are_written_with_the_letters_that_stand_for_theirs(load, tmp_path):
    record = {"id": 1, "größe": "xl", "Länge": 1.5}
    done = load(messages([record], UMLAUTS, stream="übersicht"), partition_by={"column": "größe"}).succeeded()
    assert done.summary["streams"]["übersicht"]["table"] == "uebersicht"
    assert rows(tmp_path / "lake", "uebersicht") == [{"id": 1, "groesse": "xl", "laenge": 1.5}]
    assert [path.name for path in (tmp_path / "lake/uebersicht").iterdir()] == ["p_groesse=xl"]


@pytest.mark.parametrize("called", ["größe", "gr__e", "groesse"])
def test_a_lake_that_has_names_of_the_first_release_keeps_them(load, tmp_path, called):
    """Table, columns, keys and the key of its partitions."""
    by, lake = {"partition_by": {"column": called}}, tmp_path / "lake"
    first = {"partition_by": {"column": "größe" if called == "groesse" else called}}
    records = [{"id": at, "größe": "xl", "Länge": 1.5} for at in range(3)]
    load(messages(records, UMLAUTS, stream="Übersicht", keys=["id", "größe"]), **first).succeeded()
    # What release 0.1.0 has made of the same.
    definition = json.loads((lake / "_lake/tables/uebersicht.json").read_text())
    (lake / "_lake/tables/uebersicht.json").unlink()
    (lake / "uebersicht").rename(lake / "t_bersicht")
    for path in list((lake / "t_bersicht").iterdir()):
        path.rename(path.with_name("p_gr__e=xl"))
    for column in definition["columns"]:
        column["name"] = NAMES.get(column["source"], column["name"])
    del definition["folders"]
    definition |= {"table": "t_bersicht", "keys": ["id", "gr__e"], "format": 1}
    (lake / "_lake/tables/t_bersicht.json").write_text(json.dumps(definition))
    (path,) = files(lake, "t_bersicht")
    table = pq.ParquetFile(path).read()
    pq.write_table(table.rename_columns(["id", "gr__e", "l_nge"]), path)

    wider = {**UMLAUTS, "höhe": {"type": "number"}}
    again = [{"id": at, "größe": "xl", "Länge": 2.5, "höhe": 1} for at in range(1, 4)]
    if called == "groesse":
        by = first
    done = load(messages(again, wider, stream="Übersicht", keys=["id", "größe"]), **by).succeeded()
    assert done.summary["streams"]["Übersicht"]["table"] == "t_bersicht"
    assert sorted(path.name for path in lake.iterdir() if path.name != "_lake") == ["t_bersicht"]
    assert [path.name for path in (lake / "t_bersicht").iterdir()] == ["p_gr__e=xl"]
    assert rows(lake, "t_bersicht") == [
        {"id": 0, "gr__e": "xl", "l_nge": 1.5, "hoehe": None},
        *({"id": at, "gr__e": "xl", "l_nge": 2.5, "hoehe": 1.0} for at in range(1, 4)),
    ]


def test_a_stream_whose_former_name_is_anothers_by_itself_has_a_table_of_its_own(load, tmp_path):
    load(messages([{"id": 1}], stream="gr__e")).succeeded()
    load(messages([{"id": 2}], stream="größe")).succeeded()
    assert [len(rows(tmp_path / "lake", name)) for name in ("gr__e", "groesse")] == [1, 1]


def test_a_key_that_may_be_twice_is_asked_about_when_its_table_is_made(load):
    by = {"partition_by": {"column": "city", "granularity": "month"}}
    record = messages([{"id": 1, "city": "2026-01-02"}])
    asks = "set `move_keys` to true where that may be"
    done = load(record, **by).succeeded()
    assert done.err.count(asks) == 1 and "where `city` of a row changes" in done.err
    assert asks not in load(record, **by).succeeded().err, "once"
    for stream, decided in [("a", {"move_keys": True}), ("b", {"move_keys": False}), ("c", {"load_method": "append"})]:
        sent = messages([{"id": 1, "city": "2026-01-02"}], stream=stream)
        assert asks not in load(sent, **by, **decided).succeeded().err
    keyed = messages([{"id": 1, "city": "2026-01-02"}], stream="d", keys=["id", "city"])
    assert asks not in load(keyed, **by).succeeded().err


OLD = Path(__file__).parent / "fixtures" / "lake-first-folders"


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_a_lake_that_a_program_of_before_has_written_is_gone_on_with(s3, tmp_path, place):
    """Folders, table, columns and keys have the names of then, and no row is there twice."""
    made = runpy.run_path(str(OLD / "make_folders.py"))
    if place == "s3":
        bucket = s3.bucket("first-folders")
        for path in (path for path in (OLD / "lake").rglob("*") if path.is_file()):
            s3.client.upload_file(str(path), bucket, f"lake/{path.relative_to(OLD / 'lake')}")
        settings = s3.settings(f"s3://{bucket}/lake")
    else:
        shutil.copytree(OLD / "lake", tmp_path / "lake")
        settings = {"destination": str(tmp_path / "lake")}
    (tmp_path / "t.json").write_text(json.dumps({**settings, **made["SETTINGS"]}))
    sent = lines(*made["messages"]("second", 2.5))
    run(TARGET, "--config", tmp_path / "t.json", stdin=sent).succeeded()
    if place == "s3":
        s3.download(bucket, tmp_path)
    before = [path.relative_to(OLD / "lake") for path in (OLD / "lake").rglob("part-*.parquet")]
    assert sorted(path.relative_to(tmp_path / "lake") for path in files(tmp_path / "lake", "t_bersicht")) == sorted(
        before
    )
    expected = [{"id": at, "gr__e": city, "l_nge": 2.5, "v": "second"} for at, city in enumerate(made["CITIES"])]
    assert rows(tmp_path / "lake", "t_bersicht") == expected
