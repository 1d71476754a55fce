#!/bin/bash
# clang-format would change no C file.
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v clang-format >/dev/null || { echo "SKIP lint-format: clang-format is not installed"; exit 77; }
files=$(git ls-files 'agent/*.[ch]' 'attach/*.[ch]' 'cli/*.[ch]' 'daemon/*.[ch]' 'options/*.[ch]' 'outside/*.[ch]' 'proto/*.[ch]' 'tools/*.[ch]' 'tests/*.[ch]' | while read -r f; do [ -e "$f" ] && echo "$f"; done)
clang-format --dry-run -Werror $files 2>&1 | sed -n 's/^\([^:]*\):.*error:.*/\1: not formatted (clang-format -i \1)/p' | sort -u
[ "${PIPESTATUS[0]}" = 0 ]
