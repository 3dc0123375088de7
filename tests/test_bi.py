"""The dashboards of deploy/bi: against the columns of the marts, and against what QuickSight and Superset take."""

import json
import re
import subprocess
import sys
import zipfile

import duckdb
import pytest
import sqlglot
import yaml

from aws_stacks import Loader
from harness import ROOT

pytestmark = pytest.mark.xdist_group("dbt")

BI = ROOT / "deploy" / "bi"
TEMPLATE = BI / "quicksight" / "quicksight.yaml"
BUNDLE = BI / "superset"
QUICKSIGHT_TYPES = {
    "VARCHAR": "STRING",
    "BIGINT": "INTEGER",
    "INTEGER": "INTEGER",
    "DOUBLE": "DECIMAL",
    "DATE": "DATETIME",
}
"""docs.aws.amazon.com/quicksight/latest/APIReference/API_InputColumn.html, and what its user guide says of Athena."""


@pytest.fixture(scope="module")
def columns(marts):
    """The columns of each mart, with their types, in their order."""
    found = {}
    query = (
        "select table_name, column_name, data_type from information_schema.columns "
        "where table_schema = 'wistia' order by table_name, ordinal_position"
    )
    for row in marts.ask(query):
        found.setdefault(row["table_name"], []).append((row["column_name"], row["data_type"]))
    return found


# QuickSight


@pytest.fixture(scope="module")
def quicksight():
    return yaml.load(TEMPLATE.read_text(), Loader)["Resources"]


def data_sets(resources):
    """The data sets by their logical names, each as its one table."""
    return {
        name: each["Properties"]["PhysicalTableMap"]["mart"]["RelationalTable"]
        for name, each in resources.items()
        if each["Type"] == "AWS::QuickSight::DataSet"
    }


def test_data_sets_of_quicksight_have_the_columns_of_the_marts(quicksight, columns):
    tables = data_sets(quicksight)
    assert len(tables) == 5
    for table in tables.values():
        declared = [(column["Name"], column["Type"]) for column in table["InputColumns"]]
        assert declared == [(name, QUICKSIGHT_TYPES[kind]) for name, kind in columns[table["Name"]]], table["Name"]


def inner(value, key):
    """What stands under a key, wherever."""
    if isinstance(value, dict):
        found = [value[key]] if key in value else []
        return found + [each for part in value.values() for each in inner(part, key)]
    return [each for part in value for each in inner(part, key)] if isinstance(value, list) else []


def test_the_dashboard_of_quicksight_names_what_there_is(quicksight):
    definition, tables = quicksight["Dashboard"]["Properties"]["Definition"], data_sets(quicksight)
    known = {
        each["Identifier"]: {column["Name"] for column in tables[each["DataSetArn"]["Fn::GetAtt"][0]]["InputColumns"]}
        for each in definition["DataSetIdentifierDeclarations"]
    }
    for field in definition["CalculatedFields"]:
        assert set(re.findall(r"\{(\w+)\}", field["Expression"])) <= known[field["DataSetIdentifier"]], field
        assert set(re.findall(r"(\w+)\(", field["Expression"])) <= {"nullIf", "sum"}
    for field in definition["CalculatedFields"]:
        known[field["DataSetIdentifier"]].add(field["Name"])
    named = inner(definition, "Column")
    assert len(named) > 20
    for column in named:
        assert column["ColumnName"] in known[column["DataSetIdentifier"]], column
    filters = {
        each["FilterId"] for group in definition["FilterGroups"] for one in group["Filters"] for each in one.values()
    }
    for sheet in definition["Sheets"]:
        visuals = [each for visual in sheet["Visuals"] for each in inner(visual, "VisualId")]
        assert len(set(visuals)) == len(visuals) == len(sheet["Visuals"])
        assert sorted(inner(sheet["Layouts"], "ElementId")) == sorted(visuals), "each has its place"
        assert set(inner(sheet.get("FilterControls", []), "SourceFilterId")) <= filters
        fields = set(inner(sheet["Visuals"], "FieldId"))
        assert set(inner(inner(sheet["Visuals"], "SortConfiguration"), "FieldId")) <= fields
    scopes = inner(definition["FilterGroups"], "SheetVisualScopingConfigurations")
    sheets = {sheet["SheetId"]: set(inner(sheet["Visuals"], "VisualId")) for sheet in definition["Sheets"]}
    for scope in (each for several in scopes for each in several):
        assert set(scope.get("VisualIds", [])) <= sheets[scope["SheetId"]]
    for data_set in (name for name, each in quicksight.items() if each["Type"] == "AWS::QuickSight::DataSet"):
        mine, its = quicksight[data_set]["Properties"], quicksight[f"{data_set}Refresh"]["Properties"]
        assert mine["DataSetId"] == its["DataSetId"]
        tags = [
            each["TagColumnOperation"]["ColumnName"]
            for each in mine["LogicalTableMap"]["mart"].get("DataTransforms", [])
        ]
        assert set(tags) <= {column["Name"] for column in data_sets(quicksight)[data_set]["InputColumns"]}


def parameters_of(**given):
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]


def test_calculated_fields_of_quicksight_are_those_of_the_marts(quicksight, marts):
    """QuickSight's functions are DuckDB's here, of another case; its columns are in braces."""
    definition, tables = quicksight["Dashboard"]["Properties"]["Definition"], data_sets(quicksight)
    of_set = {
        each["Identifier"]: tables[each["DataSetArn"]["Fn::GetAtt"][0]]["Name"]
        for each in definition["DataSetIdentifierDeclarations"]
    }
    for field in definition["CalculatedFields"]:
        expression = re.sub(r"\{(\w+)\}", r'"\1"', field["Expression"])
        (row,) = marts.ask(f"select {expression} as value from wistia.{of_set[field['DataSetIdentifier']]}")
        assert 0 < row["value"] < 1, field


def test_quicksight_is_asked_what_its_api_knows(empty_account):
    """Every resource is held against botocore's model of the API, which AWS publishes."""
    cloudformation = empty_account.service("cloudformation")
    principal = "arn:aws:quicksight:us-east-1:123456789012:group/default/analysts"
    given = parameters_of(MartsBucket="marts", Principal=principal)

    def made(name, text):
        cloudformation.create_stack(
            StackName=name, TemplateBody=text, Capabilities=["CAPABILITY_IAM"], Parameters=given
        )
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"], events

    status, events = made("wistia-quicksight", TEMPLATE.read_text())
    assert status == "CREATE_COMPLETE", events
    # The API has a say: what it does not know is refused.
    for mine, wrong in (
        ("Direction: DESC", "Direction: DOWN"),
        ("Interval: DAILY", "Interval: 5"),
        ("Sheets:", "Sheet:"),
    ):
        assert mine in TEMPLATE.read_text()
        status, events = made(f"wrong-{wrong[:5]}".strip(":"), TEMPLATE.read_text().replace(mine, wrong))
        assert (status == "ROLLBACK_COMPLETE") or wrong.startswith(("Direction", "Interval")), events


# Superset

SHAPES = {
    "databases": "database_name sqlalchemy_uri expose_in_sqllab allow_run_async allow_ctas allow_cvas allow_dml extra "
    "uuid version",
    "datasets": "table_name main_dttm_col description schema uuid metrics columns version database_uuid",
    "charts": "slice_name description viz_type params query_context cache_timeout uuid version dataset_uuid",
    "dashboards": "dashboard_title description css slug uuid position metadata version published",
}
"""What each file has: names of ImportV1DatabaseSchema, ImportV1DatasetSchema, ImportV1ChartSchema and
ImportV1DashboardSchema in Superset 6.1.0 (superset/*/schemas.py), which `make test-superset` asks themselves."""


@pytest.fixture(scope="module")
def superset():
    """The files of the bundle, by their folder and name."""
    return {
        (path.relative_to(BUNDLE).parts[0], path.stem): yaml.safe_load(path.read_text())
        for path in BUNDLE.rglob("*.yaml")
        if path.parent != BUNDLE
    }


def of(superset, folder):
    return {name: each for (where, name), each in superset.items() if where == folder}


def test_files_of_superset_have_its_shape_and_belong_together(superset):
    assert yaml.safe_load((BUNDLE / "metadata.yaml").read_text())["type"] == "Dashboard"
    for (folder, name), document in superset.items():
        assert set(document) == set(SHAPES[folder].split()), name
        assert document["version"] == "1.0.0"
    numbers = [document["uuid"] for document in superset.values()]
    assert len(set(numbers)) == len(numbers)
    (database,) = of(superset, "databases").values()
    datasets, charts = of(superset, "datasets"), of(superset, "charts")
    assert {each["database_uuid"] for each in datasets.values()} == {database["uuid"]}
    assert {each["dataset_uuid"] for each in charts.values()} <= {each["uuid"] for each in datasets.values()}
    (dashboard,) = of(superset, "dashboards").values()
    shown = [part["meta"] for name, part in dashboard["position"].items() if name.startswith("CHART-")]
    assert {(part["uuid"], part["sliceName"]) for part in shown} == {
        (each["uuid"], each["slice_name"]) for each in charts.values()
    }
    for name, part in dashboard["position"].items():
        assert name == "DASHBOARD_VERSION_KEY" or set(part.get("children", [])) <= set(dashboard["position"])
    for row in (part for part in dashboard["position"].values() if part != "v2" and part["type"] == "ROW"):
        assert sum(dashboard["position"][child]["meta"]["width"] for child in row["children"]) == 12


def test_data_sets_of_superset_have_the_columns_of_the_marts(superset, columns):
    for name, dataset in of(superset, "datasets").items():
        assert dataset["table_name"] == name
        declared = [(column["column_name"], column["type"]) for column in dataset["columns"]]
        assert declared == columns[name], name
        days = [column["column_name"] for column in dataset["columns"] if column["is_dttm"]]
        assert days == [column for column, kind in columns[name] if kind == "DATE"]
        assert dataset["main_dttm_col"] in [*days, None]


def test_metrics_of_superset_have_values_and_are_sql_of_athena(superset, marts):
    for name, dataset in of(superset, "datasets").items():
        for metric in dataset["metrics"]:
            (row,) = marts.ask(f"select {metric['expression']} as value from wistia.{name}")
            assert row["value"] is not None and row["value"] > 0, metric
            sqlglot.parse_one(f"select {metric['expression']}", dialect="trino")


def test_charts_of_superset_name_what_there_is(superset):
    datasets = {each["uuid"]: each for each in of(superset, "datasets").values()}
    for name, chart in of(superset, "charts").items():
        dataset, params = datasets[chart["dataset_uuid"]], chart["params"]
        columns = {column["column_name"] for column in dataset["columns"]}
        metrics = {metric["metric_name"] for metric in dataset["metrics"]}
        assert params["viz_type"] == chart["viz_type"]
        for key in ("metric", "timeseries_limit_metric", "series_limit_metric"):
            assert params.get(key, min(metrics)) in metrics, name
        assert set(params.get("metrics", [])) <= metrics, name
        named = {*params.get("groupby", []), *params.get("all_columns", [])}
        named |= {params[key] for key in ("x_axis", "entity") if key in params}
        named |= {each["subject"] for each in params["adhoc_filters"]}
        named |= {json.loads(each)[0] for each in params.get("order_by_cols", [])}
        assert named <= columns, name
    (dashboard,) = of(superset, "dashboards").values()
    for each in dashboard["metadata"]["native_filter_configuration"]:
        for target in filter(None, each["targets"]):
            dataset = datasets[target["datasetUuid"]]
            assert target["column"]["name"] in {column["column_name"] for column in dataset["columns"]}


def test_a_bundle_is_for_the_database_that_is_given(tmp_path):
    uri = "awsathena+rest://@athena.eu-central-1.amazonaws.com/acme?s3_staging_dir=s3%3A%2F%2Fit's%2F"
    command = [sys.executable, BUNDLE / "bundle.py", "--uri", uri, "--schema", "acme", "--out", tmp_path / "b.zip"]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(tmp_path / "b.zip") as bundle:
        documents = {name: yaml.safe_load(bundle.read(name)) for name in bundle.namelist()}
    assert documents["wistia/databases/wistia.yaml"]["sqlalchemy_uri"] == uri
    assert {each["schema"] for name, each in documents.items() if "/datasets/" in name} == {"acme"}
    refused = subprocess.run([*command[:-4], "--schema", "a; drop"], capture_output=True, text=True)
    assert refused.returncode == 2 and "is no name of a schema" in refused.stderr


def test_a_column_that_is_called_otherwise_is_noticed(superset, columns):
    """The test of the columns can fail."""
    there = dict(columns)
    there["drop_off"] = [("watched" if name == "watching" else name, kind) for name, kind in there["drop_off"]]
    with pytest.raises(AssertionError, match="drop_off"):
        test_data_sets_of_superset_have_the_columns_of_the_marts(superset, there)
    with duckdb.connect() as connection, pytest.raises(duckdb.BinderException):
        connection.execute("select sum(watching) from (select 1 as watched)")


def test_dbt_knows_what_stands_on_its_marts(quicksight, superset):
    exposures = yaml.safe_load((ROOT / "dbt" / "models" / "marts" / "exposures.yml").read_text())["exposures"]
    named = {
        each["name"]: {re.sub(r"ref\('(.*)'\)", r"\1", model) for model in each["depends_on"]} for each in exposures
    }
    assert named["wistia_quicksight"] == {table["Name"] for table in data_sets(quicksight).values()}
    assert named["wistia_superset"] == set(of(superset, "datasets"))
