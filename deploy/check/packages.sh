# shellcheck shell=bash disable=SC2154,SC1091,SC2016
# Packages are built from the program, installed into a root of their own, run from there, and taken away.
need cargo cargo-deb cargo-generate-rpm dpkg dpkg-deb rpm ldd
packages=$work/packages
stripped "$packages/target/release"
export CARGO_TARGET_DIR=$packages/target
cargo deb --quiet --no-build --offline --no-strip --no-dbgsym --fast --output "$packages/windscreen.deb" >/dev/null
cargo generate-rpm --payload-compress none --output "$packages/windscreen.rpm"
unset CARGO_TARGET_DIR

# installed ROOT: what both must have.
installed() {
    local root=$1
    "$root/usr/bin/windscreen" --version
    "$root/usr/bin/windscreen" check "$root/usr/share/windscreen/policies/cockpit.yaml"
    "$root/usr/bin/windscreen" test "$root/usr/share/windscreen/policies/cockpit.yaml" >/dev/null
    [ "$(stat -c %a "$root/etc/windscreen/secrets")" = 700 ]
    # Nothing would start: there is no gateway file, and no unit is enabled.
    [ ! -e "$root/etc/windscreen/gateway.yaml" ] && [ ! -e "$root/etc/systemd/system" ]
    mkdir -p "$root/var/lib/windscreen/pass-keys" "$root/etc/windscreen/secrets"
    "$root/usr/bin/windscreen" keygen --dir "$root/var/lib/windscreen/pass-keys" >/dev/null
    sed "s|/var/lib|$root/var/lib|" "$root/etc/windscreen/gateway.example.yaml" >"$root/etc/windscreen/gateway.yaml"
    "$root/usr/bin/windscreen" check -c "$root/etc/windscreen/gateway.yaml"
}

root=$packages/debian
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
touch "$root/var/lib/dpkg/status"
# Scripts are not run in the root, which has no shell: they know DPKG_ROOT.
debian=(dpkg --root="$root" --force-script-chrootless --force-depends --force-not-root --log=/dev/null)
"${debian[@]}" --install "$packages/windscreen.deb" >"$packages/log" 2>&1 || { cat "$packages/log"; exit 1; }
installed "$root"
echo '# changed' >>"$root/etc/windscreen/gateway.example.yaml"
"${debian[@]}" --install "$packages/windscreen.deb" >"$packages/log" 2>&1
grep -q '# changed' "$root/etc/windscreen/gateway.example.yaml"
"${debian[@]}" --remove windscreen >"$packages/log" 2>&1
[ -e "$root/etc/windscreen/gateway.yaml" ] && [ ! -e "$root/usr/bin/windscreen" ]
"${debian[@]}" --purge windscreen >"$packages/log" 2>&1
left=$(find "$root" -path "$root/var/lib/dpkg" -prune -o -iname '*windscreen*' -print)
[ -z "$left" ] || { echo "purging leaves $left"; exit 1; }
echo "Debian package: $(stat -c %s "$packages/windscreen.deb") bytes; installed, kept what was changed, purged"

root=$packages/rpm
# A shell and what the scripts call.
little_root "$root" sh install rmdir
red=(rpm --root "$root" --dbpath /var/lib/rpm)
"${red[@]}" --initdb
"${red[@]}" --install --nodeps "$packages/windscreen.rpm"
installed "$root"
"${red[@]}" --query --configfiles windscreen | grep -qx /etc/windscreen/gateway.example.yaml
"${red[@]}" --erase --nodeps windscreen
[ ! -e "$root/usr/bin/windscreen" ] && [ -e "$root/etc/windscreen/gateway.yaml" ]
echo "RPM: $(stat -c %s "$packages/windscreen.rpm") bytes; installed, erased"
