#!/bin/bash
# In the container: installs the package and leads it through its life.
set -euxo pipefail
trap '[ $? = 0 ] || journalctl --no-pager -n 80' EXIT
ip link set lo up 2>/dev/null || true
wait_for() { for _ in $(seq 100); do if "$@"; then return 0; fi; sleep 0.1; done; return 1; }

dpkg --install --force-depends /out/windscreen.deb
[ "$(systemctl is-enabled windscreen.service || true)" = disabled ]
# Without a gateway file nothing is started, and nothing fails.
systemctl start windscreen.service windscreen-report.service
[ "$(systemctl is-active windscreen.service || true)" = inactive ]
echo 'ok: an unconfigured service does not start'

mkdir -p /srv/bucket && echo hello >/srv/bucket/log
systemd-run --quiet --unit=origin python3 -m http.server --bind 127.0.0.1 --directory /srv/bucket 8000
sed -e 's|https://my-logs.s3.us-east-1.amazonaws.com/|http://127.0.0.1:8000/|' -e 's|127.0.0.1:9090|127.0.0.1:9190|' \
    -e 's|credentials: anonymous .*|credentials: logs-read|' -e 's|\[::\]:8080|127.0.0.1:8180|' \
    -e 's|^# credentials: .*|credentials: {logs-read: {key_file: /etc/windscreen/secrets/logs-read}}|' \
    -e '/^#   logs-read:/d' -e '/^#     key_file/d' /etc/windscreen/gateway.example.yaml >/etc/windscreen/gateway.yaml
echo 'clients: [{name: ci, key_file: /etc/windscreen/secrets/ci, sites: [logs]}]' >>/etc/windscreen/gateway.yaml
# Words, not keys.
echo 'an-access-key a-secret' >/etc/windscreen/secrets/logs-read
echo 'another-access-key another-secret' >/etc/windscreen/secrets/ci
chmod 600 /etc/windscreen/secrets/*
for unit in windscreen windscreen-report; do
    mkdir -p "/etc/systemd/system/$unit.service.d"
    printf '%s\n' '[Service]' LoadCredential={logs-read:/etc/windscreen/secrets/logs-read,ci:/etc/windscreen/secrets/ci} \
        >"/etc/systemd/system/$unit.service.d/secrets.conf"
done
systemctl daemon-reload
wait_for curl -fsS -o /dev/null http://127.0.0.1:8000/
systemctl start windscreen.service
wait_for curl -fsS http://127.0.0.1:9190/readyz
curl -fsS -H 'Host: logs.example.org' http://127.0.0.1:8180/log | grep -qx hello
echo 'ok: it starts with a key of its own, and reads secrets that only root can read'

pid=$(systemctl show -p MainPID --value windscreen.service)
[ "$(ps -o user= -p "$pid")" = windscreen ]
[ "$(awk '/CapEff/ {print $2}' "/proc/$pid/status")" = 0000000000000400 ]
[ "$(awk '/^Seccomp:/ {print $2}' "/proc/$pid/status")" = 2 ]
windscreen check -c /etc/windscreen/gateway.yaml
windscreen healthcheck -c /etc/windscreen/gateway.yaml
echo 'ok: a user of its own, one capability, few system calls'

systemctl reload windscreen.service
curl -fsS http://127.0.0.1:9190/readyz
[ "$(systemctl show -p MainPID --value windscreen.service)" = "$pid" ]
systemctl restart windscreen.service
wait_for curl -fsS http://127.0.0.1:9190/readyz
[ "$(find /var/lib/windscreen/pass-keys/ -type f | wc -l)" = 1 ]
wait_for test -s /var/lib/windscreen/ledger.db
# Exit status 1 is an answer, too.
systemctl start windscreen-report.service || [ "$(systemctl show -p ExecMainStatus --value windscreen-report.service)" = 1 ]
journalctl -u windscreen-report.service | grep -qi 'protection'
echo 'ok: it reloads, restarts with the same key, and reports'

# A configuration that is refused is not tried again and again.
cp /etc/windscreen/gateway.yaml /root/good.yaml
echo 'nonsense: 1' >>/etc/windscreen/gateway.yaml
if systemctl restart windscreen.service; then exit 1; fi
[ "$(systemctl show -p ExecMainStatus --value windscreen.service)" = 64 ]
sleep 2
[ "$(systemctl is-active windscreen.service || true)" = failed ]
echo 'ok: a bad configuration stays down'

# By the socket: systemd holds it, and hands it over.
sed 's|127.0.0.1:8180|systemd:web|' /root/good.yaml >/etc/windscreen/gateway.yaml
systemctl reset-failed
systemctl start windscreen.socket
curl -fsS -H 'Host: logs.example.org' http://127.0.0.1:80/log | grep -qx hello
echo 'ok: the socket starts it'

# In place: another process, the same sockets.
systemctl start windscreen.service
pid=$(systemctl show -p MainPID --value windscreen.service)
dpkg --install --force-depends /out/windscreen.deb
another() { [ "$(systemctl show -p MainPID --value windscreen.service)" != "$pid" ]; }
wait_for another
curl -fsS -H 'Host: logs.example.org' http://127.0.0.1:80/log | grep -qx hello
systemctl is-active windscreen.service
echo 'ok: an upgrade of the package takes the place of the process'

dpkg --purge windscreen
gone() { ! systemctl --quiet is-active windscreen.service windscreen.socket; }
wait_for gone
[ ! -e /etc/windscreen ] && [ ! -e /var/lib/private/windscreen ] && [ ! -e /usr/bin/windscreen ]
echo 'ok: purged'
