#!/bin/bash
# The main job in one go: a real service under load, two seconds of its life, where the time went, and a flame graph of it. Run by
# make demo.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
python=${PYTHON:-/usr/bin/python3}
trace=$build/demo-trace
pids=()
# The customers first: they would complain of a closed shop.
cleanup() { for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill "${pids[i]}" 2>/dev/null && wait "${pids[i]}" 2>/dev/null; done || true; }
trap cleanup EXIT

exec {service}< <(exec "$python" examples/shop.py serve)
pids+=($!)
target=$!
read -r -t 20 -u "$service" port || { echo "demo: the service does not start" >&2; exit 1; }
"$python" examples/shop.py load "$port" 4 &
pids+=($!)
sleep 1
echo "A web shop ($("$python" -V), pid $target) serves 4 customers on port $port."
echo "\$ viztracer --attach $target -t 2 -o $trace.vzt"
rm -f "$trace".*
"$build/bin/viztracer" --attach "$target" -t 2 -o "$trace.vzt"
echo
echo "\$ viztracer report $trace.vzt --limit 12"
"$build/bin/viztracer" report "$trace.vzt" --limit 12
echo
for kind in json html svg; do
    echo "\$ viztracer convert $trace.vzt -o $trace.$kind"
    "$build/bin/viztracer" convert "$trace.vzt" -o "$trace.$kind"
done
kill -0 "$target" || { echo "demo: the shop is gone" >&2; exit 1; }
echo "The shop served its customers all the time; now it closes. Look at what is saved:"
echo "  $trace.html          the timeline, in any browser, from disk"
echo "  $trace.svg           the flame graph, in any browser"
echo "  $build/bin/vizviewer $trace.vzt          the timeline in the Perfetto UI"
