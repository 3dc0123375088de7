"""Iceberg tables that a catalog keeps, on DuckDB: the marts and the page are those of the plain lake."""

import json
import re

import pytest

from harness import ROOT, TARGET, run
from iceberg_rest import RestCatalog
from marts import DBT, PATIENCE, Marts
from test_dbt import assert_same_marts, aws
from vending import Gate, Vendor

pytestmark = pytest.mark.xdist_group("dbt")

PYTHON = DBT.parent / "python"


def load(demo, folder, settings):
    """The demo's lake in a night; tests/test_dbt.py has several, and tables with partitions."""
    folder.mkdir(exist_ok=True)
    config = folder / "target.json"
    config.write_text(json.dumps({**settings, "table_format": "iceberg"}))
    run(TARGET, "--config", config, stdin=demo.messages).succeeded()


SOME = {"events_per_video", "video_performance_daily"}


def test_tables_that_glue_keeps_are_the_same_lake(demo, marts, s3, tmp_path):
    s3.glue.create_database(DatabaseInput={"Name": "kept"})
    catalog = {"type": "glue", "database": "kept", "endpoint_url": s3.url, "region": "us-east-1"}
    lake = f"s3://{s3.bucket('dbt-glue')}/wistia"
    load(demo, tmp_path, s3.settings(lake, catalog=catalog))
    env = {**aws(s3), "WISTIA_CATALOG": "glue:kept"}
    made = Marts(tmp_path / "marts", lake)
    made.build("--exclude-resource-type", "test", "--select", *(f"+{mart}" for mart in SOME), env=env)
    assert_same_marts(made, marts, SOME)


@pytest.fixture(scope="module")
def vended(demo, s3, tmp_path_factory):
    """The demo's tables in a bucket of the catalog, which alone hands out credentials for it."""
    folder = tmp_path_factory.mktemp("vended")
    catalog = RestCatalog(folder, f"s3://{s3.bucket('kept')}/wh")
    gate = Gate(s3)
    vendor = Vendor(catalog, gate)
    try:
        load(demo, folder, {"destination": str(folder / "lake"), "catalog": vendor.settings("wistia")})
        yield folder, vendor, gate
    finally:
        vendor.stop()
        gate.stop()
        catalog.stop()


def build(lake, page, vendor, **env):
    """The page, by the catalog as PyIceberg's variables have it."""
    env = {"PYICEBERG_CATALOG__POLARIS__URI": vendor.url, **env}
    command = [PYTHON, ROOT / "report" / "build.py", "--lake", lake, "--out", page]
    return run(*command, "--catalog", "polaris:wistia", env=env, timeout=PATIENCE)


def test_tables_that_a_catalog_places_are_the_same_lake_and_have_a_page(vended, marts):
    folder, vendor, gate = vended
    build(folder / "lake", folder / "page", vendor).succeeded()
    assert_same_marts(Marts(folder / "page.work", folder / "lake"), marts)
    assert (folder / "page" / "index.html").exists()
    # Each file was read with credentials for its table.
    assert gate.refused == []


def test_a_catalog_that_cannot_be_read_is_one_clear_error(vended, tmp_path):
    folder, vendor, _ = vended
    nowhere = build(folder / "lake", tmp_path / "page", vendor, PYICEBERG_CATALOG__POLARIS__URI="http://127.0.0.1:9")
    assert nowhere.code == 1 and "the catalog 'polaris:wistia' cannot be read: ConnectionError" in nowhere.err
    command = [PYTHON, ROOT / "report" / "build.py", "--lake", folder / "lake", "--out", tmp_path / "page"]
    for name, said in {"polaris": "NAME:NAMESPACE", "nobody:wistia": "PYICEBERG_CATALOG__NOBODY__URI"}.items():
        done = run(*command, "--catalog", name, timeout=PATIENCE)
        assert done.code == 1 and said in done.err and "Traceback" not in done.err, done.err
    assert not (tmp_path / "page").exists()


def test_credentials_that_s3_refuses_are_an_error_that_names_the_table_and_no_secret(vended):
    folder, vendor, gate = vended
    gate.refuse_after(0)
    try:
        done = build(folder / "lake", folder / "page", vendor)
    finally:
        gate.refuse_after(None)
    assert done.code == 1 and " in the catalog is a table of Iceberg that cannot be read by its files" in done.err
    assert "ExpiredToken" in gate.refused and not re.search("secret-|token-|AKIA", done.err)


def test_a_table_that_cannot_be_read_by_its_files_is_refused_by_its_name(vended):
    """Somebody renames a column in the catalog; tests/test_iceberg.py has what else others do to tables."""
    folder, vendor, _ = vended
    rename = (
        "from pyiceberg.catalog import load_catalog\n"
        "with load_catalog('polaris').load_table('wistia.dim_projects').update_schema() as update:\n"
        "    update.rename_column('name', 'title')\n"
    )
    env = {"PYICEBERG_CATALOG__POLARIS__URI": vendor.url}
    run(PYTHON, "-c", rename, env=env).succeeded()
    done = build(folder / "lake", folder / "page", vendor)
    assert done.code == 1 and "dim_projects in the catalog is a table of Iceberg that cannot be read" in done.err
    assert "somebody has renamed its column name to title" in done.err
