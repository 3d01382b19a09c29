# shellcheck shell=bash disable=SC2154
# The jobs have the form that GitHub and GitLab expect, and the review says what a change does.
need git check-jsonschema
check-jsonschema --builtin-schema vendor.github-workflows deploy/ci/github-actions.yml >/dev/null
check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci deploy/ci/gitlab-ci.yml >/dev/null
review=$work/ci/repository
mkdir -p "$review/policies" "$work/ci/bin"
ln -sf "$WINDSCREEN" "$work/ci/bin/windscreen"
sed 's|^admin:|policy: {file: policies/ours.yaml}\n&|' deploy/behind/gateway.yaml >"$review/gateway.yaml"
cat >"$review/policies/ours.yaml" <<'YAML'
version: 1
mode: enforce
rules:
  - {name: all, match: {site: logs}, action: allow}
default: {action: deny}
YAML
cat >"$review/policies/ours.cases.yaml" <<'YAML'
version: 1
cases:
  - {name: reads, request: {site: logs, path: /log}, expect: {action: allow, rule: all}}
  - {name: elsewhere, request: {site: images, path: /log}, expect: {action: deny}}
  - {name: curl, request: {site: logs, path: /log, dress: curl}, expect: {action: allow, rule: all}}
YAML
cp deploy/ci/review.sh "$review/policies/"
day=$(date -u +%d/%b/%Y)
for number in 1 2 3; do
    echo "192.0.2.$number - - [$day:00:00:0$number +0000] \"GET /log HTTP/1.1\" 200 1000 \"-\" \"curl/8.0\""
done >"$work/ci/access.log"
git -C "$review" init -q
git -C "$review" -c user.name=a -c user.email=a@example.org add -A
git -C "$review" -c user.name=a -c user.email=a@example.org commit -qm one
# summary: what the review of the files as they are prints.
summary() { (cd "$review" && PATH=$work/ci/bin:$PATH policies/review.sh HEAD "$work/ci/access.log"); }
summary >"$work/ci/same.md" || { cat "$work/ci/same.md"; exit 1; }
sed -i 's|match: {site: logs}|match: {site: logs, not: {user_agent: {regex: ^curl}}}|' "$review/policies/ours.yaml"
sed -i '/name: curl/s|{action: allow, rule: all}|{action: deny}|' "$review/policies/ours.cases.yaml"
summary >"$work/ci/other.md" || { cat "$work/ci/other.md"; exit 1; }
if diff "$work/ci/same.md" "$work/ci/other.md" >/dev/null; then cat "$work/ci/other.md"; exit 1; fi
echo 'nonsense: 1' >>"$review/policies/ours.yaml"
fails_with 1 summary
grep -q nonsense "$work/failing.log"
[ "$(git -C "$review" worktree list | wc -l)" = 1 ]
