#!/bin/bash
# The output of tools/docgen: man pages without a warning, completion that the shells accept and that completes, and up-to-date tables in
# docs/. Every environment variable that the sources read is documented.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
bad=0
fail() { echo "manual: $1"; bad=1; }
for tool in man mandoc zsh; do command -v "$tool" >/dev/null || fail "$tool is not installed: run tests/setup/deps.sh"; done
[ -x "$build/bin-build/docgen" ] && [ -e "$build/man/viztracer.1" ] || { fail "$build/man is not built: run make"; exit 1; }
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

# ---- man pages ----
for page in viztracer.1 vizviewer.1 viztracerd.8; do
    # our pages are not installed, so references to them lead nowhere
    mandoc -Tlint -Wstyle "$build/man/$page" | grep -v 'referenced manual not found: Xr viz' | grep . && fail "$page: mandoc warns"
    MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$build/man/$page" 2>"$temp/warnings" >/dev/null || fail "$page: man fails"
    grep . "$temp/warnings" && fail "$page: man warns"
done

# ---- docs ----
for page in docs/options.md docs/formats.md; do
    "$build/bin-build/docgen" page "$page" >"$temp/page" || fail "$page: docgen fails"
    diff "$page" "$temp/page" | head -n 8
    cmp -s "$page" "$temp/page" || fail "$page has tables that are not as they are made now: make docs-tables"
done
while read -r name; do
    grep -q "^| \`$name\`" docs/options.md || fail "the sources read $name: tools/docgen/facts.c does not name it"
done < <(grep -rhoE 'getenv\("(VIZTRACE[A-Z_]*|TMPDIR|BROWSER|XDG_[A-Z_]*)"' --include='*.c' cli daemon attach outside proto options | cut -d'"' -f2 | sort -u)

# ---- bash: complete WORD... prints the offers for the last word ----
bash -n "$build/completion/viztracer.bash" || fail "bash does not take the completion"
complete_bash() {
    bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _viztracer; printf "%s\n" "${COMPREPLY[@]}"' - "$build/completion/viztracer.bash" "$@"
}
offers_bash() { # WANTED WORD...
    local wanted=$1
    shift
    complete_bash "$@" | grep -qxF -e "$wanted" || fail "bash does not offer $wanted for: $*"
}
offers_bash report viztracer rep
offers_bash --attach viztracer --at
offers_bash --include_modules viztracer --attach 1 --include_m
offers_bash remote-exec viztracer attach 1 --method re
offers_bash remote-exec viztracer attach 1 --method = re
offers_bash slow.speedscope.json viztracer attach 1 -o slow.sp
offers_bash --slice vizviewer --sl
offers_bash --min_share viztracer report a.vzt --m
offers_bash --spool-dir viztracerd --sp
offers_bash docs viztracer report doc
offers_bash docs viztracer attach 1 --output_dir do
offers_bash diff viztracer help d
complete_bash viztracer status --m | grep . && fail "bash offers an option of another command"

# ---- zsh: its functions are replaced by functions that print their arguments ----
zsh -n "$build/completion/_viztracer" || fail "zsh does not take the completion"
complete_zsh() { # SERVICE WORD...
    zsh -fc 'compdef() { }; _arguments() { print -l -- "$@"; }; _describe() { print -l -- "${(@P)2}"; }
             service=$2; file=$1; shift; words=("$@"); CURRENT=$#words; set --; source $file' - "$build/completion/_viztracer" "$@"
}
offers_zsh() { # WANTED WORD...
    local wanted=$1
    shift
    complete_zsh "$@" | grep -qF -e "$wanted" || fail "zsh does not offer $wanted for: $*"
}
offers_zsh 'report:shows where' viztracer ''
offers_zsh '--include_modules[' viztracer --attach 1 ''
offers_zsh ':HOW:(auto ptrace remote-exec)' viztracer attach 1 ''
offers_zsh ':OUT:_viztracer_outputs' viztracer convert a.vzt ''
offers_zsh '--slice[' vizviewer ''
offers_zsh '--spool-dir[' viztracerd ''
complete_zsh viztracer status '' | grep -F -- '--min_duration' && fail "zsh offers an option of another command"
exit $bad
