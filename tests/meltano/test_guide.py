"""What docs/meltano.md tells people to type is typed, in a project of their own."""

import shutil

import pytest
import yaml

from harness import ROOT
from lake import duckdb_rows
from recipes import Desk
from test_meltano import PLUGINS
from wheels import WHEELS

TABLES = [
    "dim_media",
    "dim_visitors",
    "fact_engagements",
    "fact_engagements_byday",
    "fact_engagement_graph",
    "fact_events",
]


@pytest.mark.timeout(900)
def test_the_guide_makes_a_project_and_adds_a_table_to_the_others(simulator, s3, tmp_path):
    account = simulator(seed=21, medias=4, events=60, days=300)
    desk = Desk(tmp_path, account, s3, MELTANO_SEND_ANONYMOUS_USAGE_STATS="false", NO_COLOR="1", UV_OFFLINE="1")
    (desk.folder / "dist").mkdir()
    for wheel in map(WHEELS.get, PLUGINS):
        shutil.copy(wheel, desk.folder / "dist")
    assert desk.work_through("docs/meltano.md", "tests/meltano/test_guide.py") == []

    project = desk.folder / "video-lake"
    (tap,) = yaml.safe_load((project / "meltano.yml").read_text())["plugins"]["extractors"]
    assert tap["select"] == [f"{table}.*" for table in [*TABLES, "visitors"]] + ["!fact_events.embed_url"]
    example = yaml.safe_load((ROOT / "examples" / "meltano" / "meltano.yml").read_text())
    assert set(tap["select"]) - {"visitors.*"} <= set(example["plugins"]["extractors"][0]["select"])
    assert len(duckdb_rows(project / "lake", "fact_events")) == len(account.truth("fact_events"))
