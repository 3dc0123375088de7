"""Superset itself imports the dashboard of deploy/bi/superset and answers every chart, from the marts of the demo."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]
MARTS = """if True:
    import sys
    from pathlib import Path
    sys.path.insert(0, "tests")
    from demo import Demo
    from marts import Marts
    demo = Demo(Path(sys.argv[1]))
    demo.stop()
    Marts(Path(sys.argv[1]) / "marts", demo.lake).build("--exclude-resource-type", "test")
"""
"""Makes the demo's lake and its marts, with the Python of the other tests: Superset's holds them back."""
CONFIG = """
SECRET_KEY = "of a test, and of nothing else"
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"
PREVENT_UNSAFE_DB_CONNECTIONS = False
"""


@pytest.fixture(scope="module")
def superset(tmp_path_factory):
    """A Superset with nothing in it but an administrator, and the bundle for these marts."""
    folder = tmp_path_factory.mktemp("superset")
    subprocess.run([ROOT / ".venv" / "bin" / "python", "-c", MARTS, folder], cwd=ROOT, check=True, capture_output=True)
    marts = folder / "marts" / "marts.duckdb"
    (folder / "superset_config.py").write_text(CONFIG.format(folder=folder))
    os.environ["SUPERSET_CONFIG_PATH"] = str(folder / "superset_config.py")
    program = Path(sys.executable).parent / "superset"
    admin = "--username admin --firstname a --lastname b --email a@example.com --password of-a-test"
    for command in ("db upgrade", f"fab create-admin {admin}", "init"):
        subprocess.run([program, *command.split()], check=True, capture_output=True)
    bundle = [sys.executable, ROOT / "deploy" / "bi" / "superset" / "bundle.py", "--schema", "wistia"]
    bundle += ["--uri", f"duckdb:///{marts}", "--out", folder / "wistia.zip"]
    subprocess.run(bundle, check=True)

    from superset.app import create_app

    app = create_app()
    with app.test_request_context():
        yield folder / "wistia.zip", marts


def imported(path):
    """The dashboard, as the importer of the page *Dashboards* makes it."""
    from superset import db, security_manager
    from superset.commands.dashboard.importers.v1 import ImportDashboardsCommand
    from superset.commands.importers.v1.utils import get_contents_from_bundle
    from superset.models.dashboard import Dashboard
    from superset.utils.core import override_user

    with zipfile.ZipFile(path) as bundle:
        contents = get_contents_from_bundle(bundle)
    with override_user(security_manager.find_user("admin")):
        ImportDashboardsCommand(contents, overwrite=True).run()
    return db.session.query(Dashboard).filter_by(slug="wistia-videos").one()


def asked(chart):
    """What a chart shows, by Superset's own queries."""
    from superset import security_manager
    from superset.commands.chart.data.get_data_command import ChartDataCommand
    from superset.common.query_context_factory import QueryContextFactory
    from superset.utils.core import override_user

    params = json.loads(chart.params)

    def of(*names):
        values = [params[name] for name in names if params.get(name)]
        return [item for value in values for item in (value if isinstance(value, list) else [value])]

    filters = [
        {"col": each["subject"], "op": each["operator"], "val": each["comparator"]} for each in params["adhoc_filters"]
    ]
    query = {"columns": of("x_axis", "groupby", "entity", "all_columns"), "filters": filters, "row_limit": 10000}
    if params.get("query_mode") != "raw":
        query["metrics"] = of("metric", "metrics")
    with override_user(security_manager.find_user("admin")):
        context = QueryContextFactory().create(
            datasource={"id": chart.datasource_id, "type": "table"},
            queries=[query],
            result_type="full",
            result_format="json",
        )
        command = ChartDataCommand(context)
        command.validate()
        (answer,) = command.run()["queries"]
    assert answer["error"] is None, f"{chart.slice_name}: {answer['error']}"
    return answer["data"]


def test_superset_imports_the_dashboard_and_answers_its_charts(superset):
    path, marts = superset
    # As a newer version of it would be.
    imported(path)
    dashboard = imported(path)
    charts = {chart.slice_name: chart for chart in dashboard.slices}
    shown = [part for name, part in json.loads(dashboard.position_json).items() if name.startswith("CHART-")]
    assert {part["meta"]["chartId"] for part in shown} == {chart.id for chart in charts.values()}
    answers = {name: asked(chart) for name, chart in charts.items()}
    assert all(answers.values()), "a chart has no rows"
    with duckdb.connect(str(marts), read_only=True) as connection:
        query = "select sum(plays)::bigint, sum(plays) / sum(loads) from wistia.video_performance_daily"
        plays, rate = connection.execute(query).fetchone()
    assert answers["Plays"] == [{"plays": plays}]
    assert answers["Play rate"][0]["play_rate"] == pytest.approx(rate)
    assert sum(row["plays"] for row in answers["Plays by week"]) == plays
