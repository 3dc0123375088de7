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
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "no engine for containers runs here, and there is no apt-get to fetch one with" >&2
    exit
fi
# Lists and archives of our own: those of the system belong to root, and may be empty.
mkdir -p "$folder/lists/partial" "$folder/archives/partial"
apt() {
    apt-get --quiet --quiet -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder" \
        -o Dir::Cache::Archives="$folder/archives" -o APT::Sandbox::User="$(id -un)" "$@"
}
# The libraries are there on most systems, and small.
packages="docker.io containerd runc tini libdevmapper1.02.1 libseccomp2"
# shellcheck disable=SC2086 # they are words
if ! (cd "$folder" && apt update && apt download $packages); then
    echo "no engine for containers could be fetched" >&2
    exit
fi
for package in "$folder"/*.deb; do dpkg --extract "$package" "$folder/root"; done
rm -rf "$folder"/*.deb "$folder/lists" "$folder/archives" "$folder"/*.bin "$folder/root/usr/share"
