#!/bin/sh
# Makes a command `valgrind` in a folder: the one that is installed, or Debian's package, unpacked there without root.
# Where neither can be had there is none, and tests/test_instructions.py says so.
set -eu

folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

made() {
    printf '#!/bin/sh\n%s "$@"\n' "$1" >"$folder/valgrind"
    chmod +x "$folder/valgrind"
}

if installed=$(command -v valgrind); then
    made "exec $installed"
    exit
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "no valgrind here, and no apt-get to fetch it with" >&2
    exit
fi
# Lists and archives of our own: those of the system belong to root, and may be empty.
mkdir -p "$folder/lists/partial" "$folder/archives/partial"
apt() {
    apt-get --quiet --quiet -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder" \
        -o Dir::Cache::Archives="$folder/archives" -o APT::Sandbox::User="$(id -un)" "$@"
}
if ! (cd "$folder" && apt update && apt download valgrind); then
    echo "valgrind could not be fetched" >&2
    exit
fi
dpkg --extract "$folder"/valgrind_*.deb "$folder/root"
rm -rf "$folder"/valgrind_*.deb "$folder/lists" "$folder/archives" "$folder"/*.bin
# The package's own command is for its place in /usr.
program=$folder/root/usr/bin/valgrind.bin
[ -e "$program" ] || program=$folder/root/usr/bin/valgrind
library=$(dirname "$(find "$folder/root" -name 'callgrind-*-linux' | head -n 1)")
made "VALGRIND_LIB=$library exec $program"
