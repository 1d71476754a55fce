"""Traces Python programs; a drop-in for VizTracer's package on the engine of viztracerd."""

from viztracer._version import __version__

__all__ = ["__version__"]
