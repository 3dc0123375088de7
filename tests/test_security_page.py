"""What SECURITY.md tells people to type is typed here."""

import os
import re
import shlex
import subprocess

from harness import ROOT, TARGET, run
from lake import duckdb_rows

SALT = "a salt of some length"


def command(begins):
    """A line of the page that is to be typed."""
    page = (ROOT / "SECURITY.md").read_text()
    (line,) = re.findall(rf"^ *\$ ({re.escape(begins)}.*)$", page, re.MULTILINE)
    return line


def pseudonym(key):
    """What the page has people make of a visitor's key."""
    text = command("SALT=… python3").removeprefix("SALT=… ").replace("VISITOR-KEY", key)
    done = subprocess.run(
        shlex.split(text), env={**os.environ, "SALT": SALT}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_visitor_is_forgotten_as_the_page_says(simulator, pipe):
    account = simulator(seed=3, medias=3, events=300)
    job = pipe(account, personal_data="hash", personal_data_salt=SALT)
    job.sync()

    def keys():
        events, visitors = duckdb_rows(job.lake, "fact_events"), duckdb_rows(job.lake, "dim_visitors")
        return [row["visitor_key"] for row in events], [row["visitor_id"] for row in visitors]

    gone = pseudonym(account.truth("fact_events")[0]["visitor_key"])
    events, visitors = keys()
    assert gone in events and gone in visitors
    settings = job.folder / "target.json"
    text = command("target-s3-parquet maintain").replace("…", gone).replace("target.json", str(settings))
    run(TARGET, *shlex.split(text)[1:]).succeeded()
    assert keys() == ([key for key in events if key != gone], [key for key in visitors if key != gone])
