#!/usr/bin/env bash
# Prometheus's blocks: what Debian's prometheus leaves is read as promtool reads it and as its API
# gave it, and what we write is read by promtool. What is imported our daemon answers, and what our
# daemon has scraped promtool reads after an export. PROMTOOLS may name more promtools, PROMETHEI
# more servers.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v prometheus >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null
fi
cargo build --locked --quiet
ferula=$PWD/target/debug/ferula
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
failed=0

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

same() { # same NAME FILE FILE: equal but for the order of lines, and not empty
    if [ -s "$2" ] && cmp -s <(sort "$2") <(sort "$3"); then
        echo "ok: $1 ($(wc -l <"$2") lines)"
    else
        echo "FAILED: $1"
        failed=$((failed + 1))
    fi
}

cat >"$work/page.py" <<'PYTHON'
import http.server, random, sys
scrapes = 0
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global scrapes
        scrapes += 1
        lines = ['# TYPE c_total counter', 'c_total{a="x\\"y",z="\u00e9"} %d' % (scrapes * 7)]
        lines += ['g{i="%d"} %r' % (i, random.random() * 10 ** random.randint(-5, 9))
                  for i in range(40) if (scrapes // 10 + i) % 7]
        lines += ["inf +Inf", "minus -Inf", "nan NaN", "zero 0", "big %d" % (10 ** 18 + scrapes)]
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
PYTHON
# Every sample that the API gave is in the dump, bit by bit but for the kind of a NaN.
cat >"$work/in_dump.py" <<'PYTHON'
import json, re, struct, sys
def bits(text):
    v = float(text)
    return "nan" if v != v else struct.pack(">d", v)
dump = set()
for line in open(sys.argv[2], encoding="utf-8"):
    labels, value, t = re.match(r"(\{.*\}) (\S+) (-?\d+)$", line).groups()
    pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)
    dump.add((tuple(pairs), bits(value), int(t)))
quote = lambda text: text.replace("\\", "\\\\").replace('"', '\\"')
result = json.load(open(sys.argv[1]))["data"]["result"]
wanted = [(tuple((n, quote(v)) for n, v in sorted(series["metric"].items())), bits(v), round(float(t) * 1000))
          for series in result for t, v in series["values"]]
missing = [sample for sample in wanted if sample not in dump]
print(len(wanted), "samples of the API,", len(missing), "missing")
sys.exit(bool(missing) or not wanted)
PYTHON

same_count() { # same_count NAME WANTED GOT
    if [ "$2" -gt 0 ] && [ "$2" = "$3" ]; then
        echo "ok: $1 ($2)"
    else
        echo "FAILED: $1: $2 and $3"
        failed=$((failed + 1))
    fi
}

in_dump() { # in_dump NAME DUMP: every sample of the API's answer is in the dump, and no other but NaNs
    if python3 "$work/in_dump.py" "$work/api.json" "$2"; then
        echo "ok: $1"
    else
        echo "FAILED: $1"
        failed=$((failed + 1))
    fi
    # A dump tells a NaN and a stale marker by the same text, and no answer of the API has a marker.
    same_count "$1: number of samples" "$(grep -vc ' NaN [0-9]*$' "$2")" "$(python3 -c '
import json, sys
result = json.load(sys.stdin)["data"]["result"]
print(sum(v != "NaN" for series in result for _, v in series["values"]))' <"$work/api.json")"
}

serve() { # serve DATA CONFIG: our daemon; sets pid and web
    web=127.0.0.1:$(port)
    "$ferula" --config.file="$2" --storage.tsdb.path="$1" --web.listen-address="$web" \
        2>"$work/ferula.log" &
    pid=$!
    for _ in $(seq 100); do
        curl -sf "http://$web/-/ready" >/dev/null && return
        sleep 0.1
    done
    cat "$work/ferula.log"
    exit 1
}

ask() { curl -sf "http://$web/api/v1/query" --data-urlencode 'query={__name__!=""}[1h]' >"$work/api.json"; }

stop_server() {
    kill -TERM "$pid"
    wait "$pid" || true
}

page=$(port)
python3 "$work/page.py" "$page" 2>/dev/null &
cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 100ms, scrape_timeout: 100ms}
scrape_configs: [{job_name: page, static_configs: [{targets: ["127.0.0.1:$page"]}]}]
YAML
echo "global: {}" >"$work/idle.yml"

for server in prometheus ${PROMETHEI:-}; do
    data=$work/data
    rm -rf "$data"
    web=127.0.0.1:$(port)
    "$server" --config.file="$work/prometheus.yml" --storage.tsdb.path="$data" \
        --web.listen-address="$web" --web.enable-admin-api >"$work/server.log" 2>&1 &
    pid=$!
    sleep 20
    curl -sf "http://$web/api/v1/query" --data-urlencode 'query={__name__!=""}[1h]' >"$work/api.json"
    curl -sf -X POST "http://$web/api/v1/admin/tsdb/snapshot" >/dev/null
    kill -TERM "$pid"
    wait "$pid" || true
    snapshot=$(echo "$data"/snapshots/*)
    mkdir "$snapshot/wal"
    "$ferula" tsdb dump "$snapshot" >"$work/ours"
    if python3 "$work/in_dump.py" "$work/api.json" "$work/ours"; then
        echo "ok: $server: the API's samples are in the snapshot"
    else
        echo "FAILED: $server: the API's samples are not all in the snapshot"
        failed=$((failed + 1))
    fi
    for promtool in promtool ${PROMTOOLS:-}; do
        "$promtool" tsdb dump "$snapshot" >"$work/theirs"
        same "$server, $promtool: a snapshot" "$work/theirs" "$work/ours"
        "$ferula" tsdb dump "$data" >"$work/stopped"
        cp -r "$data" "$work/copy"
        "$promtool" tsdb dump "$work/copy" >"$work/theirs"
        rm -rf "$work/copy"
        same "$server, $promtool: log and head chunks after SIGTERM" "$work/theirs" "$work/stopped"
        "$promtool" tsdb list "$snapshot" >"$work/theirs"
        "$ferula" tsdb list "$snapshot" >"$work/list"
        same "$server, $promtool: list" "$work/theirs" "$work/list"
        # Which of those with equal numbers come first is chance there: the numbers are compared.
        # One line differs between releases.
        "$promtool" tsdb analyze "$snapshot" | grep -o "^[0-9]* \|^[^0-9].*" | grep -v Series: >"$work/theirs"
        "$ferula" tsdb analyze "$snapshot" | grep -o "^[0-9]* \|^[^0-9].*" | grep -v Series: >"$work/analyzed"
        same "$server, $promtool: analyze" "$work/theirs" "$work/analyzed"
    done
    # What is read is written again, which promtool reads as it read the original.
    rm -rf "$work/made"
    mkdir -p "$work/made/wal"
    "$ferula" tsdb dump-openmetrics "$snapshot" >"$work/text"
    "$ferula" tsdb create-blocks-from openmetrics "$work/text" "$work/made" >/dev/null
    for promtool in promtool ${PROMTOOLS:-}; do
        "$promtool" tsdb dump "$work/made" >"$work/theirs"
        same "$server, $promtool: what we wrote" "$work/ours" "$work/theirs"
        "$promtool" tsdb analyze --extended "$work/made" >/dev/null
        "$promtool" tsdb list "$work/made" >"$work/theirs"
        "$ferula" tsdb list "$work/made" >"$work/list"
        same "$server, $promtool: list of what we wrote" "$work/theirs" "$work/list"
    done
    # Imported, our daemon answers it.
    for source in "$snapshot" "$data"; do
        what="$server, import of $(basename "$source")"
        rm -rf "$work/imported"
        "$ferula" tsdb import "$source" "$work/imported"
        "$ferula" tsdb import "$source" "$work/imported" >"$work/again"
        same_count "$what: again nothing" 1 "$(grep -c '^imported 0 samples' "$work/again")"
        "$ferula" tsdb dump "$source" >"$work/theirs"
        "$ferula" tsdb dump "$work/imported" >"$work/ours"
        same "$what: dump" "$work/theirs" "$work/ours"
        "$ferula" tsdb dump-openmetrics "$source" >"$work/theirs"
        "$ferula" tsdb dump-openmetrics "$work/imported" >"$work/text"
        same "$what: dump-openmetrics" "$work/theirs" "$work/text"
        same_count "$what: samples of list" "$(wc -l <"$work/ours")" \
            "$("$ferula" tsdb list "$work/imported" | awk 'NR > 1 { n += $5 } END { print n }')"
        "$ferula" tsdb analyze --extended "$work/imported" >/dev/null
        serve "$work/imported" "$work/idle.yml"
        ask
        if "$ferula" tsdb dump "$work/imported" 2>"$work/refused"; then
            echo "FAILED: $what: a dump beside the daemon"
            failed=$((failed + 1))
        fi
        grep -q "in use by another process" "$work/refused"
        stop_server
        in_dump "$what: the daemon answers" "$work/ours"
    done
done

# What our daemon scraped, exported.
rm -rf "$work/own" "$work/out"
serve "$work/own" "$work/prometheus.yml"
sleep 10
ask
stop_server
"$ferula" tsdb dump "$work/own" >"$work/ours"
if python3 "$work/in_dump.py" "$work/api.json" "$work/ours"; then
    echo "ok: ferula: the API's samples are in the dump"
else
    echo "FAILED: ferula: the API's samples are not all in the dump"
    failed=$((failed + 1))
fi
mkdir -p "$work/out/wal"
"$ferula" tsdb export "$work/own" "$work/out"
for promtool in promtool ${PROMTOOLS:-}; do
    "$promtool" tsdb dump "$work/out" >"$work/theirs"
    same "ferula, $promtool: export" "$work/ours" "$work/theirs"
    "$promtool" tsdb list "$work/out" >"$work/theirs"
    "$ferula" tsdb list "$work/out" >"$work/list"
    same "ferula, $promtool: list of the export" "$work/theirs" "$work/list"
    "$promtool" tsdb analyze --extended "$work/out" >/dev/null
done
[ "$failed" -eq 0 ]
