"""Lakes of ours, and lakes that somebody has broken, against the data contract: by datacontract-cli."""

import shutil
import subprocess

import duckdb
import pytest

from demo import every_stream
from harness import PARTITIONS, ROOT, Pipe, Simulator, run
from lake import files

TOOL = ROOT / ".venv-contract" / "bin"
CONTRACT = ROOT / "schemas" / "wistia.odcs.yaml"


def without_network():
    """What runs a command where there is no network, if this machine lets us."""
    words = ["unshare", "--map-root-user", "--net"]
    can = shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if can else []


def check(lake, *flags, env=None, alone=True):
    """The check of a lake: the code, and the lines that it says."""
    words = without_network() if alone else []
    done = run(*words, TOOL / "python", ROOT / "scripts" / "check_contract.py", "--lake", lake, *flags, env=env)
    assert not done.err.strip(), done.err
    return done.code, done.out.splitlines()


@pytest.fixture(scope="module")
def make_lake(tmp_path_factory):
    started = []

    def make(account=None, target=None, catalog=None, **settings):
        started.append(Simulator(**{"seed": 3, "medias": 6, "events": 400, "days": 40, **(account or {})}))
        folder = tmp_path_factory.mktemp("lake")
        goal = {"destination": str(folder / "lake"), "streams": PARTITIONS, **(target or {})}
        job = Pipe(folder, started[-1].settings(**settings), goal, catalog or every_stream())
        job.sync()
        return job.lake

    yield make
    for simulator in started:
        simulator.stop()


@pytest.fixture(scope="module")
def lake(make_lake):
    return make_lake()


def test_a_lake_of_ours_keeps_it(lake):
    code, said = check(lake)
    assert code == 0, said
    assert said[:-1] == ["not checked: dim_deleted_media is not in the lake"]
    assert said[-1].endswith("0 did not pass") and int(said[-1].split()[0]) > 400


def test_so_does_one_of_iceberg(make_lake):
    code, said = check(make_lake(target={"table_format": "iceberg"}))
    assert code == 0, said


def test_so_does_one_on_s3(lake, s3):
    bucket = s3.bucket("contract")
    for path in files(lake):
        s3.client.upload_file(str(path), bucket, f"wistia/{path.relative_to(lake)}")
    aws = {"AWS_ENDPOINT_URL": s3.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    code, said = check(f"s3://{bucket}/wistia", env={**aws, "AWS_REGION": "us-east-1"}, alone=False)
    assert code == 0 and "15 tables" in said[-1], said


def test_so_does_one_without_what_is_personal(make_lake):
    """Columns are there without values, or not at all where the catalog of the tap leaves them out."""
    catalog = every_stream()
    (events,) = (stream for stream in catalog["streams"] if stream["stream"] == "fact_events")
    left_out = {("properties", column) for column in ("city", "org")}
    for entry in events["metadata"]:
        if tuple(entry["breadcrumb"]) in left_out:
            entry["metadata"]["selected"] = False
    lake = make_lake(catalog=catalog, personal_data="drop", personal_data_salt="0123456789abcdef")
    code, said = check(lake)
    assert code == 0, said
    assert [line for line in said if "is personal" in line] == [
        f"not checked: fact_events.{column} is personal and not in the lake" for column in ("city", "org")
    ]


def broken(lake, folder):
    """A lake in which a key is there twice, and so on."""
    shutil.copytree(lake, folder)
    with duckdb.connect() as connection:
        for table, query in {
            "fact_events": "select * exclude (country) replace (2.5 as percent_viewed, "
            "nullif(event_key, min(event_key) over ()) as event_key) from {rows}",
            "fact_engagements_byday": "select * from {rows} union all (select * from {rows} limit 1)",
            "fact_engagements": "select * replace (cast(date as varchar) as date) from {rows}",
            "dim_media": "select * replace (struct_pack(url := 1, width := 2, height := 3) as thumbnail) from {rows}",
            "dim_visitors": "select * from {rows} where false",
        }.items():
            rows = f"read_parquet('{folder}/{table}/**/*.parquet', hive_partitioning = false, union_by_name = true)"
            connection.execute(f"copy ({query.format(rows=rows)}) to '{folder.parent}/{table}.parquet'")
            shutil.rmtree(folder / table)
            (folder / table).mkdir()
            shutil.move(folder.parent / f"{table}.parquet", folder / table / "part-00000.parquet")
    shutil.rmtree(folder / "fact_engagement_graph")
    return folder


def test_what_breaks_it_is_named(lake, tmp_path):
    code, said = check(broken(lake, tmp_path / "lake"))
    assert code == 1
    failed = [line.removeprefix("failed: ") for line in said if line.startswith("failed: ")]
    expected = [
        "fact_engagement_graph is not in the lake",
        "fact_engagements_byday: Check that primary key (media_id, date) has no duplicate values",
        "fact_events.event_key: Check that field event_key has no missing values",
        "fact_events.percent_viewed: Check that field percent_viewed has a maximum of 1",
        "fact_events.country: Check that field 'country' is present",
        "fact_events.country: Check that field country has type string",
        "fact_engagements.date: Check that field date has type date",
        "dim_media.thumbnail.url: Check that field thumbnail.url has type string",
        "dim_visitors: Check that model dim_visitors has row_count > 0",
    ]
    assert all(any(line.startswith(one) for line in failed) for one in expected), failed
    assert all(any(line.startswith(one) for one in expected) for line in failed), failed


def test_rows_that_are_old_break_it_unless_asked(make_lake):
    old = make_lake({"today": "2026-06-30"}, start_date="2026-06-01", end_date="2026-06-30")
    code, said = check(old)
    failed = [line for line in said if line.startswith("failed: ")]
    assert code == 1 and all("Freshness of" in line for line in failed), said
    assert any("fact_events.received_at" in line for line in failed)
    assert check(old, "--stale")[0] == 0


def test_there_is_no_lake(tmp_path):
    done = run(TOOL / "python", ROOT / "scripts" / "check_contract.py", "--lake", tmp_path / "none")
    assert done.code == 1 and "there is no lake at" in done.err
    done = run(TOOL / "python", ROOT / "scripts" / "check_contract.py", "--lake", tmp_path)
    assert done.code == 1 and "has no table of the contract" in done.err


def test_the_tool_reads_the_contract_as_it_is(lake):
    """As somebody uses it who has the contract and the lake, and nothing of ours."""
    said = run(TOOL / "datacontract", "lint", CONTRACT)
    assert said.code == 0 and "valid against ODCS v3.2.0" in said.out
    env = {"WISTIA_LAKE": str(lake), "COLUMNS": "200"}
    words = [TOOL / "datacontract", "test", CONTRACT, "--server", "folder", "--schema-name", "fact_events"]
    # Else the promise of freshness of other tables would be looked for.
    words += ["--checks", "properties,quality"]
    said = run(*without_network(), *words, env=env)
    assert said.code == 0 and "passed" in said.out, said.out
