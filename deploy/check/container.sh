# shellcheck shell=bash disable=SC2154
# The image is built from the program, is small, and runs as anybody on a root that is read-only; what runs it is understood.
need buildah podman podman-compose check-jsonschema python3 curl tar
container=$work/container
mkdir -p "$container/context/deploy" "$container/base" "$container/etc" "$container/state/pass-keys" "$container/bucket"
export XDG_DATA_HOME=$container/data STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
storage=(--root "$container/storage" --runroot "$container/run" --storage-driver vfs)

# No registry is asked: what is called debian:12-slim here is made of this machine's own programs.
little_root "$container/base" bash sh sed grep cp mkdir chmod ldd
ldd "$WINDSCREEN" | grep -o '/[^ ]*' | while read -r library; do install -D "$library" "$container/base$library"; done
mkdir -p "$container/base/etc/ssl/certs"
cp -L /etc/ssl/certs/ca-certificates.crt "$container/base/etc/ssl/certs/"
tar -C "$container/base" -c . | podman "${storage[@]}" import --quiet - docker.io/library/debian:12-slim >/dev/null

stripped "$container/context"
cp -r deploy/container "$container/context/deploy/"
buildah "${storage[@]}" build --quiet --pull-never --format docker --build-arg BINARY=given \
    -f deploy/container/Containerfile -t localhost/windscreen "$container/context" >"$container/build.log" 2>&1 ||
    { cat "$container/build.log"; exit 1; }
size=$(podman "${storage[@]}" image inspect --format '{{.Size}}' localhost/windscreen)
program=$(stat -c %s "$container/context/windscreen")
# What the image adds counts for any program; a debug build is twice a release.
[ $((size - program)) -lt 5000000 ] || { echo "the image has $size bytes, the program $program" >&2; exit 1; }
[[ $WINDSCREEN == */debug/* ]] || [ "$size" -lt 40000000 ] || { echo "the image of a release has $size bytes" >&2; exit 1; }
podman "${storage[@]}" image inspect localhost/windscreen | python3 -c '
import json, sys
image = json.load(sys.stdin)[0]
assert image["Config"]["User"] == "65532:65532", image["Config"]["User"]
assert image["HealthCheck" if "HealthCheck" in image else "Healthcheck"]["Test"] == ["CMD", "/usr/bin/windscreen", "healthcheck"]'

# It runs where nothing is but what was copied; as any user; on files that it cannot change.
mounted=$(buildah "${storage[@]}" from --pull-never localhost/windscreen)
tree=$(buildah "${storage[@]}" mount "$mounted")
echo hello >"$container/bucket/log"
chmod 0777 "$container/state" "$container/state/pass-keys"
sed -e 's|https://my-logs.s3.us-east-1.amazonaws.com/|http://127.0.0.1:18310/|' -e '/^shared_state/d' -e 's|\[::\]:8080|127.0.0.1:18311|' \
    -e 's|\[::\]:9090|127.0.0.1:18312|' deploy/container/compose/gateway.yaml >"$container/etc/gateway.yaml"
run python3 -m http.server --bind 127.0.0.1 --directory "$container/bucket" 18310
# inside USER ARGUMENT...: the program, in the image's files.
inside() {
    local user=$1
    shift
    # shellcheck disable=SC2016
    unshare --mount sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount --bind "$2/etc" "$1/etc/windscreen" &&
        mount --bind "$2/state" "$1/var/lib/windscreen" && shift 2 && exec chroot "$@"' \
        sh "$tree" "$container" "--userspec=$user" "$tree" /usr/bin/windscreen "$@"
}
inside 65532:65532 --version
inside 65532:65532 keygen --dir /var/lib/windscreen/pass-keys >/dev/null
chmod 0644 "$container"/state/pass-keys/*
until_true 10 curl -fsS http://127.0.0.1:18310/
run inside 1000730000:0 serve -c /etc/windscreen/gateway.yaml
until_true 20 curl -fsS http://127.0.0.1:18312/readyz || { tail "$work/background.log"; exit 1; }
curl -fsS http://127.0.0.1:18311/log | grep -qx hello
buildah "${storage[@]}" rm "$mounted" >/dev/null
echo "image: $size bytes, of which the program has $program"

check-jsonschema --builtin-schema vendor.compose-spec deploy/container/compose.yaml >/dev/null
(cd deploy/container && GRAFANA_PASSWORD=x podman-compose -f compose.yaml config >"$container/compose.log" 2>&1) || { cat "$container/compose.log"; exit 1; }
sed "s|/var/lib/windscreen|$container/state|" deploy/container/compose/gateway.yaml >"$container/gateway.yaml"
"$WINDSCREEN" check -c "$container/gateway.yaml" >/dev/null
# What compose.yaml mounts is there.
for file in compose/gateway.yaml ../prometheus/prometheus.yml ../grafana/windscreen.json grafana/datasources grafana/dashboards; do
    [ -e "deploy/container/$file" ]
done
grep -q "'windscreen-admin:9090'" deploy/prometheus/prometheus.yml
# What HEALTHCHECK asks.
"$WINDSCREEN" healthcheck --help >/dev/null
