#!/bin/sh
# run.sh [--pythons=PATTERN] [DRIVER...]: runs every driver of this folder (or those named) on every interpreter of $VT_PYTHONS (of these
# versions; lines as tests/setup/interpreters.sh prints them, which is the default). The agent is $VT_AGENT, else that of $BUILD. A driver in a chroot runs on copies there.
# Prints each failure and a count at the end; exit 1 if anything failed.
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
VT_LAYOUT=$(realpath "${BUILD:-build}")/tests # vtarena_layout.py
: "${VT_AGENT:=$(realpath "${BUILD:-build}")/lib/libviztracer_agent.so}"
: "${VT_PYTHONS:=$(tests/setup/interpreters.sh)}"
case ${1:-} in
    --pythons=*)
        VT_PYTHONS=$(printf '%s\n' "$VT_PYTHONS" | grep -E "^(${1#*=})")
        [ -n "$VT_PYTHONS" ] || { echo "SKIP agent: no interpreter here is ${1#*=}"; exit 77; }
        shift
        ;;
esac
cd "$here" || exit 1
export VT_AGENT VT_LAYOUT
pass=0 fail=0
drivers=${*:-$(ls test_*.py)}
log=$(mktemp)
copies=
trap 'rm -rf "$log" $copies' EXIT

# run DRIVER: on $where
run() {
    case $where in
        chroot:*)
            root=${where#chroot:} inside=${root#*:} root=${root%%:*}
            copy=$root/tmp/viztracer-agent-test-$$
            if [ ! -d "$copy" ]; then
                copies="$copies $copy"
                mkdir -p "$copy" && cp ./*.py "$VT_LAYOUT/vtarena_layout.py" "$VT_AGENT" "$copy/" || return 1
            fi
            VT_AGENT=/tmp/viztracer-agent-test-$$/$(basename "$VT_AGENT") VT_LAYOUT=/tmp/viztracer-agent-test-$$ PYTHONDONTWRITEBYTECODE=1 \
                timeout 240 unshare -m sh -c 'mount -t proc proc "$1/proc" && exec chroot "$1" "$2" -u "$3"' sh "$root" "$inside" "/tmp/viztracer-agent-test-$$/$1"
            ;;
        *) PYTHONDONTWRITEBYTECODE=1 timeout 240 "$where" -u "$1" ;;
    esac
}

while read -r version where; do
    [ -n "$where" ] || continue
    for driver in $drivers; do
        run "$driver" >"$log" 2>&1 </dev/null
        rc=$?
        case $rc,$(tail -n 1 "$log") in
            0,ok*) pass=$((pass + 1)) ;;
            0,skip*) echo "not for $version: $driver: $(tail -n 1 "$log")" ;;
            *) fail=$((fail + 1)); echo "FAIL $version $driver (exit $rc)"; tail -n 15 "$log" | sed 's/^/    /' ;;
        esac
    done
done <<LIST
$VT_PYTHONS
LIST
echo "agent: $pass passed, $fail failed"
[ "$fail" = 0 ]
