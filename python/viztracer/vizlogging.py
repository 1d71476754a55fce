"""VizLoggingHandler: log records as instants."""

import logging

from viztracer._hush import hushed_class


@hushed_class
class VizLoggingHandler(logging.Handler):
    """logging.getLogger().addHandler(VizLoggingHandler(tracer=tracer))"""

    def __init__(self, level=logging.NOTSET, tracer=None):
        logging.Handler.__init__(self, level)
        self._tracer = tracer

    def setTracer(self, tracer):
        """None: records are dropped."""
        self._tracer = tracer

    def emit(self, record):
        if self._tracer is not None:
            self._tracer.log_instant("logging - {}".format(self.format(record)), scope="p")
