"""The base of VizCounter and VizObject, under VizTracer's name."""

from viztracer._watched import Watched as _EventBase

__all__ = ["_EventBase"]
