"""Stands in for the module of this name, for --log_func_with_objprint."""


def objstr(value):
    if type(value).__name__ == "Bad":
        raise KeyError(value)
    return "<told %s>" % type(value).__name__
