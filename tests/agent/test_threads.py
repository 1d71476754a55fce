"""Threads that existed, new ones, their names; thousands that come and go; every call of each is there."""
import ctypes, gc, threading
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


def is_guarded():
    """Does each Python call check for a hook?"""
    api = ctypes.pythonapi
    api.PyInterpreterState_Get.restype = api._PyInterpreterState_GetEvalFrameFunc.restype = ctypes.c_void_p
    api._PyInterpreterState_GetEvalFrameFunc.argtypes = [ctypes.c_void_p]
    default = ctypes.cast(api._PyEval_EvalFrameDefault, ctypes.c_void_p).value
    return api._PyInterpreterState_GetEvalFrameFunc(api.PyInterpreterState_Get()) != default


def several_looks():
    end = time.time() + 0.1
    while time.time() < end:
        step(1)


def born_in_c(n):
    """As many threads of C code, each with a thread state for its only call."""
    libc = ctypes.CDLL(None)
    body = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda unused: short())
    for _ in range(n):
        thread = ctypes.c_ulong()
        libc.pthread_create(ctypes.byref(thread), None, body, None)
        libc.pthread_join(thread, None)


def guard():
    """3.11: only where thread states come and go unseen does each call check for them. The agent's own threads do not count."""
    s = Session(chunks=4096, span=5 * TICKS_PER_MS)
    s.start()
    for _ in range(30):
        t = threading.Thread(target=short)
        t.start()
        t.join()
    several_looks()
    s.run(3)
    several_looks()
    assert not is_guarded(), "guarded because of threads that Python code started, or of our own"
    born_in_c(3)
    several_looks()
    assert is_guarded()
    born_in_c(20)
    s.stop()
    assert not is_guarded()
    s.decode()
    seen = sum(1 for st in s.streams.values() for e in s.events(st) if e == ("CALL", "short"))
    assert 50 <= seen <= 53, seen
    s.close()


main()
if sys.version_info[:2] == (3, 11):
    guard()
print("ok")
