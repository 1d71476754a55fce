"""The tracer of a program that `viztracer` has started. The trace is not its own: viztracer ends and saves it."""

import os
import threading
import warnings

from viztracer import _viztracer_agent as agent
from viztracer._hush import hushed_class
from viztracer.tracer import VizTracer
from viztracer.vizplugin import VizPluginError, VizPluginManager


@hushed_class
class LaunchedTracer(VizTracer):
    """Its events go to the trace of the launch. What would stop or save that trace does nothing, after a RuntimeWarning."""

    def __init__(self):
        VizTracer.__init__(self, verbose=0, ignore_multiprocess=False)
        self.enable = True

    @property
    def log_sparse(self):
        return agent.sparse()

    @log_sparse.setter
    def log_sparse(self, value):
        """It is an option of the launch."""

    @property
    def collecting(self):
        return agent.recording()

    def _not_here(self, what):
        warnings.warn(
            "{}() does nothing: this program was started by viztracer, which saves the trace at its end.".format(what),
            RuntimeWarning,
            stacklevel=3,
        )

    def start(self):
        """The trace is on."""

    def stop(self, stop_option=None):
        self._not_here("stop")

    def clear(self):
        self._not_here("clear")

    def save(self, output_file=None, file_info=None, verbose=None):
        self._not_here("save")

    save_report = save

    def parse(self):
        self._not_here("parse")
        return 0

    def add_raw(self, raw):
        self._not_here("add_raw")

    def set_sync_marker(self):
        self._not_here("set_sync_marker")

    def pause(self):
        self._not_here("pause")

    def resume(self):
        """Nothing was paused."""

    def register_exit(self):
        """The end of the program is seen from outside."""

    def exit_routine(self):
        """The end of the program is seen from outside."""

    def _forked(self):
        if self._afterfork:
            callback, args, kwargs = self._afterfork
            callback(self, *args, **kwargs)


@hushed_class
class LaunchedPlugins(VizPluginManager):
    """--plugins: they are told of the start now, and of the end when the program's code has ended."""

    def __init__(self, names):
        self._pid = os.getpid()
        VizPluginManager.__init__(self, LaunchedTracer(), names)
        self.event("pre-start")
        self._register()

    def _register(self):
        """The end comes before the interpreter waits for threads, which a plugin may have."""
        if hasattr(threading, "_register_atexit"):
            threading._register_atexit(self._end)
            return
        wait = threading._shutdown  # 3.8

        def end():
            self._end()
            wait()

        threading._shutdown = end

    def _end(self):
        if os.getpid() == self._pid:
            self.event("post-stop")
            self.event("pre-save")
            self.terminate()

    def _unusable(self, why):
        raise VizPluginError(why)

    def _handle(self, plugin, handler):
        warnings.warn(
            "The plugin {} wants to change the trace, which is not in this program: use VizTracer(plugins=[...]) in it.".format(
                type(plugin).__name__
            ),
            RuntimeWarning,
            stacklevel=2,
        )
