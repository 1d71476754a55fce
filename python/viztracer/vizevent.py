"""VizEvent: what `with tracer.log_event(name)` uses."""

from viztracer import _viztracer_agent as agent
from viztracer._hush import hushed_class


@hushed_class
class VizEvent(object):
    """A slice as long as a `with` block, with the place of the block in its name."""

    __slots__ = ("_span",)

    def __init__(self, tracer, event_name, file_name, lineno):
        self._span = "{} ({}:{})".format(event_name, file_name, lineno)

    def __enter__(self):
        agent.span_begin(self._span)
        return self

    def __exit__(self, kind, value, traceback):
        agent.span_end(self._span)
