#!/bin/bash
# Who may include whom: cli -> proto; daemon -> attach, proto; attach -> proto/base.h and proto/abi; agent -> proto/abi only; proto -> proto.
# Includes are written from the top folder, so that the arrow can be read off each line.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
allowed() { # FOLDER INCLUDE
    case $1:$2 in
    agent:agent/* | agent:proto/abi/*) return 0 ;;
    attach:attach/* | attach:proto/base.h | attach:proto/abi/*) return 0 ;;
    daemon:daemon/* | daemon:attach/* | daemon:proto/* | daemon:viztracerd.pb-c.h) return 0 ;;
    cli:cli/* | cli:proto/* | cli:viztracerd.pb-c.h) return 0 ;;
    proto:proto/* | proto:viztracerd.pb-c.h) return 0 ;;
    esac
    return 1
}
for folder in agent attach daemon cli proto; do
    while IFS=: read -r file line include; do
        [ -n "$include" ] || continue
        allowed "$folder" "$include" || { echo "$file:$line: $folder/ may not include \"$include\""; bad=1; }
    done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$folder" --include='*.[ch]' | sed -E 's/^([^:]*):([0-9]*):[^"]*"([^"]*)".*/\1:\2:\3/')
done
# the agent may use the compiler's own headers only
while read -r hit; do echo "$hit: not a freestanding header"; bad=1; done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<' agent proto/abi --include='*.[ch]' |
    grep -vE '<(stdint|stddef|stdbool|stdarg|limits|stdatomic|x86intrin|immintrin)\.h>' | cut -d'"' -f1)
exit $bad
