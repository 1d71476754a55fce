#!/bin/bash
# Makes a root of Debian's newer suite with the Pythons that this machine lacks: forky.sh [ROOT] (default .cache/forky, or $VT_CACHE/forky).
# It uses the machine's own mirror and writes only in ROOT's folder. It returns at once when the root is complete. Limited in time.
# Exit 0 when at least one interpreter was installed. For each missing one it writes "VERSION CAUSE" to ROOT.skipped.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/tests/setup/debian.sh"
root=${1:-${VT_CACHE:-$here/.cache}/forky}
suite=${VT_SUITE:-forky}
wanted="3.14 3.15"
limit=${VT_SETUP_SECONDS:-300}
cache=$(dirname "$root")
log=$root.log
skipped=$root.skipped

have() { [ -x "$root/usr/bin/python$1" ]; }
have_all() { for v in $wanted; do have "$v" || return 1; done; }

# skip_rest CAUSE: reports every missing interpreter with CAUSE, unless it has a cause already
skip_rest() {
    local v
    for v in $wanted; do
        have "$v" || grep -q "^$v " "$skipped" 2>/dev/null || echo "$v $1" >>"$skipped"
    done
}

bootstrap() {
    local url
    if [ -e "$root/.bootstrapped" ]; then return 0; fi
    command -v debootstrap >/dev/null || { skip_rest "debootstrap is not installed (make deps)"; return 1; }
    url=$(mirror)
    [ -n "$url" ] || { skip_rest "apt knows no Debian mirror"; return 1; }
    case $root in */forky) as_root rm -rf --one-file-system "$root" ;; esac
    mkdir -p "$cache"
    # this machine's debootstrap may lack a script for the suite, so sid's is named
    if ! as_root timeout "$limit" debootstrap --variant=minbase --keyring="$keyring" --include=python3.14 \
        "$suite" "$root" "$url" /usr/share/debootstrap/scripts/sid >"$log" 2>&1; then
        skip_rest "debootstrap of $suite failed or took more than $limit s (see $(basename "$log"))"
        return 1
    fi
    as_root touch "$root/.bootstrapped"
}

# add VERSION: apt inside the root. A suite's Release file may have expired, which does not matter here.
add() {
    local opts='-q -y --no-install-recommends -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root'
    have "$1" && return 0
    apt_like_here "$root"
    as_root timeout "$limit" env DEBIAN_FRONTEND=noninteractive chroot "$root" /bin/sh -c \
        "apt-get $opts update && apt-get $opts install python$1" >>"$log" 2>&1 || as_root timeout "$limit" env DEBIAN_FRONTEND=noninteractive \
        chroot "$root" /bin/sh -c "apt-get $opts install python$1" >>"$log" 2>&1
    have "$1" || echo "$1 apt inside the $suite root could not install it (see $(basename "$log"))" >>"$skipped"
}

# extras: modules that tests use with its default Python. Without them these tests are skipped.
extras() {
    local opts='-q -y --no-install-recommends -o APT::Sandbox::User=root'
    as_root timeout "$limit" env DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get $opts install python3-greenlet >>"$log" 2>&1 || true
}

mkdir -p "$cache" || exit 1
exec 9>"$root.lock"
flock -w "$limit" 9 || { echo "another set-up of $root is still running" >&2; exit 1; }
if ! have_all; then
    : >"$skipped"
    bootstrap && { for v in $wanted; do add "$v"; done; extras; }
    have_all && rm -f "$skipped"
    as_root rm -rf "$root"/var/cache/apt/archives/*.deb
fi
for v in $wanted; do have "$v" && exit 0; done
exit 1
