#!/bin/bash
# All benchmarks on every interpreter of this machine: the pause of an attach, the cost per event (arguments: overhead.c's own),
# what a limit on the overhead makes of it, how long it takes until a trace of 100 M calls is on screen, and draining.
# What is printed goes to $BUILD/bench/*.txt, figures to $BUILD/bench/*.jsonl. BENCH_PYTHONS=3.12 takes these versions only;
# BENCH_ONLY=pause, cost, limit, events, launch, drain or screen takes one of them; DRAIN_SECONDS (60) is how long each target of drain is traced.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
case ${VT_CONSTANT_CLOCK:-} in "" | /*) ;; *) VT_CONSTANT_CLOCK=$PWD/$VT_CONSTANT_CLOCK ;; esac
export VT_CONSTANT_CLOCK
VT_PYTHONS=$(tests/setup/interpreters.sh | grep -E "^${BENCH_PYTHONS:-3}")
export VT_PYTHONS
mkdir -p "$build/bench"
nproc=$(nproc)
echo "$(uname -m), $nproc cores, Linux $(uname -r | cut -d. -f1-2), load $(cut -d' ' -f1 /proc/loadavg)"
if [ "${BENCH_ONLY:-pause}" = pause ]; then
    echo "== pause of an attach"
    "$build/tests/bench/attach_pause" "${ROUNDS:-20}" | tee "$build/bench/pause.txt"
fi
if [ "${BENCH_ONLY:-cost}" = cost ]; then
    echo "== cost per event"
    "$build/tests/bench/overhead" -j "$build/bench/overhead.jsonl" "$@" | tee "$build/bench/overhead.txt"
fi
if [ "${BENCH_ONLY:-limit}" = limit ]; then
    echo "== --max_overhead"
    python3 tests/bench/limit.py "$build/bin" "$build/bench/limit.jsonl" | tee "$build/bench/limit.txt"
fi
if [ "${BENCH_ONLY:-screen}" = screen ]; then
    echo "== 100 M calls on screen"
    python3 tests/bench/screen.py "$build" | tee "$build/bench/screen.txt"
fi
if [ "${BENCH_ONLY:-events}" = events ]; then
    echo "== a program's own events"
    printf '%s\n' "$VT_PYTHONS" | while read -r version python; do
        case $python in chroot:* | "") continue ;; esac
        beside=${VIZTRACER_PY:-}/${version%.*}
        [ -d "$beside/viztracer" ] || beside=
        echo "$version"
        PYTHONPATH=$build/python "$python" tests/bench/events.py $beside
    done | tee "$build/bench/events.txt"
fi
if [ "${BENCH_ONLY:-launch}" = launch ]; then
    echo "== starting a program under trace"
    rm -f "$build/bench/launch.jsonl"
    printf '%s\n' "$VT_PYTHONS" | while read -r version python; do
        case $python in chroot:* | "") continue ;; esac
        python3 tests/bench/launch.py "$python" "$build/bin" "$build/bench/launch.jsonl" "${ROUNDS:-15}"
    done | tee "$build/bench/launch.txt"
fi
if [ "${BENCH_ONLY:-drain}" = drain ]; then
    echo "== draining at full speed"
    "$build/tests/bench/drain" "${DRAIN_SECONDS:-60}" | tee "$build/bench/drain.txt"
fi
