"""VizTracer: what a program starts, stops and saves its own trace with."""

import builtins
import json
import os
import sys
import time
import warnings

from viztracer import _viztracer_agent as agent
from viztracer._hush import hushed_class
from viztracer._session import Session, SessionError
from viztracer._version import __version__
from viztracer._viztracer_agent import hushed
from viztracer.vizevent import VizEvent

_ENTRIES = 1000000  # VizTracer's default; here it means that everything is kept

# Attribute -> what may be assigned to it.
_KINDS = {
    "verbose": "integer",
    "max_stack_depth": "integer",
    "include_files": "list",
    "exclude_files": "list",
    "ignore_c_function": "boolean",
    "ignore_frozen": "boolean",
    "log_func_retval": "boolean",
    "log_func_args": "boolean",
    "log_func_with_objprint": "boolean",
    "log_print": "boolean",
    "log_gc": "boolean",
    "log_sparse": "boolean",
    "log_async": "boolean",
    "trace_self": "boolean",
    "min_duration": "number",
    "process_name": "string",
    "log_func_repr": "function",
}
_TYPES = {
    "integer": ((int,), "an integer"),
    "boolean": ((bool,), "a boolean"),
    "number": ((int, float), "a number"),
    "list": ((list, type(None)), "a list or None"),
    "string": ((str, type(None)), "a string"),
    "function": (None, "a function or None"),
}


@hushed
def get_tracer():
    """The tracer that was made last, or None. In a program that `viztracer` has started: one of that trace."""
    tracer = builtins.__dict__.get("__viz_tracer__")
    if tracer is None and agent.launched():
        from viztracer._launched import LaunchedTracer

        tracer = LaunchedTracer()
    return tracer


def _text_of(value):
    try:
        return repr(value)
    except Exception:
        return "Not Displayable"


def _json(value):
    """Compact, and nothing in it that a file could not hold."""
    return json.dumps(value, separators=(",", ":"), default=_text_of)


class _Duration(object):
    """What add_duration returns."""

    def __init__(self, name, args):
        if not isinstance(name, str):
            raise TypeError("name must be a string")
        if args is not None and not isinstance(args, dict):
            raise TypeError("args must be a dict")
        self._name, self._args, self._spans = str(name), args or {}, []

    def __enter__(self):
        span = agent.span(self._name, **self._args)
        self._spans.append(span)
        span.__enter__()
        return self

    def __exit__(self, kind, value, traceback):
        self._spans.pop().__exit__(kind, value, traceback)

    def __call__(self, function):
        import functools

        name, args = self._name, self._args

        @functools.wraps(function)
        def call(*words, **named):
            with agent.span(name, **args):
                return function(*words, **named)

        return call


_Duration = hushed_class(_Duration)


@hushed_class
class VizTracer(object):
    """Records the calls of this process between start() and stop(), and saves them to files.

    One tracer records at a time; it records all threads. Methods may be called from any thread, but not from two at the same time.
    A daemon beside the process takes the events, so that saving needs no memory of this process. Options are read at the first
    start() after a save, a parse or a clear."""

    _recording = None  # the tracer whose session is on
    _audit = None  # the hook, which cannot be taken out again
    _in_trace = ("run",)  # functions that stay as they are: they run the program's code

    def __init__(
        self,
        tracer_entries=_ENTRIES,
        verbose=1,
        max_stack_depth=-1,
        include_files=None,
        exclude_files=None,
        ignore_c_function=False,
        ignore_frozen=False,
        log_func_retval=False,
        log_func_args=False,
        log_func_repr=None,
        log_func_with_objprint=False,
        log_print=False,
        log_gc=False,
        log_sparse=False,
        log_async=False,
        log_torch=False,
        log_audit=None,
        ignore_multiprocess=True,
        pid_suffix=False,
        file_info=True,
        register_global=True,
        report_endpoint=None,
        trace_self=False,
        min_duration=0,
        minimize_memory=False,
        dump_raw=False,
        sanitize_function_name=False,
        process_name=None,
        output_file="result.json",
        plugins=None,
    ):
        given = dict(locals())
        del given["self"]
        given.pop("__class__", None)
        if log_func_repr and log_func_with_objprint:
            raise ValueError("log_func_repr and log_func_with_objprint can't be set at the same time")
        if log_func_with_objprint:
            import objprint  # noqa: F401: an ImportError comes here, not at the start
        if isinstance(tracer_entries, bool) or not isinstance(tracer_entries, int):
            raise TypeError("tracer_entries must be an integer")
        self._given = given
        self._session = None
        self._afterfork = None
        self._raw = []  # events of add_raw and of torch; the daemon does not know them
        self._torch = None
        if log_torch:
            import torch  # ModuleNotFoundError here, not at the start

            self._torch = torch
        self._torch_profile = None
        self._sync_marker = None
        self._printed = None
        self._registered = None
        self._collects = False
        self.enable = False
        self.parsed = False
        self.data = {}
        self.total_entries = 0
        for name, value in given.items():
            if name not in ("plugins", "register_global"):
                setattr(self, name, value)
        self.output_file = output_file
        self._plugins = None
        if plugins:
            from viztracer.vizplugin import VizPluginManager

            self._plugins = VizPluginManager(self, plugins)
        if register_global:
            builtins.__dict__["__viz_tracer__"] = self

    # ---- settings ----

    def __setattr__(self, name, value):
        kind = _KINDS.get(name)
        if kind:
            types, text = _TYPES[kind]
            fits = value is None or callable(value) if kind == "function" else isinstance(value, types)
            if not fits or (kind in ("integer", "number") and isinstance(value, bool)):
                raise TypeError("{} must be {}".format(name, text))
        if name == "pid_suffix" and not isinstance(value, bool):
            raise ValueError("pid_suffix must be True or False, not {}".format(value))
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        if name in _KINDS:
            raise AttributeError("{} cannot be deleted".format(name))
        object.__delattr__(self, name)

    @property
    def init_kwargs(self):
        """The arguments that make a tracer with the settings of this one."""
        kwargs = {name: getattr(self, name, value) for name, value in self._given.items()}
        kwargs["register_global"] = self._given["register_global"]
        kwargs["plugins"] = self._given["plugins"]
        return kwargs

    @property
    def collecting(self):
        """Is this tracer recording now?"""
        return self._collects and agent.state() == 1

    def _options(self):
        words = []
        for name in ("ignore_c_function", "ignore_frozen", "log_gc", "log_async"):
            if getattr(self, name):
                words.append("--" + name)
        if self.log_func_args:
            words.append("--log_func_args")
        if self.log_func_retval:
            words.append("--log_func_retval")
        if self.log_func_args or self.log_func_retval:
            words.append("--log_func_repr")
        if self.max_stack_depth >= 0:
            words += ["--max_stack_depth", str(self.max_stack_depth)]
        if self.min_duration > 0:
            words += ["--min_duration", "{:.3f}us".format(self.min_duration)]
        for name in ("include_files", "exclude_files"):
            if getattr(self, name):
                words += ["--" + name] + [str(path) for path in getattr(self, name)]
        return words

    def _teller(self):
        """What tells values in place of repr, or None."""
        if not self.log_func_with_objprint:
            return self.log_func_repr
        from viztracer._extras import objprint_text

        return objprint_text()

    # ---- recording ----

    def start(self):
        """Begins to record, or goes on. Raises SessionError, a RuntimeError, when that is not possible."""
        if self.enable:
            return
        if self.include_files and self.exclude_files:
            raise Exception("include_files and exclude_files can't be both specified!")
        other = VizTracer._recording
        if other is not None and other is not self and other.enable:
            print("Warning! Overwrite tracer! You should not have two VizTracer recording at the same time!")
            other.stop()
        if agent.state() == 3:
            warnings.warn(
                "This process is traced from outside already: that trace has its spans and instants, this tracer records nothing.",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        if self._plugins:
            self._plugins.event("pre-start")
        self._want_audit(self.log_audit)
        if other is not None and other is not self:
            other._end(lost=True)
        if self._session is not None and (self._session.is_over or not self._session.belongs_here()):
            self._drop()
        if self._session is not None and not agent.go_on_possible():
            warnings.warn("The trace was ended from outside and was not saved; a new one begins.", RuntimeWarning, stacklevel=2)
            self._end(lost=True)
            self._drop()
        if self._session is None:
            self._session = Session(self._options())
            if self._registered:
                self._session.keep(self._registered, self._newest(), self.file_info)
            self.parsed = False
            self.data = {}
        self.enable = self._collects = True
        VizTracer._recording = self
        profile = None
        try:
            if self._torch:
                from viztracer._torch import TorchProfile

                profile = TorchProfile(self._torch)
                profile.start()
                self._torch_profile = profile
            if self.log_print:
                self._take_print()
            self._begin()
        except BaseException:
            self.enable = self._collects = False
            self._give_print_back()
            if self._torch_profile is not None:
                self._torch_profile = None
                profile.stop(0)
            if not self._session.is_over:
                self._drop()
            raise

    def _begin(self):
        if agent.state() == 0:
            self._session.begin(self.log_sparse, self._teller())
        elif agent.go_on():
            raise SessionError("the process that receives the trace has ended")

    def stop(self, stop_option=None):
        """Stops recording. What was recorded stays until it is saved, parsed or cleared. Calls that are open end here."""
        agent.hold()
        if not self.enable:
            return
        self.enable = self._collects = False
        self._give_print_back()
        if self._plugins:
            self._plugins.event("post-stop")
        if self._torch_profile is not None:
            profile, self._torch_profile = self._torch_profile, None
            try:
                self._raw += profile.stop(self.get_base_time())
            except Exception as error:  # the rest of the trace is saved all the same
                warnings.warn("torch.profiler has no events: {}".format(error), RuntimeWarning, stacklevel=2)

    def pause(self):
        """Records nothing until resume()."""
        if self.enable:
            self._collects = False
            agent.hold()

    def resume(self):
        """Goes on after pause()."""
        if self.enable and not self._collects:
            self._collects = True
            agent.go_on()

    def clear(self):
        """Forgets everything that was recorded."""
        enabled = self.enable
        if enabled:
            self.stop()
        self._end(lost=True)
        self._drop()
        self._raw = []
        self.parsed = False
        self.data = {}
        if enabled:
            self.start()

    def _end(self, lost=False):
        """Recording of this session is over for good. lost: no matter if the trace is lost; a save would raise then."""
        if self._session is None or self._session.is_over or not self._session.belongs_here():
            return
        if VizTracer._recording is self:
            agent.leave()
        try:
            self._session.finish()
        except SessionError:
            if not lost:
                raise

    def _drop(self):
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, traceback):
        self.stop()
        self.save()
        self.terminate()
        if get_tracer() is self:
            del builtins.__dict__["__viz_tracer__"]

    def terminate(self):
        """Ends the plugins."""
        if self._plugins:
            self._plugins.terminate()

    def run(self, command, output_file=None):
        """Executes the code of a str between start() and stop(), and saves."""
        code = compile(command, "<string>", "exec") if isinstance(command, str) else command
        namespace = {"__name__": "__main__", "__builtins__": builtins}
        self.start()
        try:
            exec(code, namespace)
        finally:
            self.stop()
        self.save(output_file)

    # ---- saving ----

    def _newest(self):
        return self.tracer_entries if self.tracer_entries != _ENTRIES and self.tracer_entries > 0 else 0

    def _place(self, output_file):
        if output_file is None:
            output_file = self.output_file
        if isinstance(output_file, os.PathLike):
            output_file = os.fspath(output_file)
        if not isinstance(output_file, str):
            raise ValueError("output_file has to be a string")
        path = os.path.abspath(output_file)
        if self.pid_suffix:
            folder, name = os.path.split(path)
            stem, dot, suffix = name.partition(".")
            path = os.path.join(folder, "{}_{}{}{}".format(stem, os.getpid(), dot, suffix))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def parse(self):
        """Takes what was recorded into `data`, as the dict of a JSON file. -> the number of events"""
        enabled = self.enable
        if enabled:
            self.stop()
        if not self.parsed:
            self.data = self._fetch()
            self.total_entries = sum(event["ph"] != "M" for event in self.data["traceEvents"])
            self.parsed = True
        if enabled:
            self.start()
        return self.total_entries

    def get_report(self):
        """What was recorded, as the dict of a JSON file."""
        self.parse()
        return self.data

    def _fetch(self):
        if self._session is None:
            data = {"traceEvents": [], "viztracer_metadata": {"version": __version__, "overflow": False}}
            self._complete(data)
            return data
        import tempfile

        self._end()
        folder = tempfile.mkdtemp(prefix="viztracer-")
        path = os.path.join(folder, "trace.json")
        try:
            self._session.save(path, self._newest(), self.file_info)
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
        finally:
            if os.path.exists(path):
                os.unlink(path)
            os.rmdir(folder)
        self._complete(data)
        return data

    def _complete(self, data):
        """Adds what only this process knows to the dict of a trace."""
        events = data["traceEvents"]
        events.sort(key=lambda event: event["ph"] != "M")  # names of processes and threads come first
        events += self._raw
        self._raw = []
        newest = self._newest()
        if newest:
            told = [number for number, event in enumerate(events) if event["ph"] != "M"]
            if len(told) > newest:
                unwanted = set(told[:-newest])
                data["traceEvents"] = [event for number, event in enumerate(events) if number not in unwanted]
                data["viztracer_metadata"]["overflow"] = True
        if self._sync_marker is not None:
            data["viztracer_metadata"]["sync_marker"] = self._sync_marker
        if self.process_name:
            for event in events:
                if event["ph"] == "M" and event["name"] == "process_name":
                    event["args"]["name"] = self.process_name

    def save(self, output_file=None, file_info=None, verbose=None):
        """Writes what was recorded since the last save, in the format of the name's suffix; recording goes on afterwards.
        A text stream gets the JSON text.

        Raises RuntimeError when nothing could be saved."""
        stream = output_file if hasattr(output_file, "write") else None
        path = None if stream is not None else self._place(output_file)
        if self._session is None and not self.parsed:
            warnings.warn(
                "Tried to save report without starting VizTracer. No data will be saved.", RuntimeWarning, stacklevel=2
            )
            return
        enabled = self.enable
        if enabled:
            self.stop()
        verbose = self.verbose if verbose is None else verbose
        file_info = self.file_info if file_info is None else file_info
        if stream is not None or self._plugins or self.parsed or self._raw or self._sync_marker is not None or self.process_name:
            from viztracer.report_builder import ReportBuilder

            self.parse()
            if self._plugins:
                self._plugins.event("pre-save")
            entries = self.total_entries
            ReportBuilder(self.data, verbose=0).save(path if stream is None else stream)
            dropped = 0
        else:
            self._end()
            entries, _, dropped = self._session.save(path, self._newest(), file_info)
        if verbose > 0 and stream is None:
            self._tell(path, entries, dropped)
        if enabled:
            self.start()

    def _tell(self, path, entries, dropped):
        print("Total Entries: {}".format(entries))
        if dropped:
            print("{} events were dropped; the gaps are marked.".format(dropped))
        print("Use the following command to open the report:")
        print("vizviewer {}".format('"{}"'.format(path) if " " in path else path), flush=True)

    save_report = save

    def dump(self, filename, sanitize_function_name=False):
        """save() without a message. Names are always good JSON."""
        self.save(filename, verbose=0)

    def load(self):
        """parse(), and the dict."""
        self.parse()
        return self.data

    def fork_save(self, output_file=None):
        """Saves in a forked process, which is returned. RuntimeError where processes are not forked by default."""
        import multiprocessing

        if multiprocessing.get_start_method() != "fork":
            raise RuntimeError("fork_save is only supported in fork start method")
        enabled = self.enable
        if enabled:
            self.stop()
        self._end()
        session, self._session = self._session, None
        process = multiprocessing.Process(target=self._save_in_child, args=(session, output_file))
        process.start()
        if session is not None:
            session.close()
        if enabled:
            self.start()
        return process

    def _save_in_child(self, session, output_file):
        self._session = session
        self.save(output_file)

    def register_exit(self):
        """Saves when the program ends, also by SIGTERM and by a signal that kills it."""
        import atexit
        import signal

        path = self._place(None)
        if self._session is not None and self._session.belongs_here():
            self._session.keep(path, self._newest(), self.file_info)
        self._registered = path
        atexit.register(self.exit_routine)

        def on_term(number, frame):
            sys.exit(0)

        try:
            if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                signal.signal(signal.SIGTERM, on_term)
        except ValueError:
            pass  # not the main thread

    def exit_routine(self):
        """Stops, saves and terminates, once."""
        import atexit

        atexit.unregister(self.exit_routine)
        self.stop(stop_option="flush_as_finish")
        if self._session is not None:
            self.save()
            self._drop()
        self.terminate()

    def install(self):
        """SIGUSR1 starts, SIGUSR2 stops and saves. A signal that the program uses itself is left alone: RuntimeError."""
        import signal

        for number in (signal.SIGUSR1, signal.SIGUSR2):
            if signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN):
                raise RuntimeError("{} is handled by this program already".format(signal.Signals(number).name))

        def on_stop(number, frame):
            self.stop()
            self.save()

        signal.signal(signal.SIGUSR1, lambda number, frame: self.start())
        signal.signal(signal.SIGUSR2, on_stop)

    # ---- events of the program's own ----

    def log_instant(self, name, args=None, scope="t", cond=True):
        """Marks a moment. scope: of a thread "t", of the process "p", of all "g"."""
        if not cond:
            return
        if not isinstance(name, str):
            raise TypeError("name must be a string")
        if not isinstance(scope, str):
            raise TypeError("scope must be a string")
        if scope not in ("g", "p", "t"):
            raise ValueError("scope must be one of g, p, t")
        agent.mark("i", scope, str(name), None, None if args is None else _json(args))

    def add_instant(self, name, args=None, scope="g"):
        """As log_instant, for the whole machine."""
        self.log_instant(name, args, scope)

    def log_var(self, name, var, cond=True):
        """A counter of a number, an instant with the text of anything else."""
        if not cond:
            return
        if isinstance(var, (int, float)) and not isinstance(var, bool):
            self.add_counter(name, {"value": var})
        else:
            self.log_instant(name, {"object": _text_of(var)})

    def add_variable(self, name, var, event="instant"):
        """What instrumented code calls."""
        if event == "instant":
            self.log_instant("{} = {}".format(name, _text_of(var)), scope="p")
        elif event == "counter":
            if not isinstance(var, (int, float)):
                raise ValueError("{}({}) is not a number".format(name, var))
            self.add_counter(name, {name: var})
        else:
            raise ValueError("{} is not supported".format(event))

    def log_event(self, name):
        """with tracer.log_event("name"): a slice as long as the block."""
        frame = sys._getframe(1)
        return VizEvent(self, name, frame.f_code.co_filename, frame.f_lineno)

    def add_duration(self, name, args=None):
        """with tracer.add_duration("name"): a slice as long as the block; or a decorator: as long as each call."""
        return _Duration(name, args)

    def add_counter(self, name, args):
        """args: {name: number}."""
        if not isinstance(name, str):
            raise TypeError("name must be a string")
        if not isinstance(args, dict):
            raise TypeError("args must be a dict")
        for key, value in args.items():
            if not isinstance(key, str) or isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError("the counter {} takes numbers by name".format(name))
        agent.mark("C", "", str(name), None, _json(args))

    def add_object(self, ph, obj_id, name, args=None):
        """ph: "N" new, "O" snapshot, "D" deleted."""
        if ph not in ("N", "O", "D"):
            raise ValueError("ph must be one of N, O, D")
        agent.mark(ph, "", str(name), str(obj_id), None if args is None else _json(args))

    def add_func_args(self, key, value):
        """A member of the "args" of the innermost call that this thread has open in the trace. value: anything that JSON has; of other
        objects the repr. With no open call, nothing."""
        if not isinstance(key, str):
            raise TypeError("key must be a string")
        agent.note(str(key), _json(value))

    def add_func_exec(self, name, val, lineno):
        """One more text of the "exec_steps" of that call: an assignment."""
        agent.note(None, "({}) {} = {}".format(lineno, name, _text_of(val)))

    def add_raw(self, raw):
        """An event as a file has it: a dict with ph, ts (us, as getts) and name. pid and tid are added where they are not there. It is kept in
        this process until the trace is saved."""
        if not isinstance(raw, dict):
            raise TypeError("raw must be a dict")
        import threading

        event = {"pid": os.getpid(), "tid": threading.get_native_id()}
        event.update(raw)
        json.dumps(event)  # TypeError here, not when the trace is saved
        self._raw.append(event)

    def log_attr(self, obj, name, cond=True):
        """log_var of an attribute; its name is Class.attribute."""
        if cond:
            self.log_var("{}.{}".format(type(obj).__name__, name), getattr(obj, name))

    def shield_ignore(self, func, *args, **kwargs):
        """func(*args, **kwargs)"""
        return func(*args, **kwargs)

    # ---- time ----

    def getts(self):
        """Now, in the trace's microseconds."""
        return time.monotonic_ns() / 1000 if hasattr(time, "monotonic_ns") else time.monotonic() * 1e6

    def get_base_time(self):
        """Nanoseconds that make the time of day of a trace's time."""
        return time.time_ns() - time.monotonic_ns()

    def set_sync_marker(self):
        """Remembers the time now, by which `--align_combine` brings traces together."""
        if self._sync_marker is not None:
            warnings.warn("Synchronization marker already set", RuntimeWarning, stacklevel=2)
        self._sync_marker = self.getts()

    def get_sync_marker(self):
        """That time, or None."""
        return self._sync_marker

    # ---- processes and threads ----

    def set_afterfork(self, callback, *args, **kwargs):
        """callback(tracer, *args, **kwargs) is called in forked children."""
        self._afterfork = (callback, args, kwargs)

    def enable_thread_tracing(self):
        """All threads are traced anyway."""

    def _forked(self):
        self.enable = self._collects = False
        if VizTracer._recording is self:
            VizTracer._recording = None
        if self._session is not None and not self._session.is_over:
            self._drop()
        if self._afterfork:
            callback, args, kwargs = self._afterfork
            callback(self, *args, **kwargs)

    # ---- print, audit events ----

    def _take_print(self):
        if self._printed is None:
            from viztracer._extras import start_print

            self._printed = start_print(agent, __import__)

    def _give_print_back(self):
        if self._printed is not None:
            builtins.print, self._printed = self._printed, None

    def _want_audit(self, patterns):
        if VizTracer._audit is None:
            if patterns is None:
                return
            from viztracer._extras import Audit

            VizTracer._audit = Audit(agent, __import__)
        wrong = VizTracer._audit.want([] if patterns is None else list(patterns) or [".*"])
        if wrong:
            raise ValueError(wrong.lstrip("-"))


def _after_fork():
    recording = VizTracer._recording
    for tracer in {id(t): t for t in (recording, get_tracer()) if t is not None}.values():
        tracer._forked()


os.register_at_fork(after_in_child=_after_fork)
