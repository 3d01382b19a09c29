# shellcheck shell=bash disable=SC2154,SC1091
# The YAML of Kubernetes runs under `podman kube play`, in a network of its own.
need podman kubectl python3 curl unshare ip iptables catatonit
container=$work/container
[ -d "$container/storage" ] || . deploy/check/container.sh
played=$work/played
mkdir -p "$played/bucket"
echo hello >"$played/bucket/log"
# What this machine lets root give away, and no service manager that would time health checks.
cat >"$played/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "$played/networks"
CONF
kubectl kustomize deploy/kubernetes/overlays/podman | sed 's|https://my-logs.s3.us-east-1.amazonaws.com/|http://192.0.2.1:18340/|' >"$played/pod.yaml"
# podman before 4.4 hands secrets over in base64, as they are written.
written() {
    if podman --version | grep -q ' 4\.[0-3]\.'; then cat; else base64 -w 0; fi
}
cat >"$played/secrets.yaml" <<YAML
apiVersion: v1
kind: Secret
metadata: {name: windscreen-origin}
data: {access-key: $(printf anaccesskey1 | written), secret-key: $(printf asecret1 | written)}
---
apiVersion: v1
kind: Secret
metadata: {name: windscreen-pass-keys}
data: {2026-01-01: $("$WINDSCREEN" keygen 2>/dev/null | written)}
YAML
cat >"$played/inside.sh" <<'INSIDE'
set -euo pipefail
cd "$1"
shift
export CONTAINERS_CONF=$PWD/containers.conf DISABLE_HC_SYSTEMD=true
! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified    # crun wants one kind of cgroups
ip link set lo up
podman=(podman "$@")
within() { for _ in $(seq 150); do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; echo "not within 15 s: $*"; return 1; }
trap '"${podman[@]}" kube down pod.yaml >/dev/null 2>&1 || true; kill %1' EXIT
python3 -m http.server --bind 0.0.0.0 --directory bucket 18340 >/dev/null 2>&1 &
"${podman[@]}" network create --subnet 192.0.2.0/24 --disable-dns check >/dev/null
"${podman[@]}" kube play secrets.yaml >/dev/null
"${podman[@]}" kube play --network check pod.yaml
within curl -fsS http://127.0.0.1:9090/readyz || { "${podman[@]}" logs windscreen-pod-0-windscreen windscreen-pod-windscreen; exit 1; }
[ "$(curl -fsS -H 'Host: logs.example.org' http://127.0.0.1:8080/log)" = hello ]
name=$("${podman[@]}" ps --format '{{.Names}}' | grep windscreen-pod)
"${podman[@]}" exec "$name" /usr/bin/windscreen healthcheck -c /etc/windscreen/gateway.yaml
# Its state is on a volume.
within test -s "$("${podman[@]}" volume inspect windscreen-state --format '{{.Mountpoint}}')/ledger.db"
"${podman[@]}" kube down pod.yaml >/dev/null
! curl -fsS http://127.0.0.1:8080/ 2>/dev/null
INSIDE
unshare --net --mount bash "$played/inside.sh" "$played" "${storage[@]}" >"$played/log" 2>&1 || { cat "$played/log"; exit 1; }
echo "played: the pod is ready, serves, keeps its ledger, and goes"
