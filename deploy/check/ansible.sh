# shellcheck shell=bash disable=SC2154
# The role at work in a root of its own, with a service manager that starts the real program.
need ansible-playbook python3 curl
role=$work/ansible
mkdir -p "$role"
cp -r deploy/ansible "$role/ansible"
export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_PIPELINING=1 ANSIBLE_GATHERING=explicit ANSIBLE_NOCOLOR=1 ANSIBLE_HOME=$role/home

# Stands for systemctl: the program runs, and the calls are written down.
cat >"$role/systemctl" <<'SYSTEMCTL'
#!/usr/bin/env bash
set -u
root=$(dirname "$0")
echo "$*" >>"$root/calls"
case $1 in
restart)
    [ ! -f "$root/pid" ] || kill -INT "$(cat "$root/pid")" 2>/dev/null
    while [ -f "$root/pid" ] && kill -0 "$(cat "$root/pid")" 2>/dev/null; do sleep 0.1; done
    setsid "$WINDSCREEN" serve -c "$root/root/etc/windscreen/gateway.yaml" >>"$root/serve.log" 2>&1 </dev/null &
    echo $! >"$root/pid"
    ;;
reload) kill -HUP "$(cat "$root/pid")" ;;
esac
SYSTEMCTL
chmod +x "$role/systemctl"
mkdir -p "$role/root" "$role/bucket" "$role/secrets/windscreen"
echo 'an-access-key a-secret' >"$role/secrets/windscreen/read"
echo hello >"$role/bucket/log"
run python3 -m http.server --bind 127.0.0.1 --directory "$role/bucket" 18300
cat >"$role/variables.json" <<JSON
{"windscreen_install": "none", "windscreen_root": "$role/root", "windscreen_systemctl": "$role/systemctl",
 "windscreen_command": "$WINDSCREEN", "windscreen_ready_url": "http://127.0.0.1:18302/readyz", "windscreen_ready_retries": 20,
 "ansible_python_interpreter": "$(command -v python3)", "windscreen_secrets": {"read": "$role/secrets/windscreen/read"},
 "windscreen_policies": ["$role/ansible/policies/internal.yaml"], "windscreen_networks": {"internal": ["127.0.0.0/8"]},
 "windscreen_config": {"version": 1, "listeners": [{"address": "127.0.0.1:18301"}], "admin": {"address": "127.0.0.1:18302"},
  "policy": {"file": "policies/internal.yaml", "networks": "networks.yaml"},
  "credentials": {"read": {"key_file": "{{ windscreen_etc }}/secrets/read"}},
  "sites": {"images": {"origins": [{"name": "a", "url": "http://127.0.0.1:18300/", "credentials": "read"}]}},
  "pass_keys": {"dir": "{{ windscreen_state }}/pass-keys"}, "ledger": {"path": "{{ windscreen_state }}/ledger.db"}}}
JSON
cat >"$role/ansible/try.yml" <<'YAML'
- {name: Try, hosts: localhost, connection: local, gather_facts: false, roles: [windscreen]}
YAML

# play: one run of the role; what it did is in $role/log, which calls it made in $role/calls.
play() {
    : >"$role/calls"
    ansible-playbook -i localhost, -e "@$role/variables.json" "$role/ansible/try.yml" >"$role/log" 2>&1
}
# calls LIST: what the service manager was asked.
calls() {
    [ "$(paste -sd, "$role/calls")" = "$1" ] || { cat "$role/log"; echo "calls: $(paste -sd, "$role/calls"), not $1" >&2; return 1; }
}
# with KEY VALUE: a variable of another value.
with() {
    python3 - "$role/variables.json" "$1" "$2" <<'PYTHON'
import json, sys
document = json.load(open(sys.argv[1]))
*path, last = sys.argv[2].split(".")
at = document
for key in path:
    at = at[int(key)] if isinstance(at, list) else at[key]
at[last] = json.loads(sys.argv[3])
json.dump(document, open(sys.argv[1], "w"))
PYTHON
}
stop_served() { [ ! -f "$role/pid" ] || kill -INT "$(cat "$role/pid")" 2>/dev/null || true; }
trap 'stop_served; kill "${started[@]}" 2>/dev/null || true; wait; rm -rf --one-file-system "$work"' EXIT

until_true 10 curl -fsS http://127.0.0.1:18300/
play || { cat "$role/log" "$role/serve.log"; exit 1; }
calls 'restart windscreen.service'
curl -fsS http://127.0.0.1:18301/log | grep -qx hello
[ "$(find "$role/root/var/lib/windscreen/pass-keys" -type f | wc -l)" = 1 ]
! grep -rq a-secret "$role/root" "$role/log" || { echo 'a secret was copied' >&2; exit 1; }
play
calls ''
grep -q 'changed=0 ' "$role/log" || { cat "$role/log"; echo 'a second run changes something' >&2; exit 1; }
echo "installed, and nothing changes again"

with windscreen_networks.internal '["192.0.2.0/24"]'
play || { cat "$role/log"; exit 1; }
calls 'reload windscreen.service'
denied() { [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:18301/log)" = 403 ]; }
until_true 10 denied
echo "a changed policy is reloaded"

with windscreen_config.policy '{"file": "policies/internal.yaml", "networks": "networks.yaml", "mode": "nonsense"}'
fails_with 2 play
calls ''
grep -q nonsense "$role/log"
if grep nonsense "$role/root/etc/windscreen/gateway.yaml"; then exit 1; fi
with windscreen_config.policy '{"file": "policies/internal.yaml", "networks": "networks.yaml"}'
echo "what is wrong is refused before anything changes"

# It passes the check, and cannot come up: the port is the bucket's.
with windscreen_config.listeners '[{"address": "127.0.0.1:18300"}]'
with windscreen_ready_retries 3
fails_with 2 play
calls 'restart windscreen.service,restart windscreen.service'
grep -q 18301 "$role/root/etc/windscreen/gateway.yaml"
until_true 10 denied
with windscreen_config.listeners '[{"address": "127.0.0.1:18301"}]'
echo "what does not come up is taken back"

# In a container: its unit, with the parent of the folder of secrets.
with windscreen_install '"quadlet"'
with windscreen_user "\"$(id -u)\""
play || { cat "$role/log"; exit 1; }
calls 'daemon-reload,restart windscreen.service'
grep -qx "Volume=$role/secrets:$role/secrets:ro" "$role/root/etc/containers/systemd/windscreen.container"
stop_served
echo "a container is given the parent of its secrets"
