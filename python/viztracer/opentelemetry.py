"""VizSpanProcessor: spans of OpenTelemetry are asynchronous slices of whatever trace is on.

    from opentelemetry.sdk.trace import TracerProvider
    from viztracer.opentelemetry import VizSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(VizSpanProcessor())
"""

import json

from opentelemetry.sdk.trace import SpanProcessor

from viztracer import _viztracer_agent as agent
from viztracer._hush import hushed_class


def _record(letter, span, told):
    text = json.dumps(told, separators=(",", ":"), default=str)
    agent.mark(letter, "", str(span.name), "{:016x}".format(span.get_span_context().span_id), text)


@hushed_class
class VizSpanProcessor(SpanProcessor):
    """A span is an asynchronous slice ("b" and "e" events) with its id: it may cross calls and other spans, and may end on another thread than
    it began on. Its begin has the ids of its trace and its parent, its end the attributes. May be used by all threads; while
    nobody records, it does nothing."""

    def on_start(self, span, parent_context=None):
        if not agent.tracing():
            return
        told = {"trace_id": "{:032x}".format(span.get_span_context().trace_id)}
        parent = getattr(span, "parent", None)
        if parent is not None:
            told["parent_id"] = "{:016x}".format(parent.span_id)
        _record("b", span, told)

    def on_end(self, span):
        if agent.tracing():
            _record("e", span, dict(getattr(span, "attributes", None) or {}))

    def shutdown(self):
        """There is nothing to end."""

    def force_flush(self, timeout_millis=30000):
        """There is nothing to wait for."""
        return True
