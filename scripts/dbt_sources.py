"""Writes what the dbt project knows of the lake's tables, from `schemas/` and `catalog.json`.

`dbt/models/sources.yml` has the tables as dbt's sources, `dbt/macros/tables.sql` the same for macros. With --check
nothing is written, and what is out of date is an error.
"""

import argparse
import json
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "dbt" / "models" / "sources.yml"
MACRO = ROOT / "dbt" / "macros" / "tables.sql"

MADE = "Made by scripts/dbt_sources.py from schemas/ and catalog.json: `make generate`."
TIMES = {
    "fact_account_byday": "date",
    "fact_engagements": "date",
    "fact_engagements_byday": "date",
    "fact_events": "received_at",
    "fact_media_actions": "date",
    "fact_media_timeseries": "date",
    "visitors": "last_active_at",
}
"""The column that says how new the rows of a table are."""
LOADED_AT = {
    "date": "cast(date as timestamp)",
    "received_at": "cast(replace(substring(received_at, 1, 19), 'T', ' ') as timestamp)",
}
"""The same as a time, in the words of every engine."""
SCALARS = {"string": "string", "number": "double", "boolean": "boolean", "integer": "bigint"}
DUCKDB = {"string": "varchar", "int": "integer"}


class Plain(yaml.SafeDumper):
    """YAML without references to what stands elsewhere."""

    def ignore_aliases(self, data):
        return True


def kind(schema):
    """The type of a value: `null` beside it only says that it may be missing."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (one,) = (name for name in kinds if name != "null")
    return one


def hive(schema):
    """The type of a column as Glue has it. docs/types.md says why an integer with small bounds is an `int`."""
    match kind(schema):
        case "object":
            return f"struct<{','.join(f'{name}:{hive(part)}' for name, part in schema['properties'].items())}>"
        case "array":
            return f"array<{hive(schema['items'])}>"
        case "string" if schema.get("format") == "date":
            return "date"
        case "integer" if "maximum" in schema:
            return "int"
        case scalar:
            return SCALARS[scalar]


def duckdb(schema):
    """The type of a column as DuckDB has it."""
    match kind(schema):
        case "object":
            parts = (f'"{name}" {duckdb(part)}' for name, part in schema["properties"].items())
            return f"struct({', '.join(parts)})"
        case "array":
            return f"{duckdb(schema['items'])}[]"
        case _:
            return DUCKDB.get(hive(schema), hive(schema))


def tables():
    """The tables in the order of their names, with their keys and whether the tap reads them by default."""
    streams = {stream["stream"]: stream for stream in json.loads((ROOT / "catalog.json").read_text())["streams"]}
    for path in sorted((ROOT / "schemas").glob("*.json")):
        name, columns = path.stem, json.loads(path.read_text())["properties"]
        (selected,) = (entry["metadata"] for entry in streams[name]["metadata"] if not entry["breadcrumb"])
        yield name, streams[name]["key_properties"], selected["selected-by-default"], columns


def is_personal(columns):
    return any(column.get("x-personal") for column in columns.values())


def source(name, description, schema, chosen):
    made = []
    for table, key, default, columns in chosen:
        described = {"name": table, "description": f"Key: {', '.join(key)}."}
        if not default:
            described["description"] += " Not read by default: select the stream."
        meta = {"key": key, "selected_by_default": default}
        config = {"meta": meta}
        if default and table in TIMES:
            config |= {
                "loaded_at_field": LOADED_AT[TIMES[table]],
                "freshness": {
                    "warn_after": {"count": 2, "period": "day"},
                    "error_after": {"count": 7, "period": "day"},
                },
            }
        described["config"] = config
        described["columns"] = [
            {
                "name": column,
                "description": part["description"],
                "data_type": hive(part),
                **({"config": {"meta": {"personal": True}, "tags": ["personal"]}} if part.get("x-personal") else {}),
            }
            for column, part in columns.items()
        ]
        made.append(described)
    return {"name": name, "description": description, "schema": schema, "tables": made}


def sources():
    found = list(tables())
    document = {
        "version": 2,
        "sources": [
            source(
                "wistia",
                "The lake that tap-wistia and target-s3-parquet fill.",
                "{{ var('wistia_schema', 'lake') }}",
                [table for table in found if not is_personal(table[3])],
            ),
            source(
                "wistia_personal",
                "Its tables with personal data of viewers, which Glue may have in a database of their own.",
                "{{ var('wistia_personal_schema', var('wistia_schema', 'lake')) }}",
                [table for table in found if is_personal(table[3])],
            ),
        ],
    }
    text = yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)
    return f"# {MADE}\n{text}"


def macro():
    known = {
        table: {
            "source": "wistia_personal" if is_personal(columns) else "wistia",
            "key": key,
            "by_default": default,
            "time": TIMES.get(table),
            "columns": {
                column: {"type": hive(part), "duckdb": duckdb(part), "personal": part.get("x-personal", False)}
                for column, part in columns.items()
            },
        }
        for table, key, default, columns in tables()
    }
    text = json.dumps(known, indent=2).replace("true", "True").replace("false", "False").replace("null", "None")
    return f"{{# {MADE} #}}\n{{% macro wistia_tables() %}}\n{{{{ return({text}) }}}}\n{{% endmacro %}}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something is out of date")
    check = parser.parse_args().check
    made = {SOURCES: sources(), MACRO: macro()}
    outdated = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if check and outdated:
        names = ", ".join(str(path.relative_to(ROOT)) for path in outdated)
        sys.exit(f"out of date: {names}; run `make generate`")
    for path in outdated:
        path.write_text(made[path])


if __name__ == "__main__":
    main()
