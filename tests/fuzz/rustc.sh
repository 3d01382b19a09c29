#!/bin/sh
# Runs rustc for cargo. The gateway and the targets are watched by libFuzzer: every branch counts how often it is taken,
# and comparisons show what was compared. Dependencies are built as ever, so that they need not be built again.
case " $* " in
*" --crate-name windscreen "* | *" --crate-name windscreen_fuzz "*)
    exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*) exec "$@" ;;
esac
