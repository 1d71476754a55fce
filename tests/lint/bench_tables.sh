#!/bin/bash
# tests/bench/tables.py writes the measurements between the marks of the given page and changes nothing else.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0
fail() { echo "tests/bench/tables.py: $1"; bad=1; }

cp docs/benchmarks.md "$dir/page.md"
python3 tests/bench/tables.py - - "$dir/page.md" || fail "fails when there is nothing to do"
cmp -s docs/benchmarks.md "$dir/page.md" || fail "changes docs/benchmarks.md although nothing was measured"

echo '{"python": "3.12.1", "workload": "fib", "mode": "ours", "rounds": 4, "over_bare_ns_per_event": 98765.4, "x_bare": 4321.5}' >"$dir/cost.jsonl"
echo '{"python": "3.12.1", "workload": "oo", "limit_percent": 5, "cpu_median": 77.77, "wall_median": 88.88}' >"$dir/limit.jsonl"
python3 tests/bench/tables.py "$dir/cost.jsonl" "$dir/limit.jsonl" "$dir/page.md" || fail "fails on made-up figures"
grep -qF '| 3.12.1 | – / – / 98765.4 / – |' "$dir/page.md" || fail "a cost is not in its cell"
grep -qF '| 4321.50 |' "$dir/page.md" || fail "a multiple of the bare run is not in its cell"
grep -qF '| 3.12.1 | – | 77.77 / 88.88 |' "$dir/page.md" || fail "a figure under a limit is not in its cell"
inside() { sed -n '/^<!-- bench -->$/,/^<!-- \/bench -->$/p; /^<!-- limit -->$/,/^<!-- \/limit -->$/p' "$1"; }
[ "$(inside "$dir/page.md" | grep -c '^| 3')" = 4 ] || fail "old figures stay"
outside() { sed '/^<!-- bench -->$/,/^<!-- \/bench -->$/d; /^<!-- limit -->$/,/^<!-- \/limit -->$/d' "$1"; }
[ "$(outside docs/benchmarks.md)" = "$(outside "$dir/page.md")" ] || fail "text outside of the marks has changed"
exit $bad
