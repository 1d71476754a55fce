from typing import Any

from viztracer._version import __version__ as __version__
from viztracer._viztracer_agent import counter as counter
from viztracer._viztracer_agent import instant as instant
from viztracer._viztracer_agent import span as span
from viztracer._viztracer_agent import span_begin as span_begin
from viztracer._viztracer_agent import span_end as span_end
from viztracer._viztracer_agent import tracing as tracing
from viztracer.decorator import ignore_function as ignore_function
from viztracer.decorator import log_sparse as log_sparse
from viztracer.decorator import trace_and_save as trace_and_save
from viztracer.tracer import VizTracer as VizTracer
from viztracer.tracer import get_tracer as get_tracer

def load_ipython_extension(ipython: Any) -> None: ...

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
