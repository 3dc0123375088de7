"""The tables of the lake as `schemas/` and `catalog.json` have them: what dbt's sources and the data contract say."""

import json
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
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
WARN_AFTER_DAYS = 2
STALE_AFTER_DAYS = 7
"""How old the newest rows of a table may be that is read every night."""
SCALARS = {"string": "string", "number": "double", "boolean": "boolean", "integer": "bigint"}


def kind(schema):
    """The type of a value: `null` beside it only says that it may be missing."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (one,) = (name for name in kinds if name != "null")
    return one


def may_be_missing(schema):
    return "null" in schema["type"]


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


def tables():
    """The tables in the order of their names, with their keys and whether the tap reads them by default."""
    streams = {stream["stream"]: stream for stream in json.loads((ROOT / "catalog.json").read_text())["streams"]}
    for path in sorted((ROOT / "schemas").glob("*.json")):
        name, columns = path.stem, json.loads(path.read_text())["properties"]
        (selected,) = (entry["metadata"] for entry in streams[name]["metadata"] if not entry["breadcrumb"])
        yield name, streams[name]["key_properties"], selected["selected-by-default"], columns


def is_personal(columns):
    return any(column.get("x-personal") for column in columns.values())


class Plain(yaml.SafeDumper):
    """YAML without references to what stands elsewhere."""

    def ignore_aliases(self, data):
        return True


def written(document, made):
    """A document as YAML, with a line that says what makes it."""
    return f"# {made}\n{yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)}"


def write(made, check):
    """Writes what is out of date of some files, or only says it."""
    outdated = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if check and outdated:
        names = ", ".join(str(path.relative_to(ROOT)) for path in outdated)
        sys.exit(f"out of date: {names}; run `make generate`")
    for path in outdated:
        path.write_text(made[path])
