# shellcheck shell=bash disable=SC2154,SC2016
# Behind the real nginx, HAProxy and Caddy a client is known by its own address, whatever it says.
need nginx haproxy caddy python3 curl
behind=$work/behind
mkdir -p "$behind/bucket" "$behind/logs"
echo hello >"$behind/bucket/log"
sed -e 's|https://my-logs.s3.us-east-1.amazonaws.com/|http://127.0.0.1:18320/|' -e 's|:8080|:18321|; s|:9090|:18322|' \
    deploy/behind/gateway.yaml >"$behind/gateway.yaml"
run python3 -m http.server --bind 127.0.0.1 --directory "$behind/bucket" 18320
"$WINDSCREEN" serve -c "$behind/gateway.yaml" >"$behind/access.log" 2>>"$work/background.log" &
started+=($!)
until_true 20 curl -fsS http://127.0.0.1:18322/readyz

{
    echo "daemon off; pid $behind/nginx.pid; error_log $behind/nginx.log; events {}"
    echo "http { access_log off; client_body_temp_path $behind/a; proxy_temp_path $behind/b; fastcgi_temp_path $behind/c;"
    echo "uwsgi_temp_path $behind/d; scgi_temp_path $behind/e;"
    sed 's|listen 80;|listen 127.0.0.1:18323;|; s|:8080|:18321|' deploy/behind/nginx.conf
    echo "}"
} >"$behind/nginx.conf"
nginx -t -q -c "$behind/nginx.conf" -e "$behind/nginx.log"
run nginx -c "$behind/nginx.conf" -e "$behind/nginx.log"
sed 's|bind :80$|bind 127.0.0.1:18324|; s|:8080|:18321|; s|port 9090|port 18322|' deploy/behind/haproxy.cfg >"$behind/haproxy.cfg"
haproxy -c -q -f "$behind/haproxy.cfg"
run haproxy -db -f "$behind/haproxy.cfg"
sed 's|http://logs.example.org|http://logs.example.org:18325|; s|:8080|:18321|' deploy/behind/Caddyfile | sed '1i { \n admin off \n}' >"$behind/Caddyfile"
export XDG_DATA_HOME=$behind/caddy XDG_CONFIG_HOME=$behind/caddy
caddy validate --adapter caddyfile --config "$behind/Caddyfile" >"$behind/caddy.log" 2>&1 || { cat "$behind/caddy.log"; exit 1; }
run caddy run --adapter caddyfile --config "$behind/Caddyfile"
for port in 18323 18324 18325; do
    # Another address of this machine is another client; 192.0.2.66 is what it says to be.
    ask() {
        curl -fsS --interface "127.0.0.$((port - 18300))" -H "Host: logs.example.org" -H 'X-Forwarded-For: 192.0.2.66' \
            -H 'X-Forwarded-Proto: https' "http://127.0.0.1:$port/log"
    }
    until_true 15 ask || { cat "$behind"/*.log "$work/background.log"; exit 1; }
    logged() { grep -q "\"client\":\"127.0.0.$((port - 18300))\"" "$behind/access.log"; }
    until_true 5 logged || { tail -n 3 "$behind/access.log"; exit 1; }
done
if grep '"client":"192.0.2.66"' "$behind/access.log"; then exit 1; fi
"$WINDSCREEN" check -c deploy/behind/gateway.yaml >/dev/null
# What stands in the texts is a listener, too.
for text in openshift cdn; do
    {
        sed -n '/^```yaml/,/^```/{/^```/d;p}' "deploy/behind/$text.md"
        sed '/^listeners:/,/trusted_proxies/d' deploy/behind/gateway.yaml
    } >"$behind/$text.yaml"
    "$WINDSCREEN" check -c "$behind/$text.yaml" >/dev/null || { "$WINDSCREEN" check -c "$behind/$text.yaml"; exit 1; }
done
unset XDG_DATA_HOME XDG_CONFIG_HOME
