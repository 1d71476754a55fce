"""Another tool works in this process too: beside.py KIND [HOOK.so | FOLDER of coverage], a key of `tools`.
Three rounds (before, during and after a trace), each when the test sets slot 60: 300 calls of f. Slot 10+round: calls that the
other tool saw; slot 20+round: 1 when its hook is still in place; slot 61: the round that is done."""
import ctypes
import os
import sys
import threading

from progress import ready, slots

CALLS = 300


def f():
    return 1


def calls(n=CALLS):
    for _ in range(n):
        f()


class Profiler:
    def __init__(self):
        import cProfile

        self.profile = cProfile.Profile()
        self.profile.enable()

    def seen(self):
        return sum(e.callcount for e in self.profile.getstats() if e.code is f.__code__)

    def there(self):
        if sys.version_info >= (3, 12):
            return sys.monitoring.get_tool(2) == "cProfile"
        return sys.getprofile() is self.profile


class Hook:
    """A function given to sys.setprofile or sys.settrace."""

    def __init__(self, install, get):
        self.count = 0
        self.get = get
        install(self.call)
        self.ours = get()

    def call(self, frame, event, arg):
        if event == "call" and frame.f_code is f.__code__:
            self.count += 1
        return self.call

    def seen(self):
        return self.count

    def there(self):
        return self.get() is self.ours


class Runcall:
    """`profile` of the standard library, once per round: it checks that each end that it is told of has a beginning."""

    def __init__(self):
        import profile

        self.make, self.count = profile.Profile, 0

    def run(self, work):
        p = self.make(timer=lambda: 0)
        p.runcall(work)
        p.create_stats()
        self.count += sum(v[0] for k, v in p.stats.items() if k[2] == "f")

    def seen(self):
        return self.count

    def there(self):
        return sys.getprofile() is None


class ByApi(Runcall):
    """A profiler in C, as yappi: it sets and removes its function without a call that the interpreter tells of."""

    def __init__(self):
        self.count = 0
        self.type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.py_object, ctypes.c_int, ctypes.c_void_p)
        self.function = self.type(self.call)

    def call(self, obj, frame, what, arg):
        self.count += what == 0 and frame.f_code is f.__code__
        return 0

    def run(self, work):
        ctypes.pythonapi.PyEval_SetProfile(self.function, None)
        work()
        ctypes.pythonapi.PyEval_SetProfile(None, None)


class Born(Runcall):
    """A thread that C code starts makes the calls."""

    def __init__(self):
        self.count = 0
        self.libc = ctypes.CDLL(None)
        self.body = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(self.calls)

    def calls(self, unused):
        calls()
        self.count += CALLS

    def run(self, work):
        thread = ctypes.c_ulong()
        self.libc.pthread_create(ctypes.byref(thread), None, self.body, None)
        self.libc.pthread_join(thread, None)


class Requests(Runcall):
    """A profiler for each request, in the main thread and in two others; each profiler another way."""

    def __init__(self):
        import cProfile
        import profile

        self.count, self.ways = 0, [self.by_function, self.by_module(profile), self.by_c(cProfile)]
        if sys.version_info < (3, 12):  # since then, a thread that ends with a function disturbs `profile` afterwards
            self.ways.append(self.by_threading)

    def note(self, frame, event, arg):
        self.count += event == "call" and frame.f_code is f.__code__

    def by_function(self):
        sys.setprofile(self.note)
        calls(5)
        sys.setprofile(None)

    def by_threading(self):
        threading.setprofile(self.note)
        t = threading.Thread(target=calls, args=(5,))
        t.start()
        t.join()
        threading.setprofile(None)

    def by_module(self, module):
        def request():
            p = module.Profile(timer=lambda: 0)
            p.runcall(calls, 5)
            p.create_stats()
            self.count += sum(v[0] for k, v in p.stats.items() if k[2] == "f")

        return request

    def by_c(self, module):
        def request():
            p = module.Profile()
            p.enable()
            calls(5)
            p.disable()
            self.count += sum(e.callcount for e in p.getstats() if e.code is f.__code__)

        return request

    def requests(self):
        for i in range(CALLS // 15):
            self.ways[i % len(self.ways)]()

    def run(self, work):
        for _ in range(2):
            t = threading.Thread(target=self.requests)
            t.start()
            t.join()
        self.requests()


class Debugger(Runcall):
    """A debugger steps through each round."""

    def __init__(self, **options):
        import bdb

        other = self
        self.count = 0

        class Steps(bdb.Bdb):
            def user_call(self, frame, args):
                other.count += frame.f_code is f.__code__

            def user_line(self, frame):
                self.set_step()

            user_return = user_exception = lambda self, frame, value: self.set_step()

        self.steps = lambda: Steps(**options)

    def run(self, work):
        self.steps().runcall(work)

    def there(self):
        return sys.getprofile() is None and sys.gettrace() is None


class Tools(Runcall):
    """Tools of sys.monitoring that come and go with each round: a debugger's, a coverage's, a profiler's id. One switches its event off at
    the first call, and a tool of another id must not notice."""

    def __init__(self):
        self.count, self.lines = 0, 0

    def started(self, code, offset):
        self.count += code is f.__code__

    def line(self, code, line):
        self.lines += 1
        return sys.monitoring.DISABLE

    def run(self, work):
        m = sys.monitoring
        self.lines = 0
        for tool in (0, 1, 2):
            m.use_tool_id(tool, "other-%d" % tool)
        m.register_callback(0, m.events.PY_START, self.started)
        m.register_callback(1, m.events.LINE, self.line)
        m.set_local_events(1, f.__code__, m.events.LINE)
        m.set_events(0, m.events.PY_START)
        work()
        m.set_events(0, 0)
        m.set_local_events(1, f.__code__, 0)
        m.register_callback(0, m.events.PY_START, None)
        m.register_callback(1, m.events.LINE, None)
        for tool in (0, 1, 2):
            m.free_tool_id(tool)
        m.restart_events()

    def there(self):
        return self.lines == 1 and all(sys.monitoring.get_tool(t) is None for t in (0, 1, 2))


class Monitor:
    """Two tools, 1 and 3, as coverage and a tracer have them: 4 is free."""

    def __init__(self):
        m = sys.monitoring
        self.count = {1: 0, 3: 0}
        for tool in self.count:
            m.use_tool_id(tool, "other-%d" % tool)
            m.register_callback(tool, m.events.PY_START, self.callback(tool))
            m.set_events(tool, m.events.PY_START)

    def callback(self, tool):
        def started(code, offset):
            if code is f.__code__:
                self.count[tool] += 1

        return started

    def seen(self):
        return self.count[1] if self.count[1] == self.count[3] else -1

    def there(self):
        m = sys.monitoring
        return all(m.get_tool(t) == "other-%d" % t and m.get_events(t) == m.events.PY_START for t in self.count)


def mark_1():
    return 1


def mark_2():
    return 2


def mark_3():
    return 3


class Coverage:
    """coverage.py: it tells lines, so each round runs a line that no other does."""

    marks = (mark_1, mark_2, mark_3)

    def __init__(self):
        sys.path.append(sys.argv[2])
        import coverage

        self.coverage = coverage.Coverage(data_file=None, include=[__file__])
        self.coverage.start()
        self.tracer = sys.gettrace()

    def seen(self):
        lines = self.coverage.get_data().lines(os.path.abspath(__file__)) or []
        return CALLS * sum(m.__code__.co_firstlineno + 1 in lines for m in self.marks)

    def there(self):
        return self.tracer is not None and sys.gettrace() == self.tracer


class CoverageRounds(Runcall):
    """coverage.py starts and stops within each round."""

    def __init__(self):
        sys.path.append(sys.argv[2])
        import coverage

        self.count, self.coverage = 0, coverage.Coverage(data_file=None, include=[__file__])

    def run(self, work):
        mark = Coverage.marks[slots[60] - 1]
        self.coverage.erase()
        self.coverage.start()
        work()
        mark()
        self.coverage.stop()
        lines = self.coverage.get_data().lines(os.path.abspath(__file__)) or []
        self.count += CALLS * (mark.__code__.co_firstlineno + 1 in lines and f.__code__.co_firstlineno + 1 in lines)

    def there(self):
        return sys.gettrace() is None


class EvalHook:
    """A frame evaluation function of somebody else (PEP 523), in C."""

    def __init__(self):
        self.lib = ctypes.PyDLL(sys.argv[2])
        self.lib.hook_install()

    def seen(self):
        # it counts all frames: f's are the most of them; a round makes 300 and a few
        n = self.lib.hook_count()
        return CALLS if CALLS <= n - self.last < CALLS + 50 else n - self.last

    last = 0

    def there(self):
        return self.lib.hook_there() == 1


def rounds(other):
    before = 0
    for n in (1, 2, 3):
        while slots[60] < n:
            pass
        if isinstance(other, EvalHook):
            other.last = other.lib.hook_count()
        if isinstance(other, Runcall):
            other.run(calls)
        else:
            calls()
        if isinstance(other, Coverage):
            other.marks[n - 1]()
        seen = other.seen()
        slots[10 + n] = seen if isinstance(other, EvalHook) else seen - before
        before = seen
        slots[20 + n] = other.there()
        slots[61] = n


kind = sys.argv[1]
tools = {
    "cprofile": Profiler,
    "setprofile": lambda: Hook(sys.setprofile, sys.getprofile),
    "settrace": lambda: Hook(sys.settrace, sys.gettrace),
    "monitoring": Monitor,
    "evalhook": EvalHook,
    "coverage": Coverage,
    "runcall": Runcall,
    "capi": ByApi,
    "requests": Requests,
    "debugger": Debugger,
    "debugger-tool": lambda: Debugger(backend="monitoring"),
    "tools": Tools,
    "coverage-rounds": CoverageRounds,
    "cthread": Born,
}
other = tools[kind]()
ready()
rounds(other)
os._exit(0)
