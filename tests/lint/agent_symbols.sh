#!/bin/bash
# The libraries that run in a target import nothing, need no library, and export only what their .map lists. The agent has no
# constructors. The launch library, which is preloaded, has one.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
fail() { echo "$lib: $1"; bad=1; }

check() { # LIBRARY MAP FORBIDDEN-TAGS
    local lib=${BUILD:-build}/lib/$1
    [ -e "$lib" ] || { echo "no $lib"; exit 1; }
    undefined=$(nm -D --undefined-only "$lib" | awk '{print $NF}')
    [ -z "$undefined" ] || fail "imports: $(echo $undefined)"
    needed=$(readelf -dW "$lib" | grep NEEDED)
    [ -z "$needed" ] || fail "needs libraries: $needed"
    readelf -dW "$lib" | grep -qE "\\(($3)\\)" && fail "has one of $3"
    readelf -lW "$lib" | grep -qE 'GNU_STACK.* RWE' && fail "has an executable stack"
    exported=$(nm -D --defined-only "$lib" | awk '$2 != "A" {print $NF}' | sed 's/@.*//' | sort)
    listed=$(sed -n '/global:/,/local:/p' "$2" | grep -oE '[A-Za-z_][A-Za-z0-9_]*;' | tr -d ';' | sort)
    [ "$exported" = "$listed" ] || fail "exports $(echo $exported), $2 lists $(echo $listed)"
}

check libviztracer_agent.so agent/agent.map 'INIT|FINI|INIT_ARRAY|FINI_ARRAY|TEXTREL|RPATH|RUNPATH'
check libviztracer_launch.so launch/launch.map 'INIT|FINI|FINI_ARRAY|TEXTREL|RPATH|RUNPATH'
exit $bad
