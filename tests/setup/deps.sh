#!/bin/bash
# Installs the Debian packages that building and testing need; says nothing and returns at once when all are there.
# deps.sh [build|all|browser]: "build" is enough for make, install and demo; "all" (default) adds what the tests use; "browser" is
# what they look at traces with: part of "all", but where it cannot be had those tests are skipped.
set -u
build="build-essential pkg-config libunwind-dev libprotobuf-c-dev protobuf-c-compiler libzstd-dev zlib1g-dev libdeflate-dev
    libmicrohttpd-dev libyajl-dev python3"
tests="clang clang-format check libsubunit-dev debootstrap gunicorn python3-coverage libjemalloc2 libtcmalloc-minimal4 util-linux"
browser="chromium fonts-dejavu-core"
case ${1:-all} in
build) wanted=$build ;;
all) wanted="$build $tests" ;;
browser) wanted=$browser ;;
*) echo "usage: deps.sh [build|all|browser]" >&2; exit 2 ;;
esac
if [ "${1:-all}" = all ]; then "$0" browser || echo "deps: no browser: its tests will be skipped" >&2; fi

missing=
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "Installing Debian packages:$missing"
if [ "$(id -u)" = 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; else
    echo "deps: not root and no sudo: install these by hand:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
install() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; }
if ! install >/dev/null 2>&1; then
    $sudo apt-get update -q >/dev/null || { echo "deps: apt-get update failed" >&2; exit 1; }
    install || { echo "deps: could not install:$missing" >&2; exit 1; }
fi
