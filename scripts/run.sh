#!/usr/bin/env bash
# The main job: Wistia into ./local/lake, with the state in ./local/state.json. Without TAP_WISTIA_API_TOKEN the
# account is a simulated one.
set -euo pipefail
cd "$(dirname "$0")/.."

binaries=target/release
if [ -z "${TAP_WISTIA_API_TOKEN:-}" ]; then
    echo "TAP_WISTIA_API_TOKEN is not set: syncing a simulated account" >&2
    address=$(mktemp)
    "$binaries/wistia-simulator" > "$address" &
    simulator=$!
    trap 'kill "$simulator" 2> /dev/null; rm -f "$address"' EXIT
    until [ -s "$address" ]; do
        kill -0 "$simulator" || { echo "error: the simulator did not start" >&2; exit 1; }
        sleep 0.1
    done
    field() { .venv/bin/python -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$address" "$1"; }
    TAP_WISTIA_API_URL=$(field url)
    TAP_WISTIA_API_TOKEN=$(field token)
    export TAP_WISTIA_API_URL TAP_WISTIA_API_TOKEN
fi

mkdir -p local
state=()
if [ -s local/state.json ]; then
    state=(--state local/state.json)
    echo "incremental sync: goes on where state.json says the last one ended" >&2
else
    echo "first sync: there is no state.json yet" >&2
fi

began=$SECONDS
"$binaries/tap-wistia" --config examples/tap.json --config ENV "${state[@]}" |
    "$binaries/target-s3-parquet" --config examples/target-local.json --state-out local/state.json > /dev/null

.venv/bin/python scripts/report.py local/lake "$binaries/target-s3-parquet" "$((SECONDS - began))"
