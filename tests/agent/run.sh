#!/bin/sh
# Runs every driver of this folder (or those named) on every interpreter of $VT_PYTHONS (colon separated;
# default: what is on PATH, in ~/.pyenv and in /usr/bin). The agent is $VT_AGENT or build/lib's. Prints one line
# per driver and interpreter and a count at the end; exit 1 if anything failed.
cd "$(dirname "$0")" || exit 1
: "${VT_AGENT:=$PWD/../../build/lib/libviztracer_agent.so}"
export VT_AGENT
if [ -z "$VT_PYTHONS" ]; then
    for v in 3.8 3.9 3.10 3.11 3.12 3.13 3.14 3.15; do
        for p in /usr/bin/python$v "$HOME"/.pyenv/versions/$v.*/bin/python$v; do
            [ -x "$p" ] && VT_PYTHONS="$VT_PYTHONS:$p"
        done
    done
fi
pass=0 fail=0
drivers=${*:-$(ls test_*.py)}
log=$(mktemp)
IFS=:
for python in $VT_PYTHONS; do
    [ -n "$python" ] || continue
    IFS='
 '
    for driver in $drivers; do
        PYTHONDONTWRITEBYTECODE=1 timeout 120 "$python" -u "$driver" >"$log" 2>&1
        rc=$?
        case $rc,$(tail -n 1 "$log") in
            0,ok*) pass=$((pass + 1)) ;;
            0,skip*) echo "skip $python $driver: $(tail -n 1 "$log")" ;;
            *) fail=$((fail + 1)); echo "FAIL $python $driver (exit $rc)"; tail -n 15 "$log" | sed 's/^/    /' ;;
        esac
    done
    IFS=:
done
rm -f "$log"
echo "agent: $pass passed, $fail failed"
[ "$fail" = 0 ]
