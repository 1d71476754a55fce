#!/bin/bash
# The agent library imports nothing, needs no library, exports only its entry points, and has no constructors.
set -u
cd "$(dirname "$0")/../.." || exit 1
lib=${BUILD:-build}/lib/libviztracer_agent.so
[ -e "$lib" ] || { echo "no $lib"; exit 1; }
bad=0
fail() { echo "$lib: $1"; bad=1; }
undefined=$(nm -D --undefined-only "$lib" | awk '{print $NF}')
[ -z "$undefined" ] || fail "imports: $(echo $undefined)"
needed=$(readelf -dW "$lib" | grep NEEDED)
[ -z "$needed" ] || fail "needs libraries: $needed"
readelf -dW "$lib" | grep -qE '\((INIT|FINI|INIT_ARRAY|FINI_ARRAY|TEXTREL|RPATH|RUNPATH)\)' && fail "has constructors, destructors, text relocations or a run path"
readelf -lW "$lib" | grep -qE 'GNU_STACK.* RWE' && fail "has an executable stack"
exported=$(nm -D --defined-only "$lib" | awk '$2 != "A" {print $NF}' | sed 's/@.*//' | sort)
listed=$(sed -n '/global:/,/local:/p' agent/agent.map | grep -oE '[A-Za-z_][A-Za-z0-9_]*;' | tr -d ';' | sort)
[ "$exported" = "$listed" ] || fail "exports $(echo $exported), agent.map lists $(echo $listed)"
exit $bad
