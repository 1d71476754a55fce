#!/bin/sh
# run.sh [--pythons=PATTERN] [TEST...]: runs the tests of the Python package in this folder (or those named: test_tracer) with unittest on
# every interpreter of $VT_PYTHONS (of these versions; lines as tests/setup/interpreters.sh prints them, which is the default). The package
# is that of $BUILD/python. An interpreter in a chroot gets copies of it, of the programs and of the libraries that they need.
# Prints each failure and a count at the end; exit 1 if anything failed.
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
build=$(realpath "${BUILD:-build}")
: "${VT_PYTHONS:=$(tests/setup/interpreters.sh)}"
case ${1:-} in
    --pythons=*)
        VT_PYTHONS=$(printf '%s\n' "$VT_PYTHONS" | grep -E "^(${1#*=})")
        [ -n "$VT_PYTHONS" ] || { echo "SKIP package: no interpreter here is ${1#*=}"; exit 77; }
        shift
        ;;
esac
cd "$here" || exit 1
pass=0 fail=0
tests=${*:-$(ls test_*.py | sed 's/\.py$//')}
log=$(mktemp)
copies=
trap 'rm -rf "$log" $copies' EXIT
export PYTHONDONTWRITEBYTECODE=1 VIZTRACERD_SOCKET=none
unset VIZTRACER_BIN

# copy_into FOLDER: the package and what it needs, for another root
copy_into() {
    mkdir -p "$1/bin" "$1/lib" "$1/needed" || return 1
    cp ./*.py "$1/" && cp -r ../../docs "$1/" && cp -r "$build/python" "$1/" && cp -P "$build"/bin/* "$1/bin/" && cp "$build"/lib/*.so "$1/lib/" || return 1
    ldd "$build/bin/viztracer" "$build/bin/viztracerd" | grep -o '/[^ ]*\.so[^ ]*' | sort -u | grep -vE '/(libc|libm|libpthread|libdl|librt|ld-linux[^/]*)\.so' |
        while read -r library; do cp "$library" "$1/needed/"; done
}

# run PYTHON... : one test file with unittest
run() {
    case $where in
        chroot:*)
            root=${where#chroot:} inside=${root#*:} root=${root%%:*}
            copy=$root/tmp/viztracer-package-test-$$
            if [ ! -d "$copy" ]; then
                copies="$copies $copy"
                copy_into "$copy" || return 1
            fi
            # viztracerd's helpers get no LD_LIBRARY_PATH: for them the libraries lie over those of the root, where that is possible
            LD_LIBRARY_PATH=/tmp/viztracer-package-test-$$/needed timeout 240 unshare -m sh -c '
                over=$1/usr/lib/x86_64-linux-gnu
                mount -t proc proc "$1/proc" || exit 1
                mount -t overlay overlay -o "lowerdir=$1$3/needed:$over" "$over" 2>/dev/null || export VT_NO_ATTACH="no overlay over the libraries of the root"
                exec chroot "$1" env -C "$3" PYTHONPATH="$3/python:$3" "$2" -X dev -W error -m unittest "$4"' \
                sh "$root" "$inside" "/tmp/viztracer-package-test-$$" "$1"
            ;;
        *) PYTHONPATH=$build/python timeout 240 "$where" -X dev -W error -m unittest "$1" ;;
    esac
}

while read -r version where; do
    [ -n "$where" ] || continue
    for test in $tests; do
        run "$test" >"$log" 2>&1 </dev/null
        rc=$?
        ran=$(sed -n 's/^Ran \([0-9]*\) tests\{0,1\} in .*/\1/p' "$log")
        sed -n "s/^SKIP /SKIP $version $test: /p" "$log"
        if [ $rc = 0 ] && [ "${ran:-0}" -gt 0 ]; then
            pass=$((pass + ran))
        else
            fail=$((fail + 1))
            echo "FAIL $version $test (exit $rc)"
            tail -n 40 "$log" | sed 's/^/    /'
        fi
    done
done <<LIST
$VT_PYTHONS
LIST
echo "package: $pass passed, $fail failed"
[ "$fail" = 0 ]
