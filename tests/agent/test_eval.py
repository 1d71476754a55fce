"""Without C calls: the frame evaluation hook below 3.12, another back end when it may not be used; leaving while
frames are open in it, and coming back."""
import sys, threading
from vtarena import *


def step(i):
    return abs(i)


def gen(n):
    for i in range(n):
        yield i


def bad():
    raise KeyError


def work():
    for i in range(10):
        step(i)
    list(gen(2))
    try:
        bad()
    except KeyError:
        pass


def deep(n):
    return deep(n - 1) if n else 0


def inside(s):
    step(1)
    s.stop()
    step(2)
    return s


def hook_of(expected):
    return 1 if sys.version_info >= (3, 12) else expected


def main():
    s = Session(flags=0)
    s.start()
    assert s.hook == hook_of(3), s.hook
    work()
    deep(500)
    t = threading.Thread(target=work)
    t.start()
    t.join()
    s.stop()
    s.decode()
    for st in s.streams.values():
        events = s.events(st)
        if ("CALL", "work") not in events:
            continue
        assert events.count(("CALL", "step")) == 10 == events.count(("RETURN", "step")), events
        assert ("UNWIND", "bad") in events
        pieces = [events.count((kind, "gen")) for kind in ("CALL", "YIELD", "RESUME", "RETURN")]
        assert pieces == [1, 2, 2, 1], events
        assert not any(k.startswith("C_") for k, _ in events)
    assert sum(1 for st in s.streams.values() for e in s.events(st) if e == ("CALL", "work")) == 2

    for i in range(5):  # frames open in the hook when we leave
        s = inside_session()
        got = s.events(s.stream_of("inside"))
        assert got.count(("CALL", "step")) == 1, got
    s = Session(flags=0)
    s.start()
    work()
    s.stop()
    s.decode()

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20000)
    threading.stack_size(256 << 20)
    s = Session(flags=0)
    s.start()
    assert s.hook == hook_of(2 if sys.version_info[:2] == (3, 11) else 3), s.hook
    if sys.version_info >= (3, 11):
        t = threading.Thread(target=deep, args=(15000,))
        t.start()
        t.join()
    s.stop()
    s.decode()
    sys.setrecursionlimit(limit)
    if sys.version_info[:2] == (3, 11):
        s = Session(flags=0, span=TICKS_PER_MS)
        s.start()
        assert s.hook == 3
        sys.setrecursionlimit(20000)
        end = time.time() + 0.1
        while time.time() < end:
            step(1)
        assert s.hook == 2, s.hook
        s.stop()
        s.decode()
        assert sys.getprofile() is None


def inside_session():
    s = Session(flags=0)
    s.start()
    inside(s)
    return s.decode()


main()
print("ok")
