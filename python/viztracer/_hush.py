"""Makes classes whose own code is not in a trace."""

import types

from viztracer._viztracer_agent import hushed


def hushed_class(cls):
    """Every function of the class is replaced by one in which nothing is recorded."""
    for name, value in list(vars(cls).items()):
        if name in getattr(cls, "_in_trace", ()):
            continue
        if isinstance(value, types.FunctionType):
            setattr(cls, name, hushed(value))
        elif isinstance(value, property):
            setattr(cls, name, property(hushed(value.fget), value.fset, value.fdel, value.__doc__))
    return cls
