#!/bin/bash
# Runs test programs and sums up: run.sh PROGRAM... Each is a Check suite (or any program: exit 0 passed, 77 skipped). Two at a time
# (VT_JOBS), each bounded in time (VT_SUITE_SECONDS); programs named in VT_ALONE run by themselves at the end. Their output goes to
# $VT_LOGS/NAME.log. The last line is "N passed, N failed, N skipped". The lines above it name each skip and failure with its cause.
set -u
jobs=${VT_JOBS:-2}
limit=${VT_SUITE_SECONDS:-900}
logs=${VT_LOGS:-${BUILD:-build}/test-logs}
alone=" ${VT_ALONE:-} "
mkdir -p "$logs"
rm -f "$logs"/*.log "$logs"/*.result
VT_SPOOL=$(mktemp -d) # for the traces of clients that tests kill
export VT_SPOOL
# A guard against hangs, not a measurement: a loaded machine may stand still for seconds. Check alone would give each test 4 s.
export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-60}"
trap 'rm -rf "$VT_SPOOL"' EXIT

run_one() {
    local program=$1 name began rc
    name=$(echo "$program" | sed 's#^.*build\([^/ ]*\)/tests/#tests\1/#; s#^[./]*##; s#^tests/##; s#^tests-##; s#[/ |]#-#g')
    began=$(date +%s)
    timeout -k 10 "$limit" $program >"$logs/$name.log" 2>&1 </dev/null
    rc=$?
    local line checks failures errors skipped passed failed
    line=$(grep -aE '^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$' "$logs/$name.log" | tail -n 1)
    skipped=$(grep -acE '^SKIP ' "$logs/$name.log")
    if [ -n "$line" ]; then
        checks=$(echo "$line" | sed 's/.*Checks: \([0-9]*\).*/\1/')
        failures=$(echo "$line" | sed 's/.*Failures: \([0-9]*\).*/\1/')
        errors=$(echo "$line" | sed 's/.*Errors: \([0-9]*\).*/\1/')
        failed=$((failures + errors))
        passed=$((checks - failed - skipped))
        [ $rc != 0 ] && [ $failed = 0 ] && failed=1
    elif [ $rc = 77 ]; then passed=0 failed=0; [ "$skipped" = 0 ] && { skipped=1; echo "SKIP $name: it says so (exit 77)" >>"$logs/$name.log"; }
    elif [ $rc = 0 ]; then passed=1 failed=0
    else passed=0 failed=1; fi
    echo "$passed $failed $skipped $rc" >"$logs/$name.result"
    local note=
    [ $rc = 124 ] && note=" (stopped after $limit s)"
    [ $failed != 0 ] && note=" FAILED$note"
    printf '%-44s %4d passed %3d failed %3d skipped %5d s%s\n' "$name" "$passed" "$failed" "$skipped" $(($(date +%s) - began)) "$note"
}

last=()
for program in "$@"; do
    case $alone in *" $(basename "${program%% *}") "*) last+=("$program"); continue ;; esac
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n 2>/dev/null; done
    run_one "$program" &
done
wait
for program in "${last[@]+"${last[@]}"}"; do run_one "$program"; done

passed=0 failed=0 skipped=0
for result in "$logs"/*.result; do
    [ -e "$result" ] || continue
    read -r p f s _ <"$result"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo
while read -r line; do
    echo "skipped: interpreter $line"
    skipped=$((skipped + 1))
done < <([ -n "${VT_SKIPPED_PYTHONS:-}" ] && printf '%s\n' "$VT_SKIPPED_PYTHONS")
grep -ahE '^SKIP ' "$logs"/*.log 2>/dev/null | sed 's/^SKIP /skipped: /' | sort -u
summary=
for result in "$logs"/*.result; do
    [ -e "$result" ] || continue
    read -r p f s rc <"$result"
    [ "$f" = 0 ] && continue
    log=${result%.result}.log
    name=$(basename "$log" .log)
    echo "failed: $name (exit $rc, $log)"
    cause=$(grep -aE ':[FE]:' "$log") || cause=
    if [ -n "$cause" ]; then
        cut -c1-600 <<<"$cause" | head -n 60
    else
        tail -n 15 "$log"
        cause=$(grep -aE 'SUMMARY|rror:' "$log" | tail -n 1)
        cause=${cause:-exit $rc}
    fi
    summary+=$(cut -c1-240 <<<"$cause" | head -n 8 | sed "s#^#failed: $name: #")$'\n'
done
# Again in short, so that the end of the output names every failure.
[ -n "$summary" ] && printf '\n%s' "$summary"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
