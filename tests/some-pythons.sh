#!/bin/bash
# Runs a test program of another build on some of the interpreters: some-pythons.sh PROGRAM PATTERN (an extended regular expression
# for versions). It uses the tools of the program's own build folder, BUILD of BUILD/tests/integration/NAME.
BUILD=${1%%/tests/*}
VT_PYTHONS=$(printf '%s\n' "$VT_PYTHONS" | grep -E "^($2)")
[ -n "$VT_PYTHONS" ] || { echo "SKIP $(basename "$1") in $BUILD: no interpreter here is $2"; exit 77; }
export BUILD VT_PYTHONS
exec "$1"
