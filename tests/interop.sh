#!/usr/bin/env bash
# Real peers: scrapes Debian's prometheus-node-exporter, adding it by SIGHUP and by HTTP.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v prometheus-node-exporter >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        prometheus-node-exporter >/dev/null
fi
cargo build --locked --quiet
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
ferula=127.0.0.1:$(port)
node=127.0.0.1:$(port)
passed=0
failed=0

prometheus-node-exporter --web.listen-address="$node" >"$work/node.log" 2>&1 &

config() { # config JOBS...: self, and the node exporter under each name given
    printf 'global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n'
    printf -- '- job_name: prometheus\n  static_configs: [{targets: ["%s"]}]\n' "$ferula"
    local job
    for job in "$@"; do
        printf -- '- job_name: %s\n  static_configs: [{targets: ["%s"]}]\n' "$job" "$node"
    done
}

# value EXPR: the first value of an instant query, or nothing
value() {
    curl -sf "http://$ferula/api/v1/query" --data-urlencode "query=$1" |
        python3 -c 'import json, sys; r = json.load(sys.stdin)["data"]["result"]; print(r[0]["value"][1] if r else "")'
}

# expect NAME EXPR PYTHON: polls until PYTHON holds of the value v
expect() {
    local got=""
    for _ in $(seq 300); do
        got=$(value "$2" 2>/dev/null || true)
        if [ -n "$got" ] && python3 -c "import sys; v = float(sys.argv[1]); sys.exit(not ($3))" "$got"; then
            echo "ok: $1 ($2 = $got)"
            passed=$((passed + 1))
            return
        fi
        sleep 0.1
    done
    echo "FAILED: $1: $2 is '$got', expected $3"
    failed=$((failed + 1))
}

config >"$work/prometheus.yml"
target/debug/ferula --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --web.listen-address="$ferula" --web.enable-lifecycle >"$work/ferula.log" 2>&1 &
pid=$!
expect "scrapes itself" 'up{job="prometheus"}' 'v == 1'
expect "its own exposition is read" 'prometheus_ready' 'v == 1'

config node >"$work/prometheus.yml"
kill -HUP "$pid"
expect "node_exporter, added by SIGHUP" 'up{job="node"}' 'v == 1'
expect "hundreds of series" 'scrape_samples_scraped{job="node"}' 'v > 200'
expect "uname" 'node_uname_info{sysname="Linux"}' 'v == 1'
expect "processors" 'node_cpu_seconds_total{cpu="0",mode="idle"}' 'v > 0'
expect "memory" 'node_memory_MemTotal_bytes' 'v > 1e6'
expect "its build" '{__name__="node_exporter_build_info"}' 'v == 1'

config node again >"$work/prometheus.yml"
curl -sf -X POST "http://$ferula/-/reload"
expect "node_exporter once more, added by HTTP" 'up{job="again"}' 'v == 1'
expect "with its series" 'node_time_seconds{job="again"}' 'v > 1.6e9'

# What node_exporter exposes is what was stored: names compared, one by one.
names=$(curl -sf "http://$node/metrics" | grep -o '^node_memory_[A-Za-z_0-9]*_bytes ' | cut -d' ' -f1 | sort | sed -n 1,50p)
for name in $names; do
    [ -n "$(value "$name{job=\"node\"}")" ] || { echo "FAILED: $name is not stored"; failed=$((failed + 1)); }
done
passed=$((passed + 1))

kill -TERM "$pid"
wait "$pid" && passed=$((passed + 1)) || { echo "FAILED: exit code $?"; failed=$((failed + 1)); }
[ "$failed" -eq 0 ] || cat "$work/ferula.log"
tests/interop_blocks.sh || failed=$((failed + 1))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
