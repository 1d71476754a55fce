#!/bin/bash
# What a wheel's tag promises: check-glibc.sh VERSION PROGRAM... fails when a program needs a symbol that is newer than glibc VERSION,
# or a library besides glibc's own. It names each.
set -u
limit=${1:?usage: check-glibc.sh VERSION PROGRAM...}
shift
bad=0
for program in "$@"; do
    symbols=$(objdump -T "$program") || { echo "$program: cannot be read" >&2; exit 1; }
    newer=$(grep -oE 'GLIBC_[0-9.]+\)? +[A-Za-z_0-9]+' <<<"$symbols" | tr -d ')' | sort -u | while read -r version name; do
        [ "$(printf '%s\n' "${version#GLIBC_}" "$limit" | sort -V | tail -n 1)" = "$limit" ] || echo "$name ($version)"
    done | paste -sd, | sed 's/,/, /g')
    [ -z "$newer" ] || { echo "$program: newer than glibc $limit: $newer; packaging/floor.c has to define it" >&2; bad=1; }
    others=$(objdump -p "$program" | awk '$1 == "NEEDED" && $2 !~ /^(libc\.so\.6|libpthread\.so\.0|ld-linux-x86-64\.so\.2)$/ {print $2}' | paste -sd' ')
    [ -z "$others" ] || { echo "$program: needs $others, which a wheel may not ask for" >&2; bad=1; }
done
exit $bad
