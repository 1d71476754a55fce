#!/bin/bash
# One test program, or one case of it: check.sh PROGRAM[:CASE]. Run by `make check T=PROGRAM[:CASE]`, which sets BUILD and MAKE. Builds
# what the program needs. PROGRAM is a file of tests/unit, integration, faults or agent (test_options) without its suffix; CASE is the name
# of a Check case or of a test function. For an unknown name it prints similar names: one line, exit 2.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
program=${1%%:*} case=
[ "$1" = "$program" ] || case=${1#*:}

fail() { echo "check: $1" >&2; exit 2; }
make_here() { ${MAKE:-make} --no-print-directory -j"$(nproc)" "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }; }

# near NAME: prints the names on stdin that are similar to it or contain it, on one line
near() {
    python3 -c '
import difflib, sys
name, names = sys.argv[1], sys.stdin.read().split()
found = difflib.get_close_matches(name, names, 6, 0.5)
found += [n for n in names if len(name) > 1 and name in n and n not in found][:6]
print(", ".join(found) or ", ".join(names[:8]) + ", ...")' "$1"
}

programs() { ls tests/unit/*.c tests/integration/*.c tests/faults/*.c tests/agent/test_*.py | sed 's#.*/##; s#\.[a-z]*$##'; }

[ -n "$program" ] || fail "which program? T=PROGRAM or T=PROGRAM:CASE, such as T=states:forking"
file=$(compgen -G "tests/unit/$program.c" || compgen -G "tests/integration/$program.c" || compgen -G "tests/faults/$program.c" ||
    compgen -G "tests/agent/$program.py") || fail "no test program is called $program; near: $(programs | near "$program")"
folder=$(basename "$(dirname "$file")")
mkdir -p "$build"
log=$build/check.log
with=
case $folder in
agent)
    [ -z "$case" ] || fail "$program is a driver of the agent, which has no cases: T=$program"
    make_here all
    ;;
faults) make_here FAULTS=1 BUILD="${build%-faults}-faults" all "${build%-faults}-faults/tests/faults/$program" ;;
*) make_here all "$build/tests/$folder/$program" ;;
esac
case $folder in
agent) run="tests/agent/run.sh $program.py" with=tests/with-pythons.sh ;;
faults) run=${build%-faults}-faults/tests/faults/$program with=tests/with-pythons.sh ;;
integration) run=$build/tests/integration/$program with=tests/with-pythons.sh ;;
*) run=$build/tests/unit/$program ;;
esac
if [ -n "$case" ]; then
    # a name that does not exist makes the program list all names
    names=$(VT_CASE='?' $with $run 2>/dev/null | sed -n 's/^case: //p')
    if ! grep -qxF -- "$case" <<<"$names"; then
        grep -qxF -- "test_$case" <<<"$names" || fail "$program has no case $case; near: $(near "$case" <<<"$names")"
        case=test_$case
    fi
    export VT_CASE=$case
fi
export VT_LOGS=${VT_LOGS:-$build/test-logs-check} BUILD=$build
$with tests/run.sh "$run"
