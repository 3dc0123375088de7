# shellcheck shell=sh
# For scripts that unpack Debian's packages in a folder of their own, without root: `. apt.sh FOLDER WHAT`. Defines `apt`,
# which is apt-get with lists and archives in that folder, and `apt_ends`, which removes them. Where there is no
# apt-get, it says that there is no WHAT, and the script ends.

folder=$1
what=$2
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "no $what here, and no apt-get to fetch it with" >&2
    exit
fi
# Those of the system belong to root, and may be empty.
mkdir -p "$folder/lists/partial" "$folder/archives/partial"

apt() {
    apt-get --quiet --quiet -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder" \
        -o Dir::Cache::Archives="$folder/archives" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=true "$@"
}

apt_ends() {
    rm -rf "$folder/lists" "$folder/archives" "$folder"/*.bin "$folder"/*.deb
}
