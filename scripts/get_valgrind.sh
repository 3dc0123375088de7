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
set -- "$folder" "valgrind"
# shellcheck disable=SC1091 # it is looked at by itself
. "$(dirname "$0")/apt.sh"
if ! (cd "$folder" && apt update && apt download valgrind); then
    echo "valgrind could not be fetched" >&2
    exit
fi
dpkg --extract "$folder"/valgrind_*.deb "$folder/root"
apt_ends
# The package's own command is for its place in /usr.
program=$folder/root/usr/bin/valgrind.bin
[ -e "$program" ] || program=$folder/root/usr/bin/valgrind
library=$(dirname "$(find "$folder/root" -name 'callgrind-*-linux' | head -n 1)")
made "VALGRIND_LIB=$library exec $program"
