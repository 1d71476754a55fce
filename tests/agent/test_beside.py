"""Beside other tools in the same process: each sees all it should, before, during and after us."""
import cProfile, pstats, sys, threading
from vtarena import *


def step(i):
    return abs(i)


def work(n):
    for i in range(n):
        step(i)


def seen_by(profiler):
    stats = pstats.Stats(profiler).stats
    return sum(v[0] for k, v in stats.items() if k[2] == "step")


def ours(s):
    return sum(1 for st in s.streams.values() for e in s.events(st) if e == ("CALL", "step"))


def session(work_in_it, **options):
    s = Session(**options)
    s.start()
    work_in_it()
    s.stop()
    assert s.state == GONE
    return s.decode()


def profile_running():
    p = cProfile.Profile()
    p.enable()
    work(100)
    s = session(lambda: work(100))
    work(100)
    p.disable()
    assert seen_by(p) == 300, seen_by(p)
    assert ours(s) == 100, ours(s)


def profile_started_and_stopped_inside():
    p = cProfile.Profile()

    def inside():
        work(100)
        p.enable()
        for i in range(100):
            step(i)
        p.disable()
        work(100)

    s = session(inside, span=TICKS_PER_MS)
    assert seen_by(p) == 100, seen_by(p)
    assert ours(s) >= 290, ours(s)
    assert sys.getprofile() is None


def python_profile_function():
    calls = []

    def profile(frame, event, arg):
        if event == "call" and frame.f_code is step.__code__:
            calls.append(1)

    sys.setprofile(profile)
    work(50)
    s = Session()
    s.start()
    assert sys.getprofile() is profile
    work(50)
    assert sys.getprofile() is profile
    s.stop()
    assert sys.getprofile() is profile
    work(50)
    sys.setprofile(None)
    s.decode()
    assert len(calls) == 150, len(calls)
    assert ours(s) == 50, ours(s)


def set_during():
    calls = []

    def profile(frame, event, arg):
        if event == "call" and frame.f_code is step.__code__:
            calls.append(1)

    def inside():
        work(10)
        sys.setprofile(profile)
        for i in range(100):
            step(i)
        sys.setprofile(None)
        work(10)

    s = session(inside)
    assert len(calls) == 100, len(calls)
    assert ours(s) >= 110, ours(s)
    assert sys.getprofile() is None


def trace_function():
    lines = []

    def trace(frame, event, arg):
        if frame.f_code is step.__code__:
            lines.append(event)
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    work(20)
    s = session(lambda: work(20))
    work(20)
    sys.settrace(old)
    assert lines.count("call") == 60 and lines.count("line") == 60, (lines.count("call"), lines.count("line"))
    assert ours(s) == 20, ours(s)


def tools():
    """3.12+: slots that are taken stay with their holders"""
    m = sys.monitoring
    m.use_tool_id(4, "theirs")
    s = session(lambda: work(5))
    assert s.get("i", O["tool_id"]) == 3 and ours(s) == 5
    m.use_tool_id(3, "also")
    s = session(lambda: work(5))
    assert s.get("i", O["tool_id"]) == 5 and ours(s) == 5
    m.use_tool_id(5, "third")
    s = Session()
    s.run(1)
    assert s.state == REFUSED and "theirs" in s.err and "also" in s.err and "third" in s.err, s.err
    assert [m.get_tool(i) for i in (4, 3, 5)] == ["theirs", "also", "third"]
    for i in (3, 4, 5):
        m.free_tool_id(i)
    m.use_tool_id(2, "prof")
    hits = []
    m.register_callback(2, m.events.PY_START, lambda code, o: hits.append(1) if code is step.__code__ else m.DISABLE)
    m.set_events(2, m.events.PY_START)
    work(10)
    s = session(lambda: work(10))
    work(10)
    m.set_events(2, 0)
    m.free_tool_id(2)
    assert len(hits) == 30 and ours(s) == 10, (len(hits), ours(s))


profile_running()
profile_started_and_stopped_inside()
python_profile_function()
set_during()
trace_function()
if sys.version_info >= (3, 12):
    tools()
print("ok")
