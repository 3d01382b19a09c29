#!/bin/sh
# Fuzzes each target for FUZZ_SECONDS (600 if not given), or those that are named: tests/fuzz/run.sh [TARGET]...
#
# What is found stays in target/fuzz/TARGET/ and is where the next run goes on from. A text that breaks something is
# kept there as `broken-*`; give it to the target again with: FUZZ_TARGET=TARGET target/debug/windscreen-fuzz FILE
set -eu
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
seconds="${FUZZ_SECONDS:-600}"
[ $# -gt 0 ] || set -- policy_file gateway_file when feed request anubis access_log signature token hello

# The same versions as the gateway's, so that what is built already serves here, too.
cp Cargo.lock tests/fuzz/Cargo.lock
RUSTC_WRAPPER="$PWD/tests/fuzz/rustc.sh" cargo build --manifest-path tests/fuzz/Cargo.toml
TMPDIR="$(mktemp -d)"
export TMPDIR
trap 'rm -r "$TMPDIR"' EXIT
for target; do
    found="$CARGO_TARGET_DIR/fuzz/$target"
    mkdir -p "$found"
    case $target in
    policy_file) seeds="policies policies/lists tests/config/good tests/config/bad" ;;
    gateway_file) seeds="deploy tests/config/good tests/config/bad" ;;
    anubis) seeds="tests/config/anubis tests/config/anubis/bad" ;;
    *) seeds="tests/fuzz/seeds/$target" ;;
    esac
    echo "fuzzing $target for $seconds s"
    # Where they are read, time limits and memory are generous: a machine may be busy.
    # shellcheck disable=SC2086 # several folders
    FUZZ_TARGET="$target" "$CARGO_TARGET_DIR/debug/windscreen-fuzz" "$found" $seeds -max_total_time="$seconds" \
        -max_len=8192 -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$found/broken-" 2>"$found.log" || {
        tail -n 60 "$found.log"
        exit 1
    }
    grep -E 'number_of_executed_units|peak_rss_mb' "$found.log"
done
