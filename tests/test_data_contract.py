"""The data contract of the lake: up to date, of the standard, and true of what the tests know of the tables.

`tests/data_contract` checks lakes against it by datacontract-cli."""

import json
import subprocess
import sys
from importlib.resources import files

import jsonschema
import pytest
import yaml

from harness import ROOT
from lake import KEYS, PERSONAL, TABLES

CONTRACT = ROOT / "schemas" / "wistia.odcs.yaml"
WORDS = {"string": "string", "int64": "integer", "int32": "integer", "double": "number", "bool": "boolean"}
"""Arrow's types in the standard's words."""


@pytest.fixture(scope="module")
def contract():
    return yaml.safe_load(CONTRACT.read_text())


@pytest.fixture(scope="module")
def tables(contract):
    return {table["name"]: table for table in contract["schema"]}


def problems(contract):
    """What the standard's own schema, of the package of its authors, says against a contract."""
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
    return sorted(problem.json_path for problem in jsonschema.Draft201909Validator(schema).iter_errors(contract))


def test_it_is_that_of_the_schemas():
    subprocess.run([sys.executable, ROOT / "scripts" / "data_contract.py", "--check"], check=True)


def test_it_is_of_the_standard(contract):
    assert problems(contract) == []
    # And the standard can say no.
    contract = yaml.safe_load(CONTRACT.read_text())
    contract["schema"][0]["properties"][0]["logicalType"] = "text"
    contract["slaProperties"][0].pop("value")
    assert problems(contract) == ["$.schema[0].properties[0].logicalType", "$.slaProperties[0]"]


def test_tables_have_their_keys_and_marks(tables):
    assert set(tables) == set(KEYS)
    for name, table in tables.items():
        columns = table["properties"]
        places = {column["primaryKeyPosition"]: column for column in columns if column.get("primaryKey")}
        assert [places[place]["name"] for place in sorted(places)] == KEYS[name]
        assert all(column["required"] for column in places.values())
        assert {column["name"] for column in columns if "classification" in column} == PERSONAL.get(name, set())
        assert all(column["description"] for column in columns)


def word(kind):
    return {"struct": "object", "list": "array"}.get(str(kind).partition("<")[0]) or WORDS.get(str(kind), "date")


@pytest.mark.parametrize("name", TABLES)
def test_columns_have_the_types_of_the_files(name, tables):
    def check(column, kind):
        assert column["logicalType"] == word(kind)
        if column["logicalType"] == "object":
            fields = {field["name"]: field for field in column["properties"]}
            assert list(fields) == [field.name for field in kind]
            for field in kind:
                check(fields[field.name], field.type)
        if column["logicalType"] == "array":
            check(column["items"], kind.value_type)

    columns = tables[name]["properties"]
    assert [column["name"] for column in columns] == [column for column, _ in TABLES[name]]
    for column, (_, kind) in zip(columns, TABLES[name], strict=True):
        check(column, kind)


def test_what_is_read_by_default_has_rows_that_are_fresh(contract, tables):
    default = {name for name, table in tables.items() if "default" in table["tags"]}
    assert default == set(TABLES)
    assert {name for name, table in tables.items() if table.get("quality")} == default
    promised = {promise["element"]: (promise["value"], promise["unit"]) for promise in contract["slaProperties"]}
    assert promised == {
        "fact_engagements.date": (7, "d"),
        "fact_engagements_byday.date": (7, "d"),
        "fact_events.received_at": (7, "d"),
    }
