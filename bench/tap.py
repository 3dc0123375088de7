"""Measures the tap against the simulator: how much of the allowance it uses, and how fast it is
when nothing holds it back."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

BINARIES = Path(__file__).resolve().parent.parent / "target" / "release"


def simulate(**options):
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    process = subprocess.Popen([BINARIES / "wistia-simulator", *flags], stdout=subprocess.PIPE)
    return process, json.loads(process.stdout.readline())


def sync(where, **settings):
    """Runs the tap; gives seconds, peak memory in MB and its summary."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "tap.json"
        config.write_text(json.dumps({"api_token": where["token"], "api_url": where["url"], **settings}))
        started = time.monotonic()
        with open(Path(folder) / "log", "w+") as log, open(os.devnull, "w") as nowhere:
            command = [BINARIES / "tap-wistia", "--config", config, "--log-format", "json"]
            tap = subprocess.Popen(command, stdout=nowhere, stderr=log)
            _, status, usage = os.wait4(tap.pid, 0)
            seconds = time.monotonic() - started
            log.seek(0)
            entries = [json.loads(line) for line in log]
        assert status == 0, entries[-3:]
        return seconds, usage.ru_maxrss / 1024, entries[-1]["fields"]["summary"]


def allowance():
    server, where = simulate(medias=200, events=60_000, latency_ms=300, requests_per_minute=600)
    try:
        seconds, memory, summary = sync(where)
        served = requests.get(f"{where['control']}/requests", timeout=60).json()
    finally:
        server.kill()
    refused = sum(request["limited"] for request in served)
    # The steady state: without the first seconds, when the burst comes, and the last, when little is left.
    times = [request["seconds"] for request in served]
    steady = [time for time in times if times[0] + 5 <= time <= times[-1] - 5]
    used = len(steady) / (times[-1] - times[0] - 10) * 60 / 600
    print(
        f"allowance at 300 ms latency: {len(served)} requests in {seconds:.1f} s, {used:.1%} of 600 a minute used "
        f"in the steady state, {refused} answered 429, {memory:.0f} MB"
    )


def speed():
    server, where = simulate(medias=100, events=200_000, requests_per_minute=100_000_000)
    try:
        seconds, memory, summary = sync(where, requests_per_minute=4_000_000)
    finally:
        server.kill()
    records = sum(summary["records"].values())
    print(
        f"without a limit: {records:,} records in {seconds:.1f} s = {records / seconds:,.0f} a second, {memory:.0f} MB"
    )


if __name__ == "__main__":
    for name in sys.argv[1:] or ["speed", "allowance"]:
        globals()[name]()
