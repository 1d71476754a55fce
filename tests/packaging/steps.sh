#!/bin/sh
# Installs a wheel and uses it, with an empty environment: steps.sh PYTHON OTHER WHEEL FOLDER STEP... Also runs inside a root of
# another Debian, so it needs no more than a shell, coreutils and Python. PYTHON is what the wheel is installed for, OTHER the interpreter
# of the process that is attached to, FOLDER an empty one. Says what failed, and ends with 1; "SKIP ..." lines name what was not possible.
set -u
[ -n "${STEPS_ENV:-}" ] || exec env -i STEPS_ENV=1 PATH=/usr/bin:/bin HOME="$4" LANG=C.UTF-8 PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore PIP_BREAK_SYSTEM_PACKAGES=1 VIZTRACERD_SOCKET=none VIZTRACER_UI_DIR=none /bin/sh "$0" "$@"
python=$1 other=$2 wheel=$3 folder=$4 here=$(dirname "$0")
shift 4
target=
what="$("$python" -c 'import platform; print(platform.python_version())')"
trap '[ -z "$target" ] || kill "$target" 2>/dev/null' EXIT

fail() { echo "failed: $what, $step: $1"; [ ! -s log ] || cat log; exit 1; }
skip() { echo "SKIP wheel $step on Python $what: $1"; }
have_pip() { "$python" -c 'import pip, ensurepip' 2>/dev/null; }

# ends_in SECONDS COMMAND...: bounded. Its output is in log.
ends_in() { timeout -k 5 "$@" >log 2>&1 </dev/null || fail "'$*' ends with $?"; }

# traced BIN PYTHON-OR-EMPTY: a launch, its report, and an attach, with the programs in BIN
traced() {
    ends_in 60 "$1/viztracer" ${2:+--python "$2"} -o launched.vzt -c 'import sys; print(sys.prefix); print(sum(map(abs, range(9))))'
    prefix=$(head -n 1 log)
    ends_in 60 "$1/viztracer" report launched.vzt
    grep -q 'builtins.sum' log || fail "the trace of a launch has no call of sum"
    rm -f ready
    "$other" -c 'import time
open("ready", "w").close()
while True:
    time.sleep(0.01)' &
    target=$!
    n=0
    while [ ! -e ready ]; do n=$((n + 1)); [ $n -lt 600 ] || fail "the process to attach to does not start"; sleep 0.1; done
    ends_in 60 "$1/viztracer" --attach $target -t 0.3 -o attached.vzt
    kill $target
    wait $target 2>/dev/null
    target=
    ends_in 60 "$1/viztracer" report attached.vzt
    grep -q 'time.sleep' log || fail "the trace of an attach has no call of sleep"
}

install_venv() {
    if have_pip; then
        ends_in 120 "$python" -m venv env
        ends_in 120 env/bin/python -m pip install "$wheel"
    else
        ends_in 120 "$python" -m venv --without-pip env
        ends_in 60 env/bin/python "$here/unpack.py" "$wheel"
    fi
    ends_in 30 env/bin/viztracer --version
    ends_in 30 env/bin/viztracerd --version
}

use_venv() {
    traced env/bin ""
    [ "$prefix" = "$(env/bin/python -c 'import sys; print(sys.prefix)')" ] || fail "a launch ran with $prefix"
}

# the package: the version and the place are the installed ones
imported() {
    ends_in 60 env/bin/python -W error -c 'import os, sys, viztracer
assert os.path.dirname(viztracer.__file__).startswith(os.path.realpath(sys.prefix)), viztracer.__file__
print(viztracer.__version__)'
    grep -q "^$(env/bin/viztracer --version | sed -n '1s/^[a-z]* //p')\$" log || fail "the package has another version than the programs"
}

# the package records, and saves by the programs
api() {
    ends_in 60 env/bin/python -c 'import viztracer
with viztracer.VizTracer(output_file="api.json", verbose=0):
    print(sum(map(abs, range(9))))'
    ends_in 60 env/bin/viztracer report api.json
    grep -q 'builtins.sum' log || fail "the trace of the package has no call of sum"
}

# VizTracer's own distribution in the same environment: the programs and the import say so
beside() {
    ends_in 60 env/bin/python -c 'import os, viztracer
os.mkdir(os.path.join(os.path.dirname(os.path.dirname(viztracer.__file__)), "viztracer-9.8.7.dist-info"))'
    for program in viztracer viztracerd vizviewer; do
        ends_in 60 env/bin/$program --version
        grep -q '^VizTracer 9.8.7 is installed in this environment, too' log || fail "$program --version does not say that VizTracer is there"
    done
    ends_in 60 env/bin/python -c 'import viztracer'
    grep -q 'VizTracer 9.8.7 is installed in this environment, too' log || fail "import viztracer does not say that VizTracer is there"
    find env -name 'viztracer-9.8.7.dist-info' -exec rmdir '{}' +
    ends_in 60 env/bin/viztracer --version
    grep -q 'VizTracer' log && fail "viztracer --version says it without VizTracer"
    ends_in 60 env/bin/python -W error -c 'import viztracer'
}

# the page of the viewer, which the statically linked server sends
view() {
    env/bin/vizviewer --server_only --port 0 launched.vzt >served 2>&1 &
    target=$!
    n=0
    while ! grep -q http:// served 2>/dev/null; do n=$((n + 1)); [ $n -lt 300 ] || fail "no address from the viewer: $(cat served)"; sleep 0.1; done
    ends_in 60 "$python" -c 'import sys, urllib.request as r, http.cookiejar as c
opener = r.build_opener(r.ProxyHandler({}), r.HTTPCookieProcessor(c.CookieJar()))
print(opener.open(sys.argv[1], timeout=30).read().decode())' "$(grep -o 'http://[^ ]*' served | head -n 1)"
    grep -q '<title>viztracer' log || fail "the viewer serves another page"
    kill $target
    wait $target 2>/dev/null
    target=
}

moved() {
    mv env moved
    traced moved/bin ""
    mv moved env
}

# The programs alone: an attach needs nothing else, and a launch says what is missing.
alone() {
    mkdir -p alone
    cp env/bin/viztracer env/bin/viztracerd alone/
    if timeout 60 alone/viztracer --python "$python" -c pass >log 2>&1; then fail "a launch without the libraries succeeds"; fi
    grep -q 'preloaded into a program are not installed with' log || fail "a launch without the libraries says something else"
    rm -f ready
    "$other" -c 'import time
open("ready", "w").close()
while True:
    time.sleep(0.01)' &
    target=$!
    n=0
    while [ ! -e ready ]; do n=$((n + 1)); [ $n -lt 600 ] || fail "the process to attach to does not start"; sleep 0.1; done
    ends_in 60 alone/viztracer --attach $target -t 0.3 -o alone.vzt
    kill $target
    wait $target 2>/dev/null
    target=
}

uninstalled() {
    have_pip || { skip "no pip"; return; }
    ends_in 60 env/bin/python -m pip uninstall -y viztracerd
    left=$(find env -iname '*viztracer*' -o -iname '*vizviewer*')
    [ -z "$left" ] || fail "uninstall leaves $left"
}

user() {
    have_pip || { skip "no pip"; return; }
    mkdir -p home
    HOME=$PWD/home ends_in 120 "$python" -m pip install --user "$wheel"
    HOME=$PWD/home traced home/.local/bin "$python"
}

target() {
    have_pip || { skip "no pip"; return; }
    ends_in 120 "$python" -m pip install --target "$PWD/to" "$wheel"
    traced to/bin "$python"
    PYTHONPATH=to ends_in 60 "$python" -c 'import viztracer
with viztracer.VizTracer(output_file="api.json", verbose=0):
    pass'
}

cd "$folder" || exit 1
for step in "$@"; do
    case $step in
    install_venv | use_venv | imported | api | beside | view | moved | alone | uninstalled | user | target) $step ;;
    *) fail "no such step" ;;
    esac
done
echo "Python $what: $*"
