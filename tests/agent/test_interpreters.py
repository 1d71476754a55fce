"""Every interpreter of the process is traced; with a limit on the overhead, one with a GIL of its own is left alone, and said so."""
import sys, threading, time
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
import sys
def in_sub(i):
    return abs(i)
def leaf():
    pass
def loop(n):
    for i in range(n):
        in_sub(i)
        leaf()
"""
FREE = """
import sys
assert not hasattr(sys, 'monitoring') or 'viztracer' not in [sys.monitoring.get_tool(i) for i in range(6)]
assert sys.getprofile() is None
"""
HOOKED = "import sys; assert not hasattr(sys, 'monitoring') or 'viztracer' in [sys.monitoring.get_tool(i) for i in range(6)]"


def create(own=False):
    if sys.version_info >= (3, 13):
        return interpreters.create("isolated" if own else "legacy")
    if sys.version_info >= (3, 12):
        return interpreters.create(isolated=own)
    return interpreters.create()


def step(i):
    return abs(i)


def run(sub, code):
    error = interpreters.run_string(sub, code)  # 3.13 and later return it
    assert error is None, error


def visit():
    """With a span of 1 ms: the events that come later than that make a visit."""
    end = time.monotonic() + 0.005
    while time.monotonic() < end:
        step(0)


def calls(s, name):
    return sum(e == ("CALL", name) for stream in s.streams.values() for e in s.events(stream))


def made_while_traced(flags):
    """An interpreter made during a session is hooked at the next visit, is counted exactly from then on, and so is the
    next one at its address."""
    kept = create()
    run(kept, SCRIPT)
    for round in range(4):
        s = Session(flags=flags, span=TICKS_PER_MS)
        s.start()
        sub = create()
        run(sub, SCRIPT.replace("in_sub", "in_new"))
        visit()
        run(sub, "loop(0)")
        run(sub, HOOKED)
        run(sub, "loop(500)")
        run(kept, "loop(300)")
        t = threading.Thread(target=run, args=(sub, "loop(200)"))
        t.start()
        t.join()
        if round % 2:
            interpreters.destroy(sub)
        visit()
        s.stop()
        s.decode()
        assert calls(s, "in_new") == 700 and calls(s, "in_sub") == 300 and calls(s, "leaf") == 1000, (
            flags, round, calls(s, "in_new"), calls(s, "in_sub"), calls(s, "leaf"))
        own = [st for st in s.streams.values() if s.events(st).count(("CALL", "in_new")) == 200]
        assert len(own) == 1 and s.events(own[0]).count(("RETURN", "in_new")) == 200, "on the thread that ran it"
        if not round % 2:
            run(sub, FREE)
            interpreters.destroy(sub)
        if round < 2:
            run(kept, FREE)  # in the others it is idle when the next session begins
    run(kept, FREE)
    interpreters.destroy(kept)


def switched_off_again():
    """Idle at the end of a session and gone, or used, before the next one."""
    subs = [create() for i in range(8)]
    for sub in subs:
        run(sub, SCRIPT)
    for round in range(3):
        s = Session(span=TICKS_PER_MS)
        s.start()
        visit()
        for sub in subs:
            run(sub, "loop(10)")
        s.stop()
        s.decode()
        assert calls(s, "in_sub") == 10 * len(subs), calls(s, "in_sub")
        interpreters.destroy(subs.pop())
        run(subs[0], "loop(3)\n" + FREE)
    for sub in subs:
        run(sub, FREE)
        interpreters.destroy(sub)


def ends_and_begins(own):
    """Three threads that make, run and end interpreters while sessions come and go."""
    halt = []

    def churn():
        while not halt:
            sub = create(own)
            run(sub, SCRIPT + "loop(50)")
            run(sub, "loop(50)")
            interpreters.destroy(sub)

    threads = [threading.Thread(target=churn) for i in range(3)]
    for t in threads:
        t.start()
    for i in range(20):
        s = Session(span=TICKS_PER_MS)
        s.start()
        visit()
        s.stop()
        if i % 5 == 0:
            s.decode()
        s.close()
    halt.append(1)
    for t in threads:
        t.join()


def own_gil():
    """Interpreters that run at the same time as the main one: nothing is missing, each is on its own thread."""
    N = 3000
    idle = create(own=True)
    run(idle, SCRIPT.replace("in_sub", "in_idle"))
    subs = [create(own=True) for i in range(3)]
    for i, sub in enumerate(subs):
        run(sub, SCRIPT.replace("in_sub", "in_sub%d" % i))
    for round in range(2):
        s = Session(span=TICKS_PER_MS)
        s.start()
        assert s.err == "", s.err
        late = create(own=True)
        run(late, SCRIPT.replace("in_sub", "in_late"))
        visit()
        for sub in subs + [late]:
            run(sub, HOOKED)
        run(idle, "loop(100)")
        threads = [threading.Thread(target=run, args=(sub, "loop(%d)" % N)) for sub in subs]
        for t in threads:
            t.start()
        for i in range(N):
            step(i)
        run(late, "loop(100)")
        for t in threads:
            t.join()
        s.stop()
        s.decode()
        assert s.dropped == 0
        assert calls(s, "in_idle") == 100 == calls(s, "in_late"), (calls(s, "in_idle"), calls(s, "in_late"))
        for i in range(3):
            stream = s.stream_of("in_sub%d" % i)
            got = s.events(stream)
            for event, n in ((("CALL", "in_sub%d" % i), N), (("RETURN", "in_sub%d" % i), N), (("CALL", "leaf"), N),
                             (("C_CALL", "builtins.abs"), N), (("C_RETURN", "builtins.abs"), N)):
                assert got.count(event) == n, (event, got.count(event))
            s.check_nesting(stream)
        main = s.stream_of("visit")
        assert s.events(main).count(("CALL", "in_idle")) == 100, "nested in the thread that went there"
        for sub in subs + [late]:
            run(sub, FREE)
        if round:
            run(idle, FREE)
        interpreters.destroy(late)
    s = Session(flags=F_C_CALLS | F_ARGS)
    s.start()
    assert not s.err, s.err
    run(subs[0], HOOKED)
    run(subs[0], "loop(7)")
    s.stop()
    run(subs[0], FREE)
    s.decode()
    assert calls(s, "in_sub0") == 7, calls(s, "in_sub0")
    s = Session(overhead=500)
    s.start()
    assert "GIL of its own" in s.err, s.err
    run(idle, FREE)
    s.stop()
    for sub in subs + [idle]:
        interpreters.destroy(sub)


def mapped_arenas():
    """Private memory in the place of an arena: 64 MB each here."""
    size = CTL + 1024 * CHUNK
    n = 0
    for line in open("/proc/self/maps"):
        a, b = (int(x, 16) for x in line.split()[0].split("-"))
        n += b - a == size and "rw-p" in line
    return n


def own_gil_leaving():
    """Sessions end while they run at full speed, and while they are idle."""
    subs = [create(own=True) for i in range(3)]
    idle = create(own=True)
    for sub in subs + [idle]:
        run(sub, SCRIPT)
    halt = []

    def busy(sub):
        while not halt:
            run(sub, "loop(50000)")

    before = mapped_arenas()
    threads = [threading.Thread(target=busy, args=(sub,)) for sub in subs]
    for t in threads:
        t.start()
    for i in range(30):
        s = Session(span=TICKS_PER_MS)
        s.start()
        if i % 5 == 0:
            run(idle, "loop(10)")
        visit()
        if i % 3:
            s.stop()
        else:
            s.ask_stop()
            visit()
            s.wait_gone()
        if i % 6 == 0:
            s.decode()
        s.close()
    halt.append(1)
    for t in threads:
        t.join()
    for sub in subs + [idle]:
        run(sub, FREE)
    assert mapped_arenas() == before, (mapped_arenas(), before)
    for sub in subs + [idle]:
        interpreters.destroy(sub)


def tool_there(sub):
    run(sub, FREE)


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
    interpreters.destroy(sub)
    for f in (F_C_CALLS, 0, F_C_CALLS | F_ARGS):
        made_while_traced(f)
    switched_off_again()
    ends_and_begins(False)
    if sys.version_info >= (3, 12):
        own_gil()
        own_gil_leaving()
        ends_and_begins(True)


main()
print("ok")
