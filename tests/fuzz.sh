#!/bin/bash
# One fuzzer for a while: fuzz.sh PROGRAM SECONDS. Starts from tests/fuzz/corpus/NAME where it exists; new inputs stay in the build folder.
set -u
program=$1 seconds=$2
name=$(basename "$program")
found=$(dirname "$program")/$name.found
mkdir -p "$found"
seeds=
[ -d "tests/fuzz/corpus/$name" ] && seeds=tests/fuzz/corpus/$name
dictionary=
[ -e "tests/fuzz/$name.dict" ] && dictionary=-dict=tests/fuzz/$name.dict
seed=0 # a random one
[ "$seconds" -le 10 ] && seed=1 # `make test` uses the same inputs each time, `make fuzz` searches for new ones
exec "$program" -seed=$seed -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 -artifact_prefix="$found/crash-" \
    $dictionary "$found" $seeds
