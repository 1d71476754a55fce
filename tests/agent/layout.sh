#!/bin/bash
# layout.sh CC: prints Python tables of the structs that the agent shares with others, in the layout of that compiler:
# VT_CTL = {"magic": ("uint64_t", OFFSET, BYTES), ...}. The names of members come from proto/abi, the numbers from the compiler.
set -eu
cd "$(dirname "$0")/../.."
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
headers="proto/abi/arena.h proto/abi/boot.h"
{
    echo '#include <stdio.h>'
    for header in $headers; do echo "#include \"$header\""; done
    echo 'int main(void) {'
    # one declaration per line, then each of its names
    for header in $headers; do echo "#include \"$header\""; done | $1 -E -P -iquote . - | tr '\n' ' ' | sed 's/[;{}]/&\n/g' | awk '
        /struct (vt_ctl|vt_chunk|vt_boot|vt_agent_info) *\{/ {
            match($0, /vt_[a-z_]+/); name = substr($0, RSTART, RLENGTH); inside = 1
            printf "puts(\"%s = {\");\n", toupper(name)
            next
        }
        inside && /\}/ { print "puts(\"}\");"; inside = 0 }
        inside && /;/ {
            sub(/;.*/, ""); sub(/^ */, "")
            match($0, /^(struct )?[a-z0-9_]+/); type = substr($0, RSTART, RLENGTH); rest = substr($0, RSTART + RLENGTH)
            n = split(rest, members, ",")
            for (i = 1; i <= n; i++) {
                member = members[i]
                if (member ~ /\[ *\]/) continue
                gsub(/\[.*|[ *]/, "", member)
                printf "printf(\"    \\\"%s\\\": (\\\"%s\\\", %%zu, %%zu),\\n\", __builtin_offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));\n",
                    member, type, name, member, name, member
            }
        }'
    echo 'return 0; }'
} >"$temp/layout.c"
$1 -std=gnu11 -iquote . -o "$temp/layout" "$temp/layout.c"
echo '"""The structs of proto/abi, made by tests/agent/layout.sh."""'
"$temp/layout"
