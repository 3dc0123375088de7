#!/bin/sh
# Makes a command `chromium` in a folder: the one that is installed, or Debian's package with what it needs, unpacked
# there without root. Where neither can be had there is none, and tests/report says so. Beside it are fonts: pictures
# of the page are made of these alone, whatever the machine has.
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
        break
    fi
done

set -- "$folder" "Chromium with the fonts of its pictures"
# shellcheck disable=SC1091 # it is looked at by itself
. "$(dirname "$0")/apt.sh"
apt update || { echo "Debian's packages cannot be asked for: neither Chromium nor fonts" >&2 && exit; }
# Latin, Japanese, and signs. Also where they are installed: `install` would pass them over.
if (cd "$folder/archives" && apt download fonts-dejavu-core fonts-droid-fallback fonts-symbola); then
    for package in "$folder"/archives/fonts-*.deb; do dpkg --extract "$package" "$folder/fonts"; done
    rm "$folder"/archives/fonts-*.deb
else
    echo "the fonts of the pictures could not be fetched" >&2
fi
# Of what it needs, this is what is not installed.
if [ ! -e "$folder/chromium" ]; then
    if ! apt --yes --download-only --no-install-recommends install chromium; then
        echo "Chromium could not be fetched" >&2
        exit
    fi
    for package in "$folder"/archives/*.deb; do dpkg --extract "$package" "$folder/root"; done
    rm -rf "$folder/root/usr/share/doc"
    libraries=$(find "$folder/root" -name '*.so*' -not -path '*/chromium/*' -exec dirname {} \; | sort -u | tr '\n' ':')
    made "LD_LIBRARY_PATH=$libraries exec $folder/root/usr/lib/chromium/chromium"
fi
apt_ends
