"""Owns the warning that VizTracer's own distribution is installed in the same environment: one package would hide the other silently."""

import os
import warnings


def _version_beside(folder):
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    for name in names:
        if name.startswith("viztracer-") and name.endswith(".dist-info"):
            return name[len("viztracer-") : -len(".dist-info")]
    return None


def warn_of_viztracer():
    version = _version_beside(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if version:
        warnings.warn(
            "VizTracer {} is installed in this environment, too, and this is the package viztracer of viztracerd; uninstall both with "
            "pip, then install the one that you want".format(version),
            RuntimeWarning,
            stacklevel=3,
        )
