"""Finds the programs that the package needs: they come with it, and are no Python code."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _folders():
    named = os.environ.get("VIZTRACER_BIN")
    if named:
        yield named
    yield os.path.join(_HERE, "bin")
    # pip install --target, then build/python/viztracer, then PREFIX/lib/python3/dist-packages/viztracer and a virtual environment's
    for up in (1, 2, 4):
        yield os.path.join(os.path.abspath(os.path.join(_HERE, *[os.pardir] * up)), "bin")
    yield os.path.dirname(sys.executable or "")
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        yield folder


def find(name):
    """The path of `viztracer` or `vizviewer`. The package VizTracer has scripts of these names; ours lie beside viztracerd.

    Raises RuntimeError with one line that says what to do."""
    for folder in _folders():
        path = os.path.join(folder, name)
        if folder and os.access(path, os.X_OK) and os.access(os.path.join(folder, "viztracerd"), os.X_OK):
            return path
    raise RuntimeError(
        "the programs viztracer and viztracerd are not beside this package, beside the interpreter or on PATH: "
        "install them (make install), or name their folder in VIZTRACER_BIN"
    )


def become(name, arguments):
    """Replaces this process by the program. Returns only with an exit status, after a line on stderr."""
    try:
        path = find(name)
        sys.stdout.flush()
        os.execv(path, [name] + list(arguments))
    except (RuntimeError, OSError) as error:
        print("viztracer: {}".format(error), file=sys.stderr)
    return 1
