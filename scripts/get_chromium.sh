#!/bin/sh
# Makes a command `chromium` in a folder: the one that is installed, or Debian's package with what it needs, unpacked
# there without root. Where neither can be had there is none, and tests/report says so.
set -eu

folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

made() {
    printf '#!/bin/sh\n%s "$@"\n' "$1" >"$folder/chromium"
    chmod +x "$folder/chromium"
}

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    # Ubuntu's is a snap's, which reads no file outside the home.
    if installed=$(command -v "$name") && ! grep -qs snap "$installed"; then
        made "exec $installed"
        exit
    fi
done

set -- "$folder" "Chromium"
# shellcheck disable=SC1091 # it is looked at by itself
. "$(dirname "$0")/apt.sh"
# Of what it needs, this is what is not installed.
if ! (apt update && apt --yes --download-only --no-install-recommends install chromium fonts-dejavu-core); then
    echo "Chromium could not be fetched" >&2
    exit
fi
for package in "$folder"/archives/*.deb; do dpkg --extract "$package" "$folder/root"; done
apt_ends
rm -rf "$folder/root/usr/share/doc"
libraries=$(find "$folder/root" -name '*.so*' -not -path '*/chromium/*' -exec dirname {} \; | sort -u | tr '\n' ':')
made "LD_LIBRARY_PATH=$libraries exec $folder/root/usr/lib/chromium/chromium"
