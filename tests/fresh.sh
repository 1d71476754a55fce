#!/bin/bash
# README's commands on a Debian 12 machine with only make and git: fresh.sh [short|long]. Run by `make test-fresh`.
#   long   make demo, make test-unit (set-up, all builds, lint, all units), one attach on each interpreter of the root
#   short  make demo, set-up without the browser, make quick, the same attach
# The machine is a root made by debootstrap, once a day, in $VT_CACHE/fresh (default .cache/fresh); each run works on a copy of it. The
# short form keeps a second one with the packages that deps.sh asked for. Packages are fetched once and kept in archives/. Mounts and
# processes are in namespaces of their own and end with the run. Where such a root cannot be made, the test is skipped by name.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tests/setup/debian.sh"
cache=${VT_CACHE:-$here/.cache}/fresh
today=$(date +%Y%m%d)
base=$cache/base-$today
limit=${VT_SETUP_SECONDS:-600}

skip() { echo "SKIP fresh machine: $1"; exit 77; }
drop() { for dir in "$@"; do case $dir in "$cache"/*-*) rm -rf --one-file-system "$dir" ;; esac; done; }

# The root of today. A root in the making has another name until it is complete.
make_base() {
    local url
    [ -e "$base" ] && return
    url=$(mirror)
    [ -n "$url" ] || skip "apt knows no Debian mirror"
    drop "$cache"/base-* "$cache"/deps-* "$cache"/new-*
    timeout -k 10 "$limit" debootstrap --variant=minbase --include=make,git --keyring="$keyring" --cache-dir="$cache/archives" \
        bookworm "$cache/new-$today" "$url" >"$cache/debootstrap.log" 2>&1 </dev/null ||
        skip "debootstrap of bookworm failed or took more than $limit s: $(tail -n 1 "$cache/debootstrap.log")"
    apt_like_here "$cache/new-$today"
    mv "$cache/new-$today" "$base"
}

# step NAME SECONDS COMMAND...: in the root, in the tree, with the environment of a new login. Ends the run when it fails.
step() {
    local name=$1 seconds=$2 began rc
    shift 2
    began=$(date +%s)
    echo "fresh: \$ $*"
    timeout -k 10 "$seconds" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 PIP_NO_INDEX=1 VT_NO_FORKY=1 \
        chroot "$root" /bin/sh -c 'cd /srv/viztracerd && exec "$@"' sh "$@" </dev/null 2>&1
    rc=$?
    echo "fresh: $name: exit $rc after $(($(date +%s) - began)) s"
    [ $rc = 0 ] || { echo "fresh: $name FAILED"; exit 1; }
}

# Process 1 of the run's own namespaces: fresh.sh inside ROOT FORM.
inside() {
    root=$1
    mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/dev/shm" &&
        mount -t devpts -o ptmxmode=666 devpts "$root/dev/pts" && mkdir -p "$root/var/cache/apt/archives" &&
        mount --bind "$cache/archives" "$root/var/cache/apt/archives" || { echo "SKIP fresh machine: nothing can be mounted here"; exit 77; }
    case $2 in
    setup) step setup 900 tests/setup/deps.sh tests ;;
    short)
        step demo 600 make demo
        step quick 900 make quick
        step attach 300 make check T=states:busy
        ;;
    long)
        step demo 900 make demo
        step test-unit 3000 make test-unit
        step attach 300 make check T=states:busy
        ;;
    esac
}
if [ "${1:-}" = inside ]; then inside "$2" "$3"; exit 0; fi

# run ROOT FORM
run() { unshare -m -p -f --kill-child=KILL --propagation private -- bash "$here/tests/fresh.sh" inside "$1" "$2"; }

# The tree without the files that git ignores, and a repository of it, because some checks list their files by git.
copy_tree() {
    mkdir -p "$1/srv/viztracerd" &&
        git -C "$here" -c safe.directory='*' ls-files -z --cached --others --exclude-standard | (cd "$here" && xargs -0 ls -d 2>/dev/null) |
        tar -C "$here" -c --no-recursion -T - | tar -C "$1/srv/viztracerd" -x --no-same-owner &&
        chroot "$1" /bin/sh -c 'cd /srv/viztracerd && git init -q && git add -A' 2>/dev/null
}

form=${1:-long}
case $form in short | long) ;; *) echo "usage: fresh.sh [short|long]" >&2; exit 2 ;; esac
[ "$(id -u)" = 0 ] || skip "debootstrap needs root"
command -v debootstrap >/dev/null || skip "debootstrap is not installed (make deps)"
unshare -m -p -f --propagation private true 2>/dev/null || skip "no namespaces of our own can be had here (unshare -m -p)"
git -C "$here" -c safe.directory='*' rev-parse 2>/dev/null || skip "this tree is no git checkout"
mkdir -p "$cache/archives/partial" || skip "cannot write $cache"
exec 9>"$cache/lock"
flock -w "$limit" 9 || skip "another run is still making the root"
make_base
machine=$base
work=$cache/run-$$
trap 'drop "$work"' EXIT
if [ "$form" = short ]; then
    machine=$cache/deps-$(sha1sum <"$here/tests/setup/deps.sh" | cut -c1-12)
    if [ ! -e "$machine" ]; then
        drop "$cache"/deps-*
        cp -a "$base" "$work" && copy_tree "$work" && run "$work" setup 9>&- || { rc=$?; [ $rc = 77 ] && exit 77; echo "fresh: deps.sh FAILED"; exit 1; }
        rm -rf "$work/srv/viztracerd"
        mv "$work" "$machine"
    fi
fi
cp -a "$machine" "$work" && copy_tree "$work" || { echo "fresh: the tree could not be copied into $work"; exit 1; }
flock -u 9
run "$work" "$form" 9>&-
exit $?
