from viztracer.tracer import VizTracer as VizTracer
from viztracer.tracer import get_tracer as get_tracer

__all__ = ["VizTracer", "get_tracer"]
