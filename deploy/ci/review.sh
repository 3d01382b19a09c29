#!/usr/bin/env bash
# review.sh BASE LOG...: what a change of the policy does. Checks the gateway file and the policy, runs the policy's cases,
# and replays LOGs by the policy of the commit BASE and by this one. Prints Markdown; exit status 1 where a check or a case
# fails. GATEWAY (gateway.yaml) and POLICY (policies/ours.yaml) say what is looked at; SINCE (7d) how much of the logs.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
base=$1
shift
gateway=${GATEWAY:-gateway.yaml} policy=${POLICY:-policies/ours.yaml}
before=$(mktemp -d)
trap 'git worktree remove --force "$before/tree" >/dev/null 2>&1 || true; rm -rf "$before"' EXIT
failed=0

# section TITLE COMMAND...: what it prints, as text, whatever it holds.
section() {
    echo "### $1"
    echo
    shift
    # Four blanks make a block of code that nothing in it can end.
    if ! "$@" 2>&1 | sed 's/^/    /'; then
        failed=1
        echo
        echo "**failed**"
    fi
    echo
}

echo "## The change of \`$policy\`"
echo
section "windscreen check" windscreen check -c "$gateway"
section "windscreen test" windscreen test "$policy" --require-coverage
if [ "$failed" = 0 ]; then
    git worktree add --quiet --detach "$before/tree" "$base"
    if [ -f "$before/tree/$policy" ]; then
        section "Whose verdict it changes" windscreen replay -c "$gateway" --since "${SINCE:-7d}" \
            --policy "$before/tree/$policy" --diff "$policy" "$@"
    else
        section "What it would have done" windscreen replay -c "$gateway" --since "${SINCE:-7d}" --policy "$policy" "$@"
    fi
fi
exit "$failed"
