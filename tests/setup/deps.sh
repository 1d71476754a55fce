#!/bin/bash
# Installs the Debian packages that building and testing need. When all are installed it returns at once and prints nothing.
# deps.sh [build|tests|all|browser]: "build" is enough for make, install and demo; "tests" adds what the tests use; "all" (the default)
# adds a browser to look at traces with; its tests are skipped where it cannot be installed. "browser" is the browser alone.
# deps.sh missing build|units|tests: installs nothing; prints the packages whose command or header is missing, on one line.
set -u
# PACKAGE[=PROOF]: the proof is a command or, with a dot in its name, a header. It also works on machines other than Debian.
build="build-essential=gcc build-essential=ld build-essential=make libunwind-dev=libunwind-x86_64.h libprotobuf-c-dev=protobuf-c/protobuf-c.h
    protobuf-c-compiler=protoc-c libzstd-dev=zstd.h zlib1g-dev=zlib.h libmicrohttpd-dev=microhttpd.h
    libyajl-dev=yajl/yajl_parse.h python3=python3"
optional="libncurses-dev=ncurses.h" # builds without it
units="check=check.h libsubunit-dev=subunit/child.h"
tests="git=git clang=clang clang-format=clang-format libclang-rt-dev debootstrap gunicorn python3-coverage python3-greenlet libjemalloc2
    libtcmalloc-minimal4 man-db=man mandoc=mandoc util-linux tmux=tmux zsh=zsh"
browser="chromium fonts-dejavu-core"

# missing PACKAGE[=PROOF]...: one run of the preprocessor looks for all headers; if it fails, /usr/include is searched
missing() {
    local row package proof headers= cc=${CC:-gcc}
    for row in "$@"; do
        package=${row%%=*} proof=${row#*=}
        case $row in
        *=*.h) headers+="#if !__has_include(<$proof>)"$'\n'"$package"$'\n'"#endif"$'\n' ;;
        *=*) command -v "$proof" >/dev/null || echo "$package" ;;
        libclang-rt-dev)
            echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
                clang -fsanitize=fuzzer,address,undefined -x c - -o /dev/null 2>/dev/null || echo "$package"
            ;;
        esac
    done
    $cc -E -P -x c - <<<"$headers" 2>/dev/null && return
    for row in "$@"; do
        case $row in *=*.h) [ -n "$(compgen -G "/usr/include/${row#*=}")$(compgen -G "/usr/include/*/${row#*=}")" ] || echo "${row%%=*}" ;; esac
    done
}

case ${1:-all} in
build) wanted="$build $optional" ;;
tests | all) wanted="$build $optional $units $tests" ;;
browser) wanted=$browser ;;
missing)
    case ${2:-} in
    build) wanted=$build ;;
    units) wanted="$build $units" ;;
    *) wanted="$build $optional $units $tests" ;;
    esac
    missing $wanted | sort -u | paste -sd' '
    exit 0
    ;;
*) echo "usage: deps.sh [build|tests|all|browser], deps.sh missing build|units|tests" >&2; exit 2 ;;
esac
if [ "${1:-all}" = all ]; then "$0" browser || echo "deps: no browser: its tests will be skipped" >&2; fi

missing=
for package in $(printf '%s\n' $wanted | sed 's/=.*//' | sort -u); do
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
