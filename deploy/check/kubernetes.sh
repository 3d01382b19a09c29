# shellcheck shell=bash disable=SC2154
# Every base, overlay and component renders, is what Kubernetes knows, and holds gateway files that are right.
need kubectl kubernetes-validate python3
rendered=$work/kubernetes
mkdir -p "$rendered"

# what NAME EXPRESSION: says whether the rendered documents are as they should be; `one(kind, name)` is one of them.
holds() {
    python3 - "$rendered/$1.yaml" "$2" <<'PYTHON' || { echo "$1: not so: $2" >&2; return 1; }
import sys, yaml
documents = {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(open(sys.argv[1]))}
one = lambda kind, name="windscreen": documents[kind, name]
pod = lambda: one("Deployment")["spec"]["template"]["spec"]
sys.exit(not eval(sys.argv[2]))
PYTHON
}

# render NAME DIR: renders, validates against Kubernetes' own schemas, checks the gateway file in it.
render() {
    kubectl kustomize "$2" >"$rendered/$1.yaml"
    # Of custom resources there is no schema.
    kubernetes-validate --strict --quiet "$rendered/$1.yaml" 2>&1 | grep -vE 'kind (Route|ServiceMonitor) ' || true
    kubernetes-validate --strict --quiet "$rendered/$1.yaml" >/dev/null 2>&1
    mkdir -p "$rendered/$1/keys"
    [ -n "$(ls "$rendered/$1/keys")" ] || "$WINDSCREEN" keygen --dir "$rendered/$1/keys" >/dev/null
    python3 - "$rendered/$1.yaml" "$rendered/$1" <<'PYTHON'
import sys, yaml
for document in yaml.safe_load_all(open(sys.argv[1])):
    if document["kind"] == "ConfigMap":
        for name, text in document["data"].items():
            text = text.replace("/run/secrets/windscreen-pass-keys", sys.argv[2] + "/keys").replace("/var/lib/windscreen", sys.argv[2])
            open(f"{sys.argv[2]}/{name}", "w").write(text)
PYTHON
    "$WINDSCREEN" check -c "$rendered/$1/gateway.yaml" >/dev/null || { "$WINDSCREEN" check -c "$rendered/$1/gateway.yaml"; return 1; }
}

# try_out NAME DIR: the same, and what all that run in a cluster have in common.
try_out() {
    render "$1" "$2"
    holds "$1" 'pod()["terminationGracePeriodSeconds"] > 3600'
    holds "$1" '{v["name"] for v in pod()["volumes"]} == {m["name"] for m in pod()["containers"][0]["volumeMounts"]}'
    holds "$1" 'all("runAsUser" not in p for p in (pod()["securityContext"], pod()["containers"][0]["securityContext"]))'
    holds "$1" 'pod()["containers"][0]["livenessProbe"]["httpGet"]["path"] == "/healthz"'
    # Only the public port is reached by the public.
    holds "$1" 'one("Service")["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]'
}

try_out base deploy/kubernetes/base
try_out openshift deploy/kubernetes/overlays/openshift
holds openshift 'one("Deployment")["spec"]["replicas"] == 1 and one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}'
holds openshift 'one("Route")["spec"]["tls"]["termination"] == "edge" and one("Route")["spec"]["port"]["targetPort"] == "http"'
holds openshift '[v for v in pod()["volumes"] if v["name"] == "state"] == [{"name": "state", "persistentVolumeClaim": {"claimName": "windscreen-state"}}]'
holds openshift 'not any("valkey" in name for _, name in documents)'
render podman deploy/kubernetes/overlays/podman
holds podman '{kind for kind, _ in documents} == {"ConfigMap", "Deployment"}'
for component in servicemonitor hpa report; do
    mkdir -p "$rendered/with-$component"
    cp -r deploy/kubernetes "$rendered/with-$component/kubernetes"
    cat >"$rendered/with-$component/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [kubernetes/base]
components: [kubernetes/components/$component]
YAML
    try_out "$component" "$rendered/with-$component"
done
holds hpa '"replicas" not in one("Deployment")["spec"]'
holds report 'one("CronJob", "windscreen-report")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] != "windscreen"'
echo "rendered: base, openshift, podman, and each component"
