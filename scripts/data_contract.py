"""Writes the data contract of the lake, from `schemas/` and `catalog.json`.

`schemas/wistia.odcs.yaml` is in the Open Data Contract Standard (https://bitol-io.github.io/open-data-contract-standard/).
With --check nothing is written, and what is out of date is an error.
"""

import argparse
import re

from lake_schemas import ROOT, STALE_AFTER_DAYS, TIMES, hive, kind, may_be_missing, tables, write, written

CONTRACT = ROOT / "schemas" / "wistia.odcs.yaml"
MADE = "Made by scripts/data_contract.py from schemas/ and catalog.json: `make generate`."
RANGES = {
    "dim_media.progress": (0, 1),
    "fact_engagements.play_rate": (0, 1),
    "fact_events.lat": (-90, 90),
    "fact_events.lon": (-180, 180),
    "fact_events.percent_viewed": (0, 1),
}
"""What a number lies between where its schema does not say it. All others are counts, lengths and parts: 0 or more."""
FILES = "{model}/**/*.parquet"
"""The tables of a lake as the standard's tools find them."""


def version():
    """The version of the programs, which is that of the schemas."""
    return re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def servers():
    """Where a lake may be. The variables are the user's: version 3.2 of the standard resolves them."""
    athena = {
        "type": "athena",
        "catalog": "awsdatacatalog",
        "stagingDir": "${WISTIA_ATHENA_RESULTS:-s3://your-bucket/athena/}",
        "regionName": "${AWS_REGION:-eu-central-1}",
    }
    return [
        {
            "server": "folder",
            "type": "local",
            "description": "A lake in a folder.",
            "path": "${WISTIA_LAKE:-local/lake}/" + FILES,
            "format": "parquet",
        },
        {
            "server": "s3",
            "type": "s3",
            "description": "A lake on S3: bucket and prefix.",
            "location": "s3://${WISTIA_S3_LAKE:-your-bucket/wistia}/" + FILES,
            "format": "parquet",
        },
        {
            "server": "athena",
            "description": "The tables without personal data in the Glue Data Catalog: `catalog.database`.",
            **athena,
            "schema": "${WISTIA_SCHEMA:-wistia}",
        },
        {
            "server": "athena_personal",
            "description": "Those with personal data: `catalog.personal_database`.",
            **athena,
            "schema": "${WISTIA_PERSONAL_SCHEMA:-wistia__personal}",
        },
    ]


def options(place, part):
    """What the values of a number are like."""
    match kind(part):
        case "integer":
            made = {"format": "i32" if hive(part) == "int" else "i64"}
        case "number":
            made = {"format": "f64"}
        case _:
            return {}
    low, high = RANGES.get(place, (part.get("minimum", 0), part.get("maximum")))
    made["minimum"] = low
    if high is not None:
        made["maximum"] = high
    return {"logicalTypeOptions": made}


def logical(part):
    """The type in the standard's words. A text that holds a time is a text in the files too."""
    return "date" if hive(part) == "date" else kind(part)


def described(place, part, key=()):
    """A column, a field, or (without a name) what is in a list."""
    name = place.rpartition(".")[2]
    made = {} if name == "[]" else {"name": name}
    if "description" in part:
        made["description"] = part["description"]
    made |= {"logicalType": logical(part), "physicalType": hive(part)}
    made |= options(place, part)
    if name in key:
        made |= {"primaryKey": True, "primaryKeyPosition": key.index(name) + 1}
    if not may_be_missing(part) and name != "[]":
        made["required"] = True
    if part.get("x-personal"):
        made |= {"classification": "personal", "tags": ["personal"]}
    if kind(part) == "object":
        made["properties"] = [described(f"{place}.{field}", inner) for field, inner in part["properties"].items()]
    if kind(part) == "array":
        made["items"] = described(f"{place}.[]", part["items"])
    return made


def table(name, key, default, columns):
    made = {
        "name": name,
        "physicalName": name,
        "physicalType": "table",
        "logicalType": "object",
        "description": f"Key: {', '.join(key)}." + ("" if default else " Not read by default: select the stream."),
        "tags": ["default" if default else "selected"],
        "properties": [described(f"{name}.{column}", part, key) for column, part in columns.items()],
    }
    if default:
        # An account may have no channel, tag or deleted media; what is read by default has rows.
        made["quality"] = [
            {
                "id": f"{name}_has_rows",
                "type": "library",
                "metric": "rowCount",
                "dimension": "completeness",
                "description": "There are rows.",
                "mustBeGreaterThan": 0,
            }
        ]
    return made


def freshness(name):
    return {
        "id": f"{name}_is_fresh",
        "property": "freshness",
        "value": STALE_AFTER_DAYS,
        "unit": "d",
        "element": f"{name}.{TIMES[name]}",
        "driver": "operational",
        "description": "The newest rows, of a lake that is filled every night.",
    }


def contract():
    found = list(tables())
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "urn:tap-wistia:lake",
        "name": "The lake of a Wistia account",
        "version": version(),
        "status": "active",
        "domain": "video analytics",
        "description": {
            "purpose": "Video analytics of a Wistia account, as tap-wistia reads and target-s3-parquet writes them.",
            "usage": "Query the tables by their keys; docs/querying.md and dbt/ have questions and models.",
            "limitations": "A table that is tagged `selected` is there where its stream is selected. Columns that are "
            "classified `personal` hold pseudonyms or nothing where `personal_data` is `hash` or `drop`.",
        },
        "servers": servers(),
        "schema": [table(*one) for one in found],
        "slaProperties": [freshness(name) for name, _, default, _ in found if default and name in TIMES],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something is out of date")
    write({CONTRACT: written(contract(), MADE)}, parser.parse_args().check)


if __name__ == "__main__":
    main()
