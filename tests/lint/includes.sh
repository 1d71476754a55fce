#!/bin/bash
# Who may include whom. Includes are written from the top folder, so that each line shows where it leads.
# 1. Between folders: the list in allowed(). options/ parses command lines for the client and for the daemon: it is below both.
# 2. Inside a folder: the orders below. A room may include itself and the rooms to its right; rooms with a comma between them do
#    not include one another. A room is a subfolder; root: the files beside the subfolders; format/*: each folder in format/. In
#    proto/, which has no rooms, the words are names of files.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
orders='
cli: root > view, dump, top > sample > convert > format > format/cvf > format/* > report > profile > trace > client > term > base
agent: root > hooks > limit > session > names > record > cpython > cpython/*
daemon: root > serve > session > drain, io
options: parse > values > help, suggest > options
proto: trace_reader > msg > frame > msg_table > block_enc, block_dec > block_code > block > beside, clock, rundir, spooldir, texts > owndir > base > abi
'

allowed() { # FOLDER INCLUDE
    case $1:$2 in
    agent:agent/* | agent:proto/abi/*) return 0 ;;
    launch:launch/* | launch:agent/cpython/base.h | launch:agent/cpython/arch.h | launch:agent/cpython/symbols.h | launch:proto/abi/*) return 0 ;;
    attach:attach/* | attach:proto/base.h | attach:proto/abi/*) return 0 ;;
    outside:outside/* | outside:proto/base.h | outside:proto/abi/*) return 0 ;;
    outside:attach/attach_priv.h) return 1 ;;
    outside:attach/*) return 0 ;;
    options:options/* | options:proto/base.h) return 0 ;;
    tools:tools/* | tools:options/options.h | tools:cli/cli.h | tools:cli/format/format.h | tools:daemon/command_line.h | tools:proto/rundir.h) return 0 ;;
    daemon:options/options.h | cli:options/options.h | daemon:outside/outside.h | cli:outside/outside.h) return 0 ;;
    daemon:daemon/* | daemon:attach/* | daemon:proto/* | daemon:viztracerd.pb-c.h) return 0 ;;
    cli:cli/* | cli:proto/* | cli:viztracerd.pb-c.h) return 0 ;;
    proto:proto/* | proto:viztracerd.pb-c.h) return 0 ;;
    esac
    return 1
}

includes() { # FOLDER -> lines FILE:LINE:INCLUDE
    grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$1" --include='*.[ch]' | sed -E 's/^([^:]*):([0-9]*):[^"]*"([^"]*)".*/\1:\2:\3/'
}

# Lines FILE:LINE:INCLUDE of one folder on stdin -> complaints. FOLDER ORDER
check_order() {
    awk -F: -v folder="$1" -v order="$2" '
    function dir(path) { return path ~ /\// ? substr(path, 1, match(path, /\/[^\/]*$/) - 1) : "" }
    function room(path, below, d, stem) { # the name by which the order knows it
        below = substr(path, length(folder) + 2)
        d = dir(below)
        stem = below
        sub(/\.[ch]$/, "", stem)
        if (d == "" && stem in rank) return stem
        return d == "" ? "root" : d
    }
    function rank_of(r) {
        if (r in rank) return rank[r]
        sub(/\/[^\/]*$/, "/*", r)
        return r in rank ? rank[r] : 0
    }
    BEGIN {
        n = split(order, levels, " > ")
        for (i = 1; i <= n; i++) {
            m = split(levels[i], rooms, ", ")
            for (j = 1; j <= m; j++) rank[rooms[j]] = i
        }
    }
    index($3, folder "/") == 1 {
        a = room($1); b = room($3)
        if (a == b) next
        if (!rank_of(a) || !rank_of(b)) print $1 ":" $2 ": " (rank_of(a) ? b : a) " has no place in the order of " folder "/"
        else if (rank_of(a) >= rank_of(b)) print $1 ":" $2 ": " a " may not include " b " (" $3 "): the order is " order
    }'
}

# Tests the check itself: what it accepts and what it refuses.
self_test() { # WANTED-LINES FOLDER ORDER LINE...
    local want=$1 folder=$2 order=$3
    shift 3
    [ "$(printf '%s\n' "$@" | check_order "$folder" "$order" | wc -l)" = "$want" ] || { echo "includes.sh: its own check fails on: $*"; bad=1; }
}
self_test 0 d 'root > a > a/* > b, c' d/main.c:1:d/a/x.h d/a/x.c:1:d/a/y/z.h d/a/y/z.c:1:d/b/b.h d/b/b.c:1:d/b/c.h
self_test 5 d 'root > a > a/* > b, c' d/b/b.c:1:d/a/x.h d/b/b.c:1:d/c/c.h d/a/y/z.c:1:d/a/x.h d/a/y/z.c:1:d/a/w/z.h d/e/e.c:1:d/b/b.h

for folder in agent launch options attach outside daemon cli proto tools; do
    while IFS=: read -r file line include; do
        [ -n "$include" ] || continue
        allowed "$folder" "$include" || { echo "$file:$line: $folder/ may not include \"$include\""; bad=1; }
    done < <(includes "$folder")
done
while IFS=: read -r folder order; do
    [ -n "$folder" ] || continue
    while read -r complaint; do echo "$complaint"; bad=1; done < <(includes "$folder" | check_order "$folder" "${order# }")
done <<<"$orders"
# the agent may use the compiler's own headers only
while read -r hit; do echo "$hit: not a freestanding header"; bad=1; done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<' agent launch proto/abi --include='*.[ch]' |
    grep -vE '<(stdint|stddef|stdbool|stdarg|limits|stdatomic|x86intrin|immintrin)\.h>' | cut -d'"' -f1)
exit $bad
