"""VizObject: an object whose attributes are snapshots in the trace."""

from viztracer._hush import hushed_class
from viztracer._watched import Watched


@hushed_class
class VizObject(Watched):
    """Each change of an attribute is a snapshot of the object `name`. Lists, dicts, numbers and texts are shown."""

    def __init__(self, tracer, name, trigger_on_change=True, include_attributes=(), exclude_attributes=()):
        Watched.__init__(self, tracer, name, trigger_on_change, include_attributes, exclude_attributes)
        if tracer is not None:
            tracer.add_object("N", id(self), name)

    def __setattr__(self, name, value):
        self._set(name, value)

    def __del__(self):
        tracer = self.__dict__.get("_tracer")
        if tracer is not None:
            tracer.add_object("D", id(self), self._name)

    def log(self):
        """Records the attributes now."""
        if self._tracer is not None:
            snapshot = {"snapshot": self._values((list, dict, int, float, str))}
            self._tracer.add_object("O", id(self), self._name, snapshot)
