"""Writes what the dbt project knows of the lake's tables, from `schemas/` and `catalog.json`.

`dbt/models/sources.yml` has the tables as dbt's sources, `dbt/macros/tables.sql` the same for macros. With --check
nothing is written, and what is out of date is an error.
"""

import argparse
import json

from lake_schemas import (
    ROOT,
    STALE_AFTER_DAYS,
    TIMES,
    WARN_AFTER_DAYS,
    hive,
    is_personal,
    kind,
    tables,
    write,
    written,
)

SOURCES = ROOT / "dbt" / "models" / "sources.yml"
MACRO = ROOT / "dbt" / "macros" / "tables.sql"

MADE = "Made by scripts/dbt_sources.py from schemas/ and catalog.json: `make generate`."
LOADED_AT = {
    "date": "cast(date as timestamp)",
    "received_at": "cast(replace(substring(received_at, 1, 19), 'T', ' ') as timestamp)",
}
"""The same as a time, in the words of every engine."""
DUCKDB = {"string": "varchar", "int": "integer"}


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
                    "warn_after": {"count": WARN_AFTER_DAYS, "period": "day"},
                    "error_after": {"count": STALE_AFTER_DAYS, "period": "day"},
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
    return written(document, MADE)


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
    write({SOURCES: sources(), MACRO: macro()}, parser.parse_args().check)


if __name__ == "__main__":
    main()
