"""VizCounter: an object whose numbers are a counter in the trace."""

from viztracer._hush import hushed_class
from viztracer._watched import Watched


@hushed_class
class VizCounter(Watched):
    """Each change of a numeric attribute is an event of the counter `name`. tracer=None: nothing is recorded."""

    def __setattr__(self, name, value):
        if not name.startswith("_") and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise Exception("Counter can only take numeric values")
        self._set(name, value)

    def log(self):
        """Records the values now."""
        if self._tracer is not None:
            self._tracer.add_counter(self._name, self._values((int, float)))
