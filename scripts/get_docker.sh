#!/bin/sh
# Makes an engine for containers in a folder: Debian's packages, unpacked there. Nothing is installed, and no service is
# started; tests/test_images.py starts the engine for itself. Where one runs already, or none can be had, there is none.
set -eu

folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

if docker info >/dev/null 2>&1; then
    exit
fi
set -- "$folder" "engine for containers"
# shellcheck disable=SC1091 # it is looked at by itself
. "$(dirname "$0")/apt.sh"
# The libraries are there on most systems, and small.
packages="docker.io containerd runc tini libdevmapper1.02.1 libseccomp2"
# shellcheck disable=SC2086 # they are words
if ! (cd "$folder" && apt update && apt download $packages); then
    echo "no engine for containers could be fetched" >&2
    exit
fi
for package in "$folder"/*.deb; do dpkg --extract "$package" "$folder/root"; done
apt_ends
rm -rf "$folder/root/usr/share"
