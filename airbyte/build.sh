#!/usr/bin/env bash
# Builds the image of a connector from a binary: airbyte/build.sh source-wistia [TAG]
# BINARIES names the folder of the binary, REPOSITORY what stands before the image's name.
#
# The image holds the program, the libraries that it is linked to and the root certificates of this machine, and
# nothing else: no shell, and no base image that would have to be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

connector=$1
tag=${2:-dev}
case $connector in
    source-wistia) binary=tap-wistia ;;
    destination-s3-parquet) binary=target-s3-parquet ;;
    *) echo "error: there is no connector $connector" >&2; exit 2 ;;
esac
program=${BINARIES:-target/release}/$binary

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
root=$context/root
mkdir -p "$context/airbyte" "$root/etc/ssl/certs" "$root/tmp" "$root/usr/local/bin"
touch "$context/airbyte/.keep"
cp "$program" "$root/usr/local/bin"
cp airbyte/image/passwd airbyte/image/group "$root/etc"
cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs"
# The paths of the C library's parts are those that its loader looks in.
ldd "$program" | grep --only-matching '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp --dereference "$library" "$root$library"
done
if [ -e /usr/share/doc/libc6/copyright ]; then
    install -D --mode 0644 /usr/share/doc/libc6/copyright "$root/usr/share/doc/libc6/copyright"
fi
chmod -R u=rwX,go=rX "$root"
chmod 1777 "$root/tmp"

cp "airbyte/$connector/Dockerfile" "$context"
docker build --quiet --tag "${REPOSITORY:-airbyte}/$connector:$tag" "$context"
