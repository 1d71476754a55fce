#!/bin/bash
# Builds the wheel, installs it with an empty environment, and uses it: wheel.sh quick|venvs|old-debian.
#   quick       one environment: the newest interpreter here with pip, else without. Part of `make test`
#   venvs       each interpreter of tests/setup/interpreters.sh, also --user, --target and a moved environment
#   old-debian  a small root of Debian 11 or 10 with its own glibc, pip and Python, and none of our libraries
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here" || exit 1
build=${BUILD:-build}
form=${1:?usage: wheel.sh quick|venvs|old-debian}
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
bad=0
fail() { echo "failed: $1"; bad=1; }
pythons() { tests/setup/interpreters.sh; }

MAKEFLAGS= MAKELEVEL= make --no-print-directory BUILD="$build" DIST="$temp/dist" wheel >"$temp/make.log" 2>&1 ||
    { echo "failed: make wheel"; tail -n 20 "$temp/make.log"; exit 1; }
wheel=$(echo "$temp"/dist/*.whl)
case $(basename "$wheel") in viztracerd-[0-9]*-py3-none-manylinux_2_17_x86_64.whl) ;; *) fail "the wheel is named $wheel" ;; esac
bytes=$(stat -c %s "$wheel")
[ "$bytes" -lt 2500000 ] || fail "the wheel has $bytes bytes"

# steps PYTHON OTHER STEP...
steps() {
    local folder
    folder=$(mktemp -d -p "$temp")
    timeout -k 10 400 tests/packaging/steps.sh "$1" "$2" "$wheel" "$folder" "${@:3}" || bad=1
    rm -rf "$folder"
}

quick() {
    local version path chosen=
    # The check that guards the tag: it names what the build's own programs need.
    packaging/check-glibc.sh 2.17 "$build/bin/viztracerd" >"$temp/log" 2>&1 && fail "check-glibc.sh finds nothing in $build/bin/viztracerd"
    grep -q 'pidfd_open (GLIBC_2.36)' "$temp/log" && grep -q 'needs libunwind' "$temp/log" || { fail "check-glibc.sh says:"; cat "$temp/log"; }
    while read -r version path; do
        case $path in chroot:*) continue ;; esac
        if [ -z "$chosen" ] || "$path" -c 'import pip, ensurepip' 2>/dev/null; then chosen=$path; fi
    done < <(pythons)
    [ -n "$chosen" ] || { echo "SKIP wheel: no interpreter outside a chroot"; exit 77; }
    steps "$chosen" "$(realpath "$(command -v python3)")" install_venv use_venv imported view alone uninstalled
}

case $form in
quick) quick ;;
*) echo "usage: wheel.sh quick|venvs|old-debian" >&2; exit 2 ;;
esac
[ $bad = 0 ] && [ $form = quick ] && echo "wheel of $bytes bytes"
exit $bad
