#!/bin/bash
# Lists the interpreters that tests run on, one a line: "VERSION PATH" or "VERSION chroot:ROOT:PATH" (PATH inside ROOT), newest patch level
# and Debian's own kept apart. With --skipped: the wanted versions that are missing, "VERSION CAUSE". VT_PYTHONS (a list of lines such
# as this script prints) replaces the search; VT_CACHE says where the chroot is; VT_NO_FORKY=1 leaves the chroot out.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
root=${VT_CACHE:-$here/.cache}/forky
wanted="3.8 3.9 3.10 3.11 3.12 3.13 3.14 3.15"
list=${VT_CACHE:-$here/.cache}/interpreters

# found COMMAND...: prints "VERSION REALPATH" when it is a CPython that we support
found() {
    timeout 10 "$@" -I -S -c '
import sys, os
if sys.implementation.name == "cpython" and (3, 8) <= sys.version_info[:2] <= (3, 15):
    print("%d.%d.%d" % sys.version_info[:3], os.path.realpath(sys.executable))' 2>/dev/null
}

search() {
    local candidate dir real
    {
        for dir in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin ${PATH//:/ } /usr/bin; do
            case $dir in *pyenv*/shims) continue ;; esac
            for candidate in "$dir"/python3.[0-9] "$dir"/python3.[0-9][0-9]; do
                [ -x "$candidate" ] && real=$(realpath "$candidate") && echo "$real"
            done
        done
    } | sort -u | while read -r candidate; do found "$candidate"; done | sort -u
    if [ -z "${VT_NO_FORKY:-}" ] && [ "$(id -u)" = 0 ] && [ -e "$root/.bootstrapped" ]; then
        for candidate in 3.14 3.15; do
            found chroot "$root" "/usr/bin/python$candidate" | while read -r version real; do echo "$version chroot:$root:$real"; done
        done
    fi
}

if [ -n "${VT_PYTHONS:-}" ]; then
    printf '%s\n' "$VT_PYTHONS" >"$list.$$"
else
    if [ -z "${VT_NO_FORKY:-}" ] && [ "$(id -u)" = 0 ]; then
        "$here/tests/setup/forky.sh" "$root" >/dev/null 2>&1
    fi
    mkdir -p "$(dirname "$list")"
    search | sort -V >"$list.$$"
fi
case ${1:-} in
--skipped)
    for version in $wanted; do
        grep -q "^$version[. ]" "$list.$$" && continue
        cause=$(grep -m1 "^$version " "$root.skipped" 2>/dev/null | cut -d' ' -f2-)
        if [ -z "$cause" ] && [ "$(id -u)" != 0 ]; then cause="no such interpreter on this machine, and the chroot needs root"; fi
        echo "$version ${cause:-no such interpreter on this machine}"
    done
    ;;
*) cat "$list.$$" ;;
esac
rm -f "$list.$$"
