"""Decorators: what a function leaves out of the trace, or puts into it."""

import functools
import inspect
import os
import time
import warnings

from viztracer import _viztracer_agent as agent
from viztracer._viztracer_agent import hushed
from viztracer.tracer import VizTracer, get_tracer


def ignore_function(method=None, tracer=None):
    """Nothing that the function runs on its thread is recorded. NameError when it is called and there is no tracer."""
    if method is None:
        return functools.partial(ignore_function, tracer=tracer)

    @functools.wraps(method)
    def ignored(*args, **kwargs):
        if tracer is None and get_tracer() is None:
            raise NameError("ignore_function only works with global tracer")
        return method(*args, **kwargs)

    return hushed(ignored)


def trace_and_save(method=None, output_dir="./", **viztracer_kwargs):
    """Each call is traced by a tracer of its own, into result_<function>_<time>.json in output_dir."""
    if method is None:
        return functools.partial(trace_and_save, output_dir=output_dir, **viztracer_kwargs)

    @functools.wraps(method)
    def traced(*args, **kwargs):
        tracer = VizTracer(**viztracer_kwargs)
        tracer.start()
        try:
            return method(*args, **kwargs)
        finally:
            tracer.stop()
            os.makedirs(output_dir, exist_ok=True)
            name = "result_{}_{}.json".format(method.__name__, int(100000 * time.time()))
            tracer.save(os.path.join(output_dir, name))
            tracer._drop()

    return traced


def log_sparse(func=None, stack_depth=0, dynamic_tracer_check=False):
    """With VizTracer(log_sparse=True), calls of this function are recorded, and others are not.

    dynamic_tracer_check: the tracer is looked for at each call, not now. stack_depth above 0 is not there: the function alone is
    recorded, after a RuntimeWarning."""
    if func is None:
        return functools.partial(log_sparse, stack_depth=stack_depth, dynamic_tracer_check=dynamic_tracer_check)
    if stack_depth:
        warnings.warn("log_sparse: stack_depth is ignored, only the function itself is recorded", RuntimeWarning, stacklevel=2)
    if not dynamic_tracer_check and not _is_sparse():
        return func
    code = func.__code__
    name = "{} ({}:{})".format(getattr(code, "co_qualname", code.co_name), code.co_filename, code.co_firstlineno)

    if inspect.iscoroutinefunction(func):

        @functools.wraps(func)
        async def logged(*args, **kwargs):
            with agent.span(name):
                return await func(*args, **kwargs)

    else:

        @functools.wraps(func)
        def logged(*args, **kwargs):
            if not _is_sparse():
                return func(*args, **kwargs)
            with agent.span(name):
                return func(*args, **kwargs)

    return logged


@hushed
def _is_sparse():
    tracer = get_tracer()
    return tracer is not None and tracer.log_sparse
