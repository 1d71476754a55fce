"""What VizTracer's attach calls inside a process. `viztracer --attach` of this package needs none of it."""

import base64
import builtins
import json
import sys
from types import SimpleNamespace

from viztracer._viztracer_agent import hushed
from viztracer.tracer import VizTracer, get_tracer

attach_status = SimpleNamespace(created_tracer=False, save_path="", attached=False)


def _reset():
    attach_status.created_tracer = attach_status.attached = False
    attach_status.save_path = ""


def _unregister():
    builtins.__dict__.pop("__viz_tracer__", None)


@hushed
def start_attach(init_kwargs_b64):
    """init_kwargs_b64: a base64 text of the JSON of VizTracer's arguments. Uses the program's tracer when it has one that does not record."""
    kwargs = json.loads(base64.urlsafe_b64decode(init_kwargs_b64))
    tracer = get_tracer()
    if tracer is not None and tracer.enable:
        print("Can't attach when VizTracer is already running.", file=sys.stderr)
        return
    if tracer is None:
        tracer = VizTracer(**kwargs)
        attach_status.created_tracer = True
    attach_status.attached = True
    attach_status.save_path = kwargs.get("output_file", tracer.output_file)
    if tracer.verbose > 0:
        print("Detected attaching viztracer, start tracing.", flush=True)
    tracer.start()


@hushed
def stop_attach():
    """Stops and saves. Nothing if start_attach did not start."""
    tracer = get_tracer()
    if not attach_status.attached or tracer is None:
        return
    path, created = attach_status.save_path, attach_status.created_tracer
    tracer.stop()
    tracer.save(path)
    if tracer.verbose > 0:
        print("Saved report to {}".format(path), flush=True)
    if created:
        _unregister()
    _reset()


@hushed
def uninstall_attach():
    """Stops, saves nothing, and forgets the tracer."""
    tracer = get_tracer()
    if tracer is not None:
        tracer.stop()
        tracer.clear()
        _unregister()
    _reset()
