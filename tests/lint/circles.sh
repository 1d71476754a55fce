#!/bin/bash
# No circle of calls between the files of a folder: read from the symbols of the built objects. A file calls another when it uses
# a function or a variable that the other defines. The rows: FOLDER and where its objects are.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
rows="agent $build/agentobj/agent
daemon $build/obj/daemon
outside $build/obj/outside
proto $build/obj/proto"
bad=0

# Reads lines "FILE LETTER SYMBOL" (U = used, anything else = defined), prints the files of each circle, one circle per line.
circles() {
    awk '
    $2 != "U" { home[$3] = $1 }
    $2 == "U" { used[++n] = $1 SUBSEP $3 }
    function visit(v, i, w, next_one, k, to) { # strongly connected components (Tarjan)
        index_of[v] = low[v] = ++clock; stack[++top] = v; on[v] = 1
        k = split(edges[v], to, " ")
        for (i = 1; i <= k; i++) {
            w = to[i]
            if (!(w in index_of)) { visit(w); if (low[w] < low[v]) low[v] = low[w] }
            else if (on[w] && index_of[w] < low[v]) low[v] = index_of[w]
        }
        if (low[v] != index_of[v]) return
        next_one = stack[top]
        if (next_one == v) { on[v] = 0; top--; return }
        line = ""
        do { next_one = stack[top--]; on[next_one] = 0; line = line " " next_one } while (next_one != v)
        print substr(line, 2)
    }
    END {
        for (i = 1; i <= n; i++) {
            split(used[i], u, SUBSEP)
            to = home[u[2]]
            if (to != "" && to != u[1] && !((u[1], to) in known)) { known[u[1], to] = 1; edges[u[1]] = edges[u[1]] " " to; files[u[1]] }
        }
        for (f in files) if (!(f in index_of)) visit(f)
    }'
}

symbols() { # OBJECT...
    nm -A --defined-only --extern-only "$@" | sed -E 's/^([^:]*):[0-9a-f]* +([A-Za-z]) /\1 D /'
    nm -A --undefined-only "$@" | sed -E 's/^([^:]*): +[Uuvw] /\1 U /'
}

# Tests the check itself: it finds a circle of two files, and none elsewhere.
[ "$(printf 'a.o D f\na.o U g\nb.o D g\nb.o U f\n' | circles | wc -w)" = 2 ] || { echo "circles.sh does not see a circle"; exit 1; }
[ -z "$(printf 'a.o D f\na.o U g\nb.o D g\nc.o U f\nc.o U g\n' | circles)" ] || { echo "circles.sh sees a circle where there is none"; exit 1; }

while read -r folder where; do
    mapfile -t objects < <(git ls-files "$folder/*.c" | sed "s|^$folder/||; s|\.c\$|.o|; s|^|$where/|" | while read -r o; do [ -e "$o" ] && echo "$o"; done)
    [ "${#objects[@]}" -gt 3 ] || { echo "$folder: only ${#objects[@]} objects in $where: build first"; bad=1; continue; }
    while read -r circle; do
        echo "$folder/: these files call each other in a circle: $(echo "$circle" | tr ' ' '\n' | sed "s|^$where/||; s|\.o\$|.c|" | sort | tr '\n' ' ')"
        bad=1
    done < <(symbols "${objects[@]}" | circles)
done <<<"$rows"
exit $bad
