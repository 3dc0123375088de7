"""Measures the tap against the simulator: how fast it is when nothing holds it back, and how much of the allowance it
uses. `tap.py [--medias N] [--events N] [--only speed allowance]`; kept as bench/results/tap.json."""

import argparse
import json
import subprocess
import urllib.request

import figures
import measure

ALLOWED = 600
"""Requests a minute."""
COLUMNS = [
    ("what", "what", None),
    ("records", "records", 0),
    ("s", "seconds", 2),
    ("records a second", "rate", 0),
    ("µs CPU a record", "cpu_of_record", 1),
    ("requests", "requests", 0),
    ("of the allowance, %", "used", 1),
    ("answered 429", "refused", 0),
    ("peak MB", "peak", 0),
]


def simulate(**options):
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    process = subprocess.Popen([measure.BINARIES / "wistia-simulator", *flags], stdout=subprocess.PIPE)
    return process, json.loads(process.stdout.readline())


def sync(where, **settings):
    """One sync of all streams: what it cost, and its records."""
    measure.FOLDER.mkdir(parents=True, exist_ok=True)
    config = measure.FOLDER / "tap.json"
    config.write_text(json.dumps({"api_token": where["token"], "api_url": where["url"], **settings}))
    config.chmod(0o600)
    command = [measure.BINARIES / "tap-wistia", "--config", config, "--log-format", "json"]
    cost = measure.succeeded(measure.run(command))
    last = (measure.FOLDER / "log").read_text().splitlines()[-1]
    records = sum(json.loads(last)["fields"]["summary"]["records"].values())
    figures_of = {"records": records, "rate": records / cost.seconds, "cpu_of_record": cost.cpu / records * 1e6}
    return {**figures_of, "seconds": cost.seconds, "cpu": cost.cpu, "peak": cost.peak}


def allowance(medias, events):
    server, where = simulate(medias=2 * medias, events=events, latency_ms=300, requests_per_minute=ALLOWED)
    try:
        row = sync(where)
        with urllib.request.urlopen(f"{where['control']}/requests", timeout=60) as answer:
            served = json.load(answer)
    finally:
        server.kill()
    refused = sum(request["limited"] for request in served)
    # The steady state: without the first seconds, when the burst comes, and the last, when little is left.
    times = [request["seconds"] for request in served]
    steady = [time for time in times if times[0] + 5 <= time <= times[-1] - 5]
    used = len(steady) / max(times[-1] - times[0] - 10, 1) * 60 / ALLOWED * 100
    what = f"{ALLOWED} requests a minute, answers after 300 ms"
    return {"what": what, **row, "requests": len(served), "used": used, "refused": refused}


def speed(medias, events):
    server, where = simulate(medias=medias, events=events, requests_per_minute=100_000_000)
    try:
        return {"what": "without a limit", **sync(where, requests_per_minute=4_000_000)}
    finally:
        server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--medias", type=int, default=100)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--only", nargs="+", choices=["speed", "allowance"], default=["speed", "allowance"])
    parser.add_argument("--results", default=figures.RESULTS)
    asked = parser.parse_args()
    begun = figures.place([])
    found = []
    if "speed" in asked.only:
        found.append(speed(asked.medias, asked.events))
    if "allowance" in asked.only:
        found.append(allowance(asked.medias, asked.events * 3 // 10))
    figures.keep("tap", asked.results, {"medias": asked.medias, "events": asked.events}, found, begun=begun)
    figures.show(figures.table(COLUMNS, found))


if __name__ == "__main__":
    main()
