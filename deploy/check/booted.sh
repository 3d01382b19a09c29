# shellcheck shell=bash disable=SC2154,SC1091,SC2016
# The Debian package runs under a real systemd, in a container over this machine's own files, without a network.
need systemd-nspawn unshare dpkg python3 curl
[ -f "$work/packages/windscreen.deb" ] || . deploy/check/packages.sh
booted=$work/booted
mkdir -p "$booted/root" "$booted/out"
cp "$work/packages/windscreen.deb" deploy/check/booted-inside.sh "$booted/out"
cat >"$booted/try.service" <<'UNIT'
[Unit]
DefaultDependencies=no
Requires=basic.target
After=basic.target
[Service]
Type=oneshot
TimeoutStartSec=120
ExecStart=/bin/bash /out/booted-inside.sh
StandardOutput=file:/out/log
StandardError=file:/out/log
ExecStopPost=/bin/sh -c 'exec systemctl exit $EXIT_STATUS'
UNIT
status=0
# What is written lies over the machine's files, in memory, and is forgotten.
timeout 150 unshare --mount sh -c 'mount --bind / "$1/root" && exec systemd-nspawn --quiet --register=no --keep-unit \
    --machine=windscreen-check --directory="$1/root" --volatile=overlay --private-network --link-journal=no \
    --bind="$1/out:/out" --bind-ro="$1/try.service:/etc/systemd/system/try.service" \
    --boot -- --unit=try.service --show-status=no' sh "$booted" </dev/null >"$booted/boot.log" 2>&1 || status=$?
[ "$status" = 0 ] || { tail -n 20 "$booted/boot.log"; cat "$booted/out/log"; echo "exit status $status"; exit 1; }
grep '^ok' "$booted/out/log"
