#!/bin/sh
# assemble.sh PROGRAM DIR: lays out in DIR all that the program needs to run there.
set -eu
mkdir -p "$2/usr/bin" "$2/etc/ssl/certs" "$2/etc/windscreen" "$2/var/lib/windscreen/pass-keys" "$2/tmp"
cp "$1" "$2/usr/bin/windscreen"
if ldd "$1" | grep 'not found' >&2; then exit 1; fi
# `name => /path (address)`, and the loader, which has its path alone.
ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p' | while read -r library; do
    mkdir -p "$2${library%/*}"
    cp -L "$library" "$2$library"
done
# Host names are looked up in DNS and /etc/hosts.
echo 'hosts: files dns' >"$2/etc/nsswitch.conf"
echo 'windscreen:x:65532:65532::/:/none' >"$2/etc/passwd"
echo 'windscreen:x:65532:' >"$2/etc/group"
# The state and /tmp, for whichever user. The state is a volume, which begins as a copy.
chmod 1777 "$2/tmp"
chmod 0777 "$2/var/lib/windscreen" "$2/var/lib/windscreen/pass-keys"
if [ ! -f /etc/ssl/certs/ca-certificates.crt ]; then
    { apt-get update -qq && apt-get install -y -qq ca-certificates; } >/dev/null
fi
cp -L /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs/"
