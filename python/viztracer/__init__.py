"""Traces Python programs; a drop-in for VizTracer's package on the engine of viztracerd."""

from viztracer._beside import warn_of_viztracer
from viztracer._version import __version__
from viztracer._viztracer_agent import counter, instant, span, span_begin, span_end, tracing
from viztracer.decorator import ignore_function, log_sparse, trace_and_save
from viztracer.tracer import VizTracer, get_tracer



def load_ipython_extension(ipython):
    """%load_ext viztracer: the cell magic %%viztracer."""
    from viztracer import _notebook

    _notebook.load_ipython_extension(ipython)


__all__ = [
    "VizTracer",
    "__version__",
    "counter",
    "get_tracer",
    "ignore_function",
    "instant",
    "load_ipython_extension",
    "log_sparse",
    "span",
    "span_begin",
    "span_end",
    "trace_and_save",
    "tracing",
]

warn_of_viztracer()
