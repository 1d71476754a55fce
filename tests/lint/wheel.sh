#!/bin/bash
# The programs of the wheel link, with static libraries only, and need no newer glibc than the wheel's tag says.
set -u
cd "$(dirname "$0")/../.." || exit 1
log=$(MAKEFLAGS= MAKELEVEL= make --no-print-directory BUILD="${BUILD:-build}" wheel-bin 2>&1) && exit 0
echo "make wheel-bin fails (packaging/packaging.mk, packaging/floor.c):"
grep -E 'rror|newer than|undefined|cannot find' <<<"$log" | tail -n 12
exit 1
