#!/bin/bash
# The Debian package: make deb builds it, it names the packages that it needs, and what it holds can attach, launch and be imported
# from where dpkg puts it. Where lintian is installed, make deb fails by lintian's errors.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here" || exit 1
command -v dpkg-shlibdeps >/dev/null || { echo "SKIP Debian package: dpkg-dev is not installed"; exit 77; }
temp=$(mktemp -d)
target=
trap '[ -z "$target" ] || kill "$target" 2>/dev/null; rm -rf "$temp"' EXIT
fail() { echo "failed: $1"; [ ! -s "$temp/log" ] || tail -n 20 "$temp/log"; exit 1; }
clean() { timeout -k 5 60 env -i PATH=/usr/bin:/bin HOME="$temp" VIZTRACERD_SOCKET=none PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$temp/root/usr/lib/python3/dist-packages" "$@" >"$temp/log" 2>&1 </dev/null; }

MAKEFLAGS= MAKELEVEL= make --no-print-directory BUILD="${BUILD:-build}" DIST="$temp" deb >"$temp/log" 2>&1 || fail "make deb"
deb=$(echo "$temp"/viztracerd_*.deb)
depends=$(dpkg-deb -f "$deb" Depends)
for package in libc6 libunwind8 libmicrohttpd12 python3; do
    grep -qE "(^|, )$package( |,|$)" <<<"$depends" || fail "the package does not depend on $package: $depends"
done
dpkg-deb -x "$deb" "$temp/root" || fail "dpkg-deb -x"
(cd "$temp/root" && dpkg-deb -I "$deb" md5sums | md5sum --quiet -c) || fail "md5sums"
[ -z "$(find "$temp/root" -type l ! -exec test -e '{}' \; -print)" ] || fail "a link leads nowhere"
python=$(realpath "$(command -v python3)") bin=$temp/root/usr/bin
cd "$temp" || exit 1
clean "$bin/viztracer" --python "$python" -o launched.vzt -c 'print(sum(map(abs, range(9))))' || fail "a launch"
clean "$bin/viztracer" report launched.vzt && grep -q builtins.sum log || fail "the trace of a launch has no call of sum"
"$python" -c 'import time
open("ready", "w").close()
while True:
    time.sleep(0.01)' &
target=$!
for ((n = 0; n < 600; n++)); do [ ! -e ready ] || break; sleep 0.1; done
clean "$bin/viztracer" --attach $target -t 0.3 -o attached.vzt || fail "an attach"
clean "$bin/viztracer" report attached.vzt && grep -q time.sleep log || fail "the trace of an attach has no call of sleep"
clean "$python" -c 'import viztracer; print(viztracer.__file__)' && grep -q "^$temp/root" log || fail "import viztracer"
echo "$(basename "$deb"): $(stat -c %s "$deb") bytes"
