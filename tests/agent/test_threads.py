"""Threads that existed, new ones, their names; thousands that come and go; every call of each is there."""
import gc, threading
from vtarena import *

CALLS = 2000


def step(i):
    return i + 1


def worker(n):
    x = 0
    for _ in range(n):
        x = step(x)


def old_worker(go, n):
    go.wait()
    worker(n)


def short():
    step(1)


def main():
    s = Session(chunks=2048)
    go = threading.Event()
    old = [threading.Thread(target=old_worker, args=(go, CALLS), name="old-%d" % i) for i in range(3)]
    for t in old:
        t.start()
    time.sleep(0.05)
    s.start()
    new = [threading.Thread(target=worker, args=(CALLS,), name="new-%d" % i) for i in range(4)]
    for t in new:
        t.start()
    go.set()
    for t in old + new:
        t.join()
    for _ in range(150):
        t = threading.Thread(target=short, name="short")
        t.start()
        t.join()
    s.stop()
    s.decode()
    step_id = [i for i, v in s.names.items() if v[1] == "step"]
    assert len(step_id) == 1, step_id
    per_stream = sorted(sum(1 for k, _, i in st if k == CALL and i == step_id[0]) for st in s.streams.values())
    full = [n for n in per_stream if n > 1]
    assert full == [CALLS] * 7, full
    assert sum(1 for n in per_stream if n == 1) == 150, per_stream
    told = [e for st in s.streams.values() for e in st if e[0] == PAYLOAD and e[2][0] == PL_THREAD]
    names = {}
    for e in told:
        name = e[2][1][16:].decode()
        names[name] = names.get(name, 0) + 1
    for i in range(4):
        assert names.get("new-%d" % i), ("name of a new thread", names)
    opened = {x[3]: [s.full_name(i) for i in x[4]] for x in s.stacks}
    for i in range(3):
        frames = opened["old-%d" % i]
        assert frames[-1].endswith("wait") or "wait" in frames[-2], frames
        assert any(f.endswith("old_worker") for f in frames), frames
    assert "MainThread" in opened
    native = {x[3]: x[1] for x in s.stacks}
    assert native["MainThread"] == os.getpid(), native
    assert names["short"] >= 150, names
    for serial, st in s.streams.items():
        idents = s.idents[serial]
        frames = [x for x in s.stacks if x[0] == idents]
        if serial and frames:
            s.check_nesting(st, [s.full_name(i) for x in frames for i in x[4]])
    assert s.dropped == 0
    # as many chunks as threads lived at once, not as many as there ever were, were left open
    open_chunks = sum(1 for st in s.states.values() for x in st if x == 1)
    assert open_chunks == 0, open_chunks
    s.close()


main()
print("ok")
