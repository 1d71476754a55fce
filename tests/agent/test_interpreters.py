"""Every interpreter of the process that shares the GIL is traced; one with a GIL of its own is left alone, and said so."""
import sys, threading
from vtarena import *

try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        print("skip: no subinterpreters")
        sys.exit(0)

SCRIPT = """
def in_sub(i):
    return abs(i)
def loop(n):
    for i in range(n):
        in_sub(i)
"""


def create(own=False):
    if sys.version_info >= (3, 13):
        return interpreters.create("isolated" if own else "legacy")
    if sys.version_info >= (3, 12):
        return interpreters.create(isolated=own)
    return interpreters.create()


def step(i):
    return abs(i)


def tool_there(sub):
    code = "import sys; assert not hasattr(sys, 'monitoring') or 'viztracer' not in [sys.monitoring.get_tool(i) for i in range(6)]; assert sys.getprofile() is None"
    interpreters.run_string(sub, code)


def main():
    sub = create()
    interpreters.run_string(sub, SCRIPT)
    for round in range(3):
        s = Session()
        s.start()
        step(1)
        interpreters.run_string(sub, "loop(100)")
        step(2)
        s.stop()
        s.decode()
        # no interpreter in its name: the same thread, the same stream
        stream = s.stream_of("step")
        got = s.events(stream)
        assert got.count(("CALL", "step")) == 2, got
        assert got.count(("CALL", "in_sub")) == 100 == got.count(("RETURN", "in_sub")), got.count(("CALL", "in_sub"))
        assert got.count(("C_CALL", "builtins.abs")) == 102
        tool_there(sub)
    # left from inside the other interpreter
    s = Session(span=TICKS_PER_MS)
    s.start()
    s.ask_stop()
    interpreters.run_string(sub, "loop(100)")
    s.wait_gone()
    tool_there(sub)
    for f in (0, F_C_CALLS | F_ARGS):
        s = Session(flags=f)
        s.start()
        interpreters.run_string(sub, "loop(100)")
        interpreters.destroy(sub)  # ends while it is traced
        sub = create()
        interpreters.run_string(sub, SCRIPT + "loop(5)")
        step(1)
        s.stop()
        s.decode()
        assert sum(1 for st in s.streams.values() for e in s.events(st) if e == ("CALL", "in_sub")) >= 100
    if sys.version_info >= (3, 12):
        own = create(own=True)
        halt = []
        def busy():
            while not halt:
                interpreters.run_string(own, SCRIPT + "loop(1000)")
        t = threading.Thread(target=busy)
        t.start()
        for i in range(10):
            s = Session()
            s.start()
            assert "GIL of its own" in s.err, s.err
            for i in range(1000):
                step(i)
            s.stop()
            s.decode()
        halt.append(1)
        t.join()
        interpreters.destroy(own)
    interpreters.destroy(sub)


main()
print("ok")
