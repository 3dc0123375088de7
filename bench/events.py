"""Writes millions of events with random keys and times, by DuckDB: `events.py FORM ROWS OUT [--seed N] [--night N]`.

A row has 360 bytes as a Singer message. All that it holds follows from its number and the seed, but for the share
viewed, which another `--seen` changes: so a row may come again. Its time is anywhere in 24 months.
"""

import argparse
import json
import shutil
from pathlib import Path

import duckdb

TEXT, NUMBER = {"type": ["null", "string"]}, {"type": ["null", "number"]}
PROPERTIES = {
    "received_at": {"type": ["null", "string"], "format": "date-time"},
    "event_key": {"type": "string"},
    "region": TEXT,
    "city": TEXT,
    "lat": NUMBER,
    "lon": NUMBER,
    "percent_viewed": NUMBER,
    "embed_url": TEXT,
    "visitor_key": TEXT,
    "media_id": TEXT,
    "email": {"type": ["null", "integer"]},
}
KEY = "event_key"
STREAM = "events"
SCHEMA = {"type": "object", "properties": PROPERTIES}
MONTHS = {"column": "received_at", "granularity": "month"}
LATE = "2026-09-01"
"""The first day of the last two months."""

# `random` is of the row, `seen` of the row and the time at which it comes.
ROWS = """
select
  case when {late} then timestamp '2026-09-01' + to_seconds((random // 7 % (61 * 86400))::bigint)
    else timestamp '2024-11-01' + to_seconds((random // 7 % (730 * 86400))::bigint) end as received_at,
  md5((number * 7 + {seed})::varchar) as event_key,
  ['Florida', 'North Carolina', 'Istanbul', 'Tōkyō'][(random // 3 % 4)::int + 1] as region,
  ['Miami', 'Dallas', 'Paris', 'Shibuya'][(random // 5 % 4)::int + 1] as city,
  round((random // 11) % 18000 / 100 - 90, 2) as lat,
  round((random // 13) % 36000 / 100 - 180, 2) as lon,
  hash(number, {seed}, {seen}) % 1000000 / 1000000 as percent_viewed,
  'https://www.example.com/page/' || (random // 19) % 500 as embed_url,
  (random // 23) % 1048576 || '-0000-4000-8000-000000000000' as visitor_key,
  'm' || (random // 29) % 400 as media_id,
  ((random // 31) % 2)::bigint as email
from (select number::bigint as number, hash(number * 31 + {seed}) as random from range({first}, {last}) t(number))
"""
RECORD = """
to_json({{
  received_at: strftime(received_at, '%Y-%m-%dT%H:%M:%S.000Z'), event_key: event_key, region: region, city: city,
  lat: lat, lon: lon, percent_viewed: percent_viewed, embed_url: embed_url, visitor_key: visitor_key,
  media_id: media_id, email: email
}})
"""
# What stands before and behind each record, and the last lines.
SINGER = {"type": "SCHEMA", "stream": STREAM, "schema": SCHEMA, "key_properties": [KEY]}
STATE = '{"type":"STATE","value":{"done":true}}\n'
COMPLETE = {"stream_descriptor": {"name": STREAM}, "status": "COMPLETE"}
FORMS = {
    "singer": ('{"type":"RECORD","stream":"events","record":', "}", json.dumps(SINGER) + "\n", STATE),
    "versioned": (
        '{"type":"RECORD","stream":"events","version":2,"record":',
        "}",
        json.dumps(SINGER) + "\n",
        '{"type":"ACTIVATE_VERSION","stream":"events","version":2}\n' + STATE,
    ),
    "airbyte": (
        '{"type":"RECORD","record":{"stream":"events","data":',
        ',"emitted_at":1795458926348}}',
        "",
        json.dumps({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": COMPLETE}})
        + "\n",
    ),
}


def relation(first, last, seed, seen=0, late=False):
    """The query whose rows are these."""
    return ROWS.format(first=first, last=last, seed=seed, seen=seen, late=str(late).lower())


def night(rows, size, seed, seen):
    """The query of the rows of a night: half of them are in a table of so many rows and come again, half are new; all
    are of the last two months. Another `seen` is another night."""
    half = size // 2
    known = relation(0, rows, seed, seen)
    first = rows + (seen - 1) * (size - half)
    fresh = relation(first, first + size - half, seed, seen, late=True)
    return f"(select * from ({known}) where received_at >= '{LATE}' limit {half}) union all select * from ({fresh})"


def write_lines(connection, query, form, out, version=2):
    """Writes the rows of a query as messages."""
    before, behind, head, tail = (part.replace('"version":2', f'"version":{version}') for part in FORMS[form])
    body = out.with_suffix(".body")
    line = f"'{before}' || {RECORD.format()} || '{behind}'"
    plain = "format csv, header false, quote '', escape '', delimiter '\x01'"
    connection.execute(f"copy (select {line} from ({query})) to '{body}' ({plain})")
    with open(out, "wb") as whole, open(body, "rb") as lines:
        whole.write(head.encode())
        shutil.copyfileobj(lines, whole, 1 << 24)
        whole.write(tail.encode())
    body.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("rows", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--night", type=int, help="so many rows that come after those, in place of them")
    parser.add_argument("--seen", type=int, default=0)
    parser.add_argument("--version", type=int, default=2)
    asked = parser.parse_args()
    query = relation(0, asked.rows, asked.seed, asked.seen)
    if asked.night:
        query = night(asked.rows, asked.night, asked.seed, asked.seen)
    with duckdb.connect() as connection:
        write_lines(connection, query, asked.form, asked.out, asked.version)


if __name__ == "__main__":
    main()
