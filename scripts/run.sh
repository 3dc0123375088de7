#!/usr/bin/env bash
# The main job: Wistia into ./local/lake, with the state in ./local/state.json. Without TAP_WISTIA_API_TOKEN the
# account is a simulated one.
#
# Programs of this version that are installed are used, unless BUILD is set; what is not there is built, as little of
# it as a lake in a folder needs.
set -euo pipefail
cd "$(dirname "$0")/.."

built=${CARGO_TARGET_DIR:-target}/demo
python=.venv-run/bin/python
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

# Whether a program of this version is on the PATH.
installed() { [ -z "${BUILD:-}" ] && [ "$("$1" --version 2> /dev/null)" = "$1 $version" ]; }

tap=$built/tap-wistia
target=$built/target-s3-parquet
missing=(tap-wistia target-s3-parquet wistia-simulator)
if installed tap-wistia && installed target-s3-parquet; then
    tap=$(command -v tap-wistia)
    target=$(command -v target-s3-parquet)
    echo "using $tap and $target, which are of this version (BUILD=1 make run builds them)" >&2
    missing=()
    if [ -z "${TAP_WISTIA_API_TOKEN:-}" ]; then missing=(wistia-simulator); fi
fi
if [ "${#missing[@]}" -gt 0 ]; then
    first=
    if [ ! -d "$built" ]; then first=" (about 5 minutes the first time)"; fi
    echo "building ${missing[*]}$first" >&2
    cargo build --profile demo --no-default-features --locked "${missing[@]/#/--package=}"
fi

if [ -z "${TAP_WISTIA_API_TOKEN:-}" ]; then
    echo "TAP_WISTIA_API_TOKEN is not set: syncing a simulated account" >&2
    address=$(mktemp)
    "$built/wistia-simulator" > "$address" &
    simulator=$!
    trap 'kill "$simulator" 2> /dev/null; rm -f "$address"' EXIT
    until [ -s "$address" ]; do
        kill -0 "$simulator" || { echo "error: the simulator did not start" >&2; exit 1; }
        sleep 0.1
    done
    field() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$address" "$1"; }
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
"$tap" --config examples/tap.json --config ENV "${state[@]}" |
    "$target" --config examples/target-local.json --state-out local/state.json > /dev/null

"$python" scripts/report.py local/lake "$target" "$((SECONDS - began))"

# The page is made of the lake that is there now; without it the lake is as good.
if [ ! -e .venv-report/.ready ]; then
    printf '\ninstalling what the page is made with (dbt and DuckDB, about a minute, once)\n' >&2
fi
if page=$(make --no-print-directory report LAKE=local/lake OUT=local/report 2>&1); then
    # What was installed before it is not told again.
    printf '\nOpen it in a browser, %s\n' "$(tail -n 1 <<< "$page")"
else
    printf '%s\n' "$page" | tail -n 5 >&2
    printf '\nThe page could not be made (above is why). The lake is complete; try again: make report\n'
fi
