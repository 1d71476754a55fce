#!/bin/bash
# No path of a developer's machine and no registry in the tree; each source file says first what it owns; long files are named; tests
# are named test_<subject>_<behaviour>.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
while read -r hit; do echo "$hit"; bad=1; done < <(git grep -nIE '/(work|root)/(main|shared|\.pyenv)|/home/[a-z]+/|deb\.debian\.org|pypi\.org' -- . ':!tests/lint/text.sh' ':!LICENSE')
while read -r file; do
    head -c 2 "$file" | grep -qE '^(/\*|//)' || { echo "$file: the first line does not say what the file owns"; bad=1; }
    lines=$(wc -l <"$file")
    [ "$lines" -gt 900 ] && { echo "$file: $lines lines: split it"; bad=1; }
    [ "$lines" -gt 600 ] && [ "$lines" -le 900 ] && echo "note: $file has $lines lines"
done < <(git ls-files 'agent/*.[ch]' 'attach/*.[ch]' 'cli/*.[ch]' 'daemon/*.[ch]' 'options/*.[ch]' 'outside/*.[ch]' 'proto/*.[ch]' 'tools/*.[ch]' 'tests/*.[ch]')
while read -r hit; do
    echo "$hit: a test is named test_<subject>_<behaviour>"; bad=1
done < <(grep -rnoE 'START_TEST\(\w+' tests --include='*.c' | grep -vE 'START_TEST\(test_[a-z0-9]+_[a-z0-9_]+$')
exit $bad
