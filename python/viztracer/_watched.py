"""What VizCounter and VizObject have in common: attributes that are told when they change."""

import functools

from viztracer._hush import hushed_class

_SETTINGS = ("trigger_on_change", "include_attributes", "exclude_attributes")


@hushed_class
class Watched(object):
    _in_trace = ("triggerlog",)

    def __init__(self, tracer, name="", trigger_on_change=True, include_attributes=(), exclude_attributes=()):
        own = self.__dict__
        own["_tracer"] = tracer
        own["_name"] = name
        own["_trigger_on_change"] = trigger_on_change
        own["_include_attributes"] = list(include_attributes)
        own["_exclude_attributes"] = list(exclude_attributes)

    def _set(self, name, value):
        object.__setattr__(self, name, value)
        if self._trigger_on_change and self._is_told(name):
            self.log()

    def _is_told(self, name):
        wanted = self._include_attributes
        return not name.startswith("_") and (name in wanted if wanted else name not in self._exclude_attributes)

    def _values(self, types):
        return {name: value for name, value in self.__dict__.items() if self._is_told(name) and isinstance(value, types)}

    def log(self):
        """Records the values now."""
        raise NotImplementedError("VizCounter and VizObject record, their base does not")

    def config(self, key, value):
        """Changes trigger_on_change, include_attributes or exclude_attributes."""
        if key not in _SETTINGS:
            raise ValueError("{} is not a setting".format(key))
        self.__dict__["_" + key] = value

    @staticmethod
    def triggerlog(function=None, when="after"):
        """A decorator for methods: logs the object before or after each call, or both."""
        if when not in ("after", "before", "both"):
            raise ValueError("when has to be one of after, before and both")
        if function is None:
            return functools.partial(Watched.triggerlog, when=when)

        @functools.wraps(function)
        def method(self, *args, **kwargs):
            if when != "after":
                self.log()
            result = function(self, *args, **kwargs)
            if when != "before":
                self.log()
            return result

        return method
