#!/bin/bash
# The Makefile's targets for people: `make help` names each of them, uninstall removes every file that install wrote, missing packages are
# named in one line, .ci/run sums up, and compile_commands.json holds a command that works for each C file.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
bad=0
fail() { echo "make: $1"; bad=1; }
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
make() { MAKEFLAGS= MAKELEVEL= command make --no-print-directory BUILD="$build" "$@"; }

# Targets that only other targets use.
internal=" all FORCE wheel-bin wheel-stage test-build fuzz-bin faults-bin asan-bin tsan-bin tests-bin "
make help >"$temp/help" || fail "help fails"
for target in $(sed -n 's/^\.PHONY: *//p' Makefile Makefile.setup packaging/packaging.mk tests/tests.mk); do
    case $internal in *" $target "*) continue ;; esac
    grep -qE "^ +make $target( |$)" "$temp/help" || fail "help does not name $target: write a line '##   make $target ...' beside it"
done
while read -r target; do
    grep -qE "^(\.PHONY:.* )?$target( .*)?$|^$target:" Makefile Makefile.setup packaging/packaging.mk tests/tests.mk || fail "help names $target, which is no target"
done < <(sed -nE 's/^ +make ([a-z][a-z_.-]*).*/\1/p' "$temp/help")
awk 'length > 110' "$temp/help" | grep . && fail "help has lines over 110 columns"

if [ -e "$build/bin/viztracer" ]; then
    make install DESTDIR="$temp/root" PREFIX=/opt/it >"$temp/log" 2>&1 || { fail "install fails"; cat "$temp/log"; }
    "$temp/root/opt/it/bin/vizviewer" --help >/dev/null 2>&1 || fail "the installed vizviewer does not run"
    [ "$(find "$temp/root" -type f | wc -l)" -ge 3 ] || fail "install wrote less than three files"
    wanted=$(find "$build/man" "$build/completion" -type f 2>/dev/null | wc -l) # each of them, under whatever name
    [ "$(find "$temp/root/opt/it/share" -type f | wc -l)" = "$wanted" ] || fail "install wrote $(find "$temp/root/opt/it/share" -type f | wc -l) of $wanted pages and completions"
    make uninstall DESTDIR="$temp/root" PREFIX=/opt/it >"$temp/log" 2>&1 || { fail "uninstall fails"; cat "$temp/log"; }
    find "$temp/root" ! -type d | sed "s#^$temp/root##" | grep . && fail "uninstall leaves these files"
else
    echo "note: $build is empty: install is not tried"
fi

# -n: builds nothing if the check is missing. First with a compiler that finds no header, then with a PATH without protoc-c.
mkdir "$temp/empty" "$temp/bin"
make -n all CC="gcc -nostdinc -I$temp/empty" BUILD="$temp/none" >"$temp/log" 2>&1 && fail "make succeeds without headers"
[ "$(wc -l <"$temp/log")" = 1 ] && grep -q 'missing packages: .*libyajl-dev.*make deps' "$temp/log" ||
    { fail "missing headers are not told in one line:"; head -n 3 "$temp/log"; }
for tool in /usr/bin/*; do [ "$tool" = /usr/bin/protoc-c ] || echo "$tool"; done | xargs ln -s -t "$temp/bin"
(PATH=$temp/bin; make -n all BUILD="$temp/none") >"$temp/log" 2>&1 && fail "make succeeds without protoc-c"
[ "$(wc -l <"$temp/log")" = 1 ] && grep -q 'missing packages: protobuf-c-compiler (.*make deps' "$temp/log" ||
    { fail "a missing tool is not told in one line:"; head -n 3 "$temp/log"; }

# .ci/run sums up. The make is a fake one: it prints $temp/fake/FORM and exits with the code in it.
mkdir "$temp/fake"
printf '#!/bin/sh\nread -r code line <"%s/${2:-test}"; echo "$line"; exit "$code"\n' "$temp/fake" >"$temp/fake/make"
chmod +x "$temp/fake/make"
ci() { # FIRST SECOND EXIT LAST: the outputs of `make test` and `make test-fresh`; the expected output of .ci/run
    echo "$1" >"$temp/fake/test"
    echo "$2" >"$temp/fake/FORM=short"
    PATH=$temp/fake:$PATH .ci/run >"$temp/log" 2>&1
    local rc=$?
    [ $rc = "$3" ] && [ "$(tail -n 1 "$temp/log")" = "$4" ] || fail ".ci/run ends with '$(tail -n 1 "$temp/log")' and $rc, not '$4' and $3"
}
ci "0 5 passed, 0 failed, 2 skipped" "0 1 passed, 0 failed, 0 skipped" 0 "6 passed, 0 failed, 2 skipped"
ci "0 5 passed, 0 failed, 2 skipped" "0 0 passed, 0 failed, 1 skipped" 0 "5 passed, 0 failed, 3 skipped"
ci "2 5 passed, 3 failed, 2 skipped" "0 1 passed, 0 failed, 0 skipped" 1 "6 passed, 3 failed, 2 skipped"
ci "0 5 passed, 0 failed, 2 skipped" "2 no rule" 1 "5 passed, 1 failed, 2 skipped"
ci "0 nothing" "0 1 passed, 0 failed, 0 skipped" 1 "1 passed, 1 failed, 0 skipped"

make "$build/compile_commands.json" >"$temp/log" 2>&1 || { fail "compile_commands.json is not made:"; cat "$temp/log"; }
python3 - "$build/compile_commands.json" <<'PYTHON' || bad=1
import json, subprocess, sys
rows = json.load(open(sys.argv[1]))
tracked = subprocess.run(["git", "ls-files", "*.c"], capture_output=True, text=True).stdout.split()
bad = [f for f in tracked if f not in {row["file"] for row in rows} and not f.startswith(("tests/targets/", "tests/bench/floor/"))]
for name in bad:
    print("make: compile_commands.json lacks", name)
tried = {}
for row in rows:
    tried.setdefault(row["file"].split("/")[0], row)
for row in tried.values():
    done = subprocess.run(row["command"] + " -fsyntax-only", shell=True, cwd=row["directory"], capture_output=True, text=True)
    if done.returncode or not row["file"]:
        print("make: the command of", row["file"], "fails:", done.stderr[:300])
        bad.append(row["file"])
sys.exit(bool(bad))
PYTHON
exit $bad
