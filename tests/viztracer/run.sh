#!/bin/sh
# run.sh [MODULE...]: runs VizTracer's own tests against the package in $BUILD/python and the programs in $BUILD/bin. $VIZTRACER_TESTS names an
# sdist of VizTracer (a .tar.gz), or a folder with its test_*.py; without it the case is skipped by name. $VIZTRACER_PYTHON is the interpreter (the
# default is python3). Exit 1 when a test fails that docs/compatibility.md does not name, or when one passes that it names.
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
build=$(realpath "${BUILD:-build}")
if [ -z "${VIZTRACER_TESTS:-}" ]; then
    echo "SKIP viztracer: VIZTRACER_TESTS names no sdist or folder of VizTracer's tests (pip download viztracer==1.1.1 --no-binary :all: --no-deps)"
    exit 77
fi
exec env PYTHONDONTWRITEBYTECODE=1 VIZTRACERD_SOCKET=none "${VIZTRACER_PYTHON:-python3}" "$here/run.py" "$VIZTRACER_TESTS" "$build" docs/compatibility.md "$@"
