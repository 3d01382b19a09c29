#!/usr/bin/env bash
# check.sh [STEP...]: tries all that stands here with the program that $WINDSCREEN names; every step where none is
# named. `booted` does `packages`, too, and `played` does `container`.
# It changes nothing but its own temporary folder, needs root (it boots systemd in a container), and installs nothing:
#   Debian: see APT_DEPLOY in the Makefile        PyPI: see PIP_DEPLOY        crates.io: cargo-deb, cargo-generate-rpm
# `make deploy-check` installs them and calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin
WINDSCREEN=$(readlink -f "${WINDSCREEN:-target/debug/windscreen}")
[ -x "$WINDSCREEN" ] || { echo "$WINDSCREEN is no program: set WINDSCREEN" >&2; exit 2; }
work=$(mktemp -d /var/tmp/windscreen-deploy.XXXXXX)
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait; rm -rf --one-file-system "$work"' EXIT
export WINDSCREEN

# need PROGRAM...: fails where one is missing, and says where it comes from.
need() {
    local program
    for program; do
        command -v "$program" >/dev/null || { echo "missing: $program (see the Makefile: deploy-check)" >&2; return 1; }
    done
}

# run COMMAND...: in the background, until the end.
run() {
    "$@" >>"$work/background.log" 2>&1 &
    started+=($!)
}

# until_true SECONDS COMMAND...
until_true() {
    local seconds=$1 begin=$SECONDS
    shift
    until "$@" >/dev/null 2>&1; do
        [ $((SECONDS - begin)) -lt "$seconds" ] || { echo "not within $seconds s: $*" >&2; return 1; }
        sleep 0.2
    done
}

# fails_with STATUS COMMAND...
fails_with() {
    local expected=$1 status=0
    shift
    "$@" >"$work/failing.log" 2>&1 || status=$?
    [ "$status" = "$expected" ] || { cat "$work/failing.log"; echo "exit status $status, not $expected: $*" >&2; return 1; }
}

# stripped DIR: the program without symbols, as packages and images have it.
stripped() {
    need strip
    mkdir -p "$1"
    [ -f "$work/stripped" ] || strip -o "$work/stripped" "$WINDSCREEN"
    cp "$work/stripped" "$1/windscreen"
}

# little_root DIR PROGRAM...: a root with no more than these programs and their libraries.
little_root() {
    local root=$1 program library
    shift
    need ldd
    for program; do
        install -D "$(command -v "$program")" "$root/usr/bin/$program"
        { ldd "$(command -v "$program")" || true; } 2>/dev/null | { grep -o '/[^ ]*' || true; } |
            while read -r library; do install -D "$library" "$root$library"; done
    done
    mkdir -p "$root/tmp" "$root/proc" "$root/dev" "$root/sys"
    [ -e "$root/bin" ] || ln -s usr/bin "$root/bin"
}

# Several steps: the slowest first, two at a time, each by itself.
if [ $# != 1 ]; then
    [ $# -gt 0 ] || set -- ansible buckets booted played kubernetes lint behind systemd ci
    # shellcheck disable=SC2016
    printf '%s\n' "$@" | xargs -P 2 -I STEP bash -c '
        said=$(deploy/check.sh STEP 2>&1) && status=0 || status=1; printf "%s\n" "$said"; exit $status'
    exit
fi
[ -f "deploy/check/$1.sh" ] || { echo "there is no step $1" >&2; exit 2; }
# shellcheck source=/dev/null
. "deploy/check/$1.sh"
echo "ok: $1, $SECONDS s"
