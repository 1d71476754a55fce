#!/bin/bash
# All benchmarks on every interpreter of this machine: cost per call, and the pause of an attach.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
lines=$(tests/setup/interpreters.sh)
echo "== pause of an attach"
VT_PYTHONS=$lines "$build/tests/bench/attach_pause" "${ROUNDS:-20}"
if [ -x "$build/tests/bench/overhead" ]; then
    echo "== cost per call"
    echo "$lines" | grep chroot: | while read -r version _; do echo "skipped: cost per call on $version: in a chroot"; done || true
    VT_PYTHONS=$(echo "$lines" | grep -v chroot: | cut -d' ' -f2 | paste -sd:) "$build/tests/bench/overhead"
fi
