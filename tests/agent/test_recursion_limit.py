"""3.11: the recursion limit is raised beyond what the frame evaluation function may follow, while it helps with filters. The look
that finds that is inside a call of the thread that runs: its own hook stays on, and no call is lost."""
from vtarena import *

if sys.version_info[:2] != (3, 11):
    print("skip: only 3.11 has this limit")
    sys.exit(0)


def step(i):
    return i + 1


def rounds(seconds):
    n, end = 0, time.time() + seconds
    while time.time() < end:
        for i in range(100):
            step(i)
        n += 100
    return n


def main():
    space = {}
    exec(compile("def far():\n    return 1\n", "/elsewhere/lib.py", "exec"), space)
    limit = sys.getrecursionlimit()
    s = Session(chunks=4096, exclude=["/elsewhere/"])
    s.start()
    space["far"]()
    calls = rounds(0.1)
    sys.setrecursionlimit(1 << 22)
    calls += rounds(0.3)
    sys.setrecursionlimit(limit)
    s.stop()
    s.decode()
    ids = [i for i, v in s.names.items() if v[1] == "step"]
    seen = sum(1 for stream in s.streams.values() for kind, _, i in stream if kind == CALL and i in ids)
    assert not s.dropped and seen == calls, (s.dropped, seen, calls)
    print("ok", seen)


main()
