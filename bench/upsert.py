"""Measures a night: an increment of one percent that falls into two months of a large lake.

`upsert.py [EVENTS …]` makes a lake of so many events in 24 monthly partitions, on a folder and on an
S3 server of this machine, and loads the increment into it. What a night costs must follow the two
partitions, not the lake.
"""

import json
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from harness import S3, environment
from singer import EVENT, schema

TARGET = Path(__file__).resolve().parent.parent / "target" / "release" / "target-s3-parquet"
FOLDER = Path(__file__).resolve().parent.parent / "target" / "bench" / "upsert"
MONTHS = 24
RUNS = 5

# Keys and values follow from the event's number, so that an event may come again with another share viewed.
EVENTS = """
select '{"type":"RECORD","stream":"fact_events","record":' || to_json({
  received_at: strftime(
    timestamp '2024-01-01' + interval (month) month + interval (number % 40000) minute, '%Y-%m-%dT%H:%M:%S.000Z'
  ),
  event_key: md5(number::varchar), region: 'Region ' || number % 50, city: 'City ' || number % 900,
  lat: number % 180 - 90 + 0.25, lon: number % 360 - 180 + 0.5, org: 'Org ' || number % 3000, email: number % 4 = 0,
  percent_viewed: (hash(number, $seen) % 10000) / 10000,
  embed_url: 'https://www.example.com/page/' || number % 500, conversion_type: null,
  iframe_heatmap_url: 'https://api.example.com/v1/stats/events/' || md5((number + 1)::varchar) || '/iframe.html',
  visitor_key: md5((number % 1000000)::varchar),
  user_agent_details: {
    browser: 'Chrome', browser_version: (number % 70 + 80)::varchar, platform: 'mac', mobile: number % 3 = 0
  },
  media_id: 'm' || number % 400, media_name: 'Media ' || number % 400,
  media_url: 'https://example.wistia.com/medias/m' || number % 400, thumbnail: null
}) || '}' as line
from (select number, number % $months as month from range($first, $last) t(number))
where month >= $month order by number
"""
EVENT = {**EVENT, "email": {"type": ["null", "boolean"]}}


def stream(out, first, last, seen, month=0):
    """Writes events as messages."""
    out.write(json.dumps(schema("fact_events", EVENT, ["event_key"])).encode() + b"\n")
    out.flush()
    with duckdb.connect() as connection:
        values = {"first": first, "last": last, "seen": seen, "month": month, "months": MONTHS}
        rows = connection.execute(EVENTS, values)
        while batch := rows.fetchmany(20_000):
            out.write("\n".join(line for (line,) in batch).encode() + b"\n")
    out.write(b'{"type":"STATE","value":{"bookmarks":{"fact_events":%d}}}\n' % last)


def load(settings, feed):
    """Seconds, peak memory in MB and the summary of one run; `feed` writes its input or names a file."""
    config = FOLDER / "config.json"
    partition = {"fact_events": {"partition_by": {"column": "received_at", "granularity": "month"}}}
    config.write_text(json.dumps({"streams": partition, **settings}))
    started = time.monotonic()
    with open(FOLDER / "log", "w+") as log, ExitStack() as opened:
        command = [TARGET, "--config", config, "--log-format", "json"]
        stdin = subprocess.PIPE if callable(feed) else opened.enter_context(open(feed, "rb"))
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=log, env=environment())
        if callable(feed):
            feed(process.stdin)
            process.stdin.close()
        status = process.wait()
        log.seek(0)
        lines = log.read().splitlines()
    assert status == 0, lines[-3:]
    summary = json.loads(lines[-1])["fields"]["summary"]
    return time.monotonic() - started, summary["peak_memory"] / 1e6, summary


def nights(where, settings, events):
    seconds, memory, _ = load(settings, lambda out: stream(out, 0, events, 0))
    print(f"{where}, {events:,} events in {MONTHS} months: made in {seconds:.0f} s, {memory:.0f} MB peak", flush=True)
    times, peaks = [], []
    for night in range(RUNS):
        source = FOLDER / "increment"
        # Half of it is new, half were there already and have been watched on.
        span = events * MONTHS // 2 // 200
        with open(source, "wb") as out:
            stream(out, events - span + night * span, events + span + night * span, night + 1, MONTHS - 2)
        seconds, memory, summary = load(settings, source)
        times.append(seconds)
        peaks.append(memory)
    counts = summary["streams"]["fact_events"]
    print(
        f"  a night of {counts['records']:,} events into {counts['files']} partitions: "
        f"{statistics.median(times):.2f} s (median of {RUNS}), "
        f"{counts['bytes_read'] / 1e6:.0f} MB read, {counts['bytes'] / 1e6:.0f} MB written, {max(peaks):.0f} MB peak",
        flush=True,
    )


def main(*sizes):
    FOLDER.mkdir(parents=True, exist_ok=True)
    for events in [int(size) for size in sizes] or [1_000_000, 10_000_000]:
        lake = FOLDER / "lake"
        shutil.rmtree(lake, ignore_errors=True)
        nights("folder", {"destination": str(lake)}, events)
        shutil.rmtree(lake)
        server = S3()
        try:
            nights("S3 on loopback", server.settings(f"s3://{server.bucket('bench')}/lake"), events)
        finally:
            server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
