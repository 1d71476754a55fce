#!/bin/bash
# Looks at traces in a real browser: pages from disk, and `viztracer view` with the offline UI. Only loopback can be reached.
# Needs Debian's chromium; the UI is that of make deps-ui or VIZTRACER_UI_DIR. What is not there is skipped by name.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here" || exit 1
build=$(realpath "${BUILD:-build}")
VT_SAMPLES=$(mktemp -d)
export VT_SAMPLES
trap 'rm -rf "$VT_SAMPLES"' EXIT
chmod 755 "$VT_SAMPLES"
CK_RUN_CASE=samples "$build/tests/unit/cli_html" >"$VT_SAMPLES/log" 2>&1 || { cat "$VT_SAMPLES/log"; exit 1; }
python3 -u tests/browser/test_browser.py "$build" "${VT_LOGS:-$build/test-logs}/browser"
