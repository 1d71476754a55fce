#!/bin/bash
# Every C file is as clang-format leaves it.
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v clang-format >/dev/null || { echo "SKIP lint-format: clang-format is not installed"; exit 77; }
bad=0
while read -r file; do
    clang-format --dry-run -Werror "$file" >/dev/null 2>&1 || { echo "$file: not formatted (clang-format -i $file)"; bad=1; }
done < <(git ls-files 'agent/*.[ch]' 'attach/*.[ch]' 'cli/*.[ch]' 'daemon/*.[ch]' 'proto/*.[ch]' 'tests/*.[ch]')
exit $bad
