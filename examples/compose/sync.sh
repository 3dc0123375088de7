#!/usr/bin/env bash
# One sync. The folder named by FOLDER keeps the state; EXAMPLES has the settings, and variables have the rest.
set -euo pipefail
examples=${EXAMPLES:-/examples}
kept=${FOLDER:-/var/lib/wistia}/state.json

state=()
if [ -s "$kept" ]; then state=(--state "$kept"); fi
tap-wistia --config "$examples/tap.json" --config ENV "${state[@]}" |
    target-s3-parquet --config "$examples/target-s3.json" --config ENV --state-out "$kept" > /dev/null
