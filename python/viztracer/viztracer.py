"""VizTracer and get_tracer, where VizTracer's own package has them."""

from viztracer.tracer import VizTracer, get_tracer

__all__ = ["VizTracer", "get_tracer"]
