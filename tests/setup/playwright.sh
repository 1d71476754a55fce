#!/bin/bash
# Puts playwright-core where the browser tests find it: playwright.sh FOLDER. npm fetches it from the registry that this machine uses; the
# package must have the hash below. It brings no browser: the tests drive Debian's Chromium. Limited in time.
set -u
version=1.57.0
hash=sha512-agTcKlMw/mjBWOnD6kFZttAAGHgi/Nw0CZ2o6JqWSbMlI219lAFLZZCyqByTsvVAJq5XA5H8cA6PrvBRpBWEuQ==
folder=${1:?usage: playwright.sh FOLDER}
fail() { echo "deps-playwright: $1" >&2; exit 1; }

[ "$(cat "$folder/.version" 2>/dev/null)" = "$version" ] && exit 0
[ -z "${PIP_NO_INDEX:-}" ] || fail "no package index may be asked here (PIP_NO_INDEX)"
command -v node >/dev/null || fail "node is not installed: apt-get install nodejs npm"
command -v npm >/dev/null || fail "npm is not installed: apt-get install npm"
mkdir -p "$(dirname "$folder")" || fail "cannot make $(dirname "$folder")"
temp=$(mktemp -d "$folder.XXXXXX") || fail "cannot write beside $folder"
trap 'rm -rf "$temp"' EXIT
cat >"$temp/package.json" <<JSON
{"name": "browser-tests", "private": true, "dependencies": {"playwright-core": "$version"}}
JSON
cat >"$temp/package-lock.json" <<JSON
{"name": "browser-tests", "lockfileVersion": 3, "requires": true, "packages": {
    "": {"name": "browser-tests", "dependencies": {"playwright-core": "$version"}},
    "node_modules/playwright-core": {"version": "$version", "integrity": "$hash"}}}
JSON
(cd "$temp" && timeout -k 5 120 npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --fetch-retries=1 --fetch-timeout=15000) \
    >"$temp/log" 2>&1 </dev/null || fail "npm could not fetch playwright-core $version: $(grep -m1 -E 'E[A-Z]{4,}|rror' "$temp/log" || echo 'it took too long')"
echo "$version" >"$temp/.version"
chmod 755 "$temp"
rm -rf "$folder"
mv "$temp" "$folder" || fail "cannot write $folder"
echo "playwright-core $version is in $folder"
