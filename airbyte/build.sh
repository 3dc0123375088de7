#!/usr/bin/env bash
# Builds the image of a connector from a release binary: airbyte/build.sh source-wistia [TAG]
# BINARIES names the folder of the binary, BASE another base image.
set -euo pipefail
cd "$(dirname "$0")/.."

connector=$1
tag=${2:-dev}
case $connector in
    source-wistia) binary=tap-wistia ;;
    destination-s3-parquet) binary=target-s3-parquet ;;
    *) echo "error: there is no connector $connector" >&2; exit 2 ;;
esac

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/airbyte"
touch "$context/airbyte/.keep"
cp "${BINARIES:-target/release}/$binary" airbyte/image/* "airbyte/$connector/Dockerfile" "$context"
docker build --quiet ${BASE:+--build-arg "BASE=$BASE"} --tag "airbyte/$connector:$tag" "$context"
