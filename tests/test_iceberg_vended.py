"""Tables that lie where their catalog puts them, in a bucket that only the credentials open which it hands out."""

import re

import pytest

from iceberg_rest import RestCatalog
from iceberg_tables import readers_in
from test_iceberg_catalogs import SCHEMA, Loads, records, total
from vending import Gate, Vendor

# One catalog for all of them.
pytestmark = pytest.mark.xdist_group("iceberg")


@pytest.fixture(scope="module")
def servers(s3, tmp_path_factory):
    """The catalog, and S3 behind its gate."""
    folder = tmp_path_factory.mktemp("vended")
    catalog = RestCatalog(folder, f"s3://{s3.bucket('theirs')}/wh")
    yield catalog, s3
    catalog.stop()


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    yield from readers_in(tmp_path_factory.mktemp("vended-readers"))


@pytest.fixture
def lake(servers, readers, tmp_path, request):
    """A lake in a folder, whose tables are in the bucket of the catalog."""
    catalog, s3 = servers
    gate = Gate(s3)
    vendor = Vendor(catalog, gate)
    namespace = re.sub(r"\W+", "_", request.node.name)
    loads = Loads(tmp_path, {"destination": str(tmp_path / "lake"), "catalog": vendor.settings(namespace)})
    loads.gate, loads.vendor, loads.s3, loads.namespace = gate, vendor, s3, namespace
    loads.metadata = lambda: catalog.metadata(namespace, "s")
    loads.objects = lambda: set(s3.keys("theirs", f"wh/{namespace}/"))

    def names(by="pyiceberg"):
        rows = readers.ask("catalog_rows", uri=vendor.url, namespace=namespace, table="s", by=by)
        return {row["id"]: row["name"] for row in rows}

    loads.names, loads.readers = names, readers
    yield loads
    vendor.stop()
    gate.stop()


def expected(*parts):
    return {number: name for numbers, name in parts for number in numbers}


@pytest.mark.parametrize("as_list", [True, False], ids=["list", "settings"])
def test_a_table_is_written_where_the_catalog_puts_it_with_what_it_hands_out(lake, as_list):
    lake.vendor.as_list = as_list
    lake.load(range(100), "first").succeeded()
    lake.load(range(90, 120), "second").succeeded()
    whole = expected((range(90), "first"), (range(90, 120), "second"))
    for reader in ("pyiceberg", "duckdb"):
        assert lake.names(reader) == whole, reader
    assert total(lake.metadata()) == 120
    assert lake.gate.refused == []
    # Nothing of the table is in the lake, and all that was written lies below its location.
    assert not list((lake.folder / "lake" / "s").glob("**/*.*"))
    assert lake.objects()
    location = lake.metadata()["location"].removeprefix("s3:/")
    assert {path for path in lake.gate.written if not path.startswith(f"{location}/")} == set()


def test_what_another_program_adds_by_the_catalog_stays_and_is_merged(lake):
    lake.load(range(10), "first").succeeded()
    where = {"uri": lake.vendor.url, "namespace": lake.namespace, "table": "s"}
    lake.readers.ask("catalog_append", **where, rows=records([100, 101], "theirs"))
    lake.load([5, 101], "second").succeeded()
    whole = expected((range(10), "first"), ([100], "theirs"), ([5, 101], "second"))
    assert lake.names() == whole


def test_appended_rows_and_a_column_that_comes_later_lie_there_too(lake):
    schema = {**SCHEMA, "key_properties": []}
    lake.load(range(5), "first", schema).succeeded()
    wider = {**schema, "schema": {"properties": {**schema["schema"]["properties"], "more": {"type": "number"}}}}
    lake.load(range(5, 9), "second", wider).succeeded()
    assert lake.names() == expected((range(5), "first"), (range(5, 9), "second"))


def test_writers_at_once_make_one_table_and_lose_no_row(lake):
    lake.at_once([(range(first, first + 40), f"w{first}") for first in (100, 200, 300)])
    assert len(lake.names()) == 120
    assert total(lake.metadata()) == 120


def test_credentials_that_end_are_asked_for_anew_before_that(lake):
    lake.load(range(10), "first").succeeded()
    lake.vendor.seconds, lake.vendor.loads = 2, 0
    lake.load(range(5), "second").succeeded()
    assert lake.names() == expected((range(10), "first"), (range(5), "second"))
    assert "ExpiredToken" not in lake.gate.refused


def test_credentials_whose_time_is_over_though_nothing_said_so_are_replaced(lake):
    lake.load(range(10), "first").succeeded()
    # Each is refused after its third use, until it was asked for anew.
    lake.gate.refuse_after(3)
    lake.load(range(5), "second").succeeded()
    assert "ExpiredToken" in lake.gate.refused
    lake.gate.refuse_after(None)
    assert lake.names() == expected((range(10), "first"), (range(5), "second"))


@pytest.mark.parametrize("said", [True, False], ids=["which says so", "which does not"])
def test_a_catalog_that_hands_out_what_has_expired_is_one_clear_error(lake, said):
    lake.load(range(10), "first").succeeded()
    before, metadata = lake.objects(), lake.metadata()
    lake.vendor.loads = 0
    if said:
        lake.vendor.seconds = -60
    else:
        lake.gate.refuse_after(0)
    failed = lake.load(range(5), "second")
    failed.refused("the catalog's credentials for s3://theirs/wh", "are of no use")
    assert not re.search(r"secret-|token-|AKIA", failed.out + failed.err)
    assert lake.vendor.loads < 8
    assert lake.objects() >= before
    assert lake.metadata() == metadata
    lake.vendor.seconds = 3600
    lake.gate.refuse_after(None)
    assert lake.names() == expected((range(10), "first"))
    lake.load(range(5), "second").succeeded()
    assert lake.names() == expected((range(10), "first"), (range(5), "second"))


def test_maintenance_works_there_and_removes_what_nothing_names(lake):
    for ids in (range(10), range(10, 20)):
        lake.load(ids, "first", {**SCHEMA, "key_properties": []}).succeeded()
    place = f"{lake.metadata()['location'].removeprefix('s3://theirs/')}/"
    # A run that has been at work for years has written it just now.
    young = "data/20200101T000000000000-000000-00007.parquet"
    old = ["data/20200101T000000000000-000000-00000.parquet", "data/of-spark.parquet", "metadata/of-spark-m0.avro"]
    strange, besides = "data/young-of-spark.parquet", "notes.txt"
    for name in (*old, young, strange, besides):
        lake.s3.client.put_object(Bucket="theirs", Key=place + name, Body=b"x")
    for name in (*old, besides):
        lake.s3.steer("objects", bucket="theirs", key=place + name, hours=73)
    done = lake.maintain("--compact", "--expire").succeeded()
    assert "3 files that none names were removed" in done.out
    assert f"{place}{strange}: not written by this program; no snapshot names it" in done.out
    left = {name for name in (*old, young, strange, besides) if place + name in lake.objects()}
    assert left == {young, strange, besides}
    checked = lake.maintain("--check").succeeded()
    assert "as promised" in checked.out and " 20 " in checked.out
    lake.maintain("--erase", "name=first").succeeded()
    assert lake.names() == {}


def test_a_catalog_that_lets_nobody_list_is_left_to_remove_what_nothing_names(lake):
    lake.load(range(10), "first").succeeded()
    lake.gate.lists = False
    done = lake.maintain("--expire").succeeded()
    assert "are not looked for, that is for its catalog" in done.err and "access denied" in done.err
    assert lake.names() == expected((range(10), "first"))
