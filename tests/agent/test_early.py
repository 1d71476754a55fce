"""Below 3.12, a start beside more threads than get their hook at once: threads that run Python code before it is their turn. None of
their calls is lost."""
import threading
from vtarena import *

if sys.version_info >= (3, 12):
    print("skip: sys.monitoring is on in all threads at once")
    sys.exit(0)
WAITING, EARLY, CALLS = 560, 2, 50
HOOKS_ON = slice(O["t_hooks_on"], O["t_hooks_on"] + 8)
session = []
ran = []


def early(i):
    return i + 1


def runs(go):
    """The newest thread is the first in the interpreter's list; these are the oldest, so their turn comes last."""
    go.wait()
    shared = session[0].map
    nothing = bytes(8)
    while shared[HOOKS_ON] == nothing:
        pass
    for i in range(CALLS):
        early(i)
    ran.append(session[0].get("I", O["state"]))


def main():
    threading.stack_size(128 * 1024)
    go, end = threading.Event(), threading.Event()
    threads = [threading.Thread(target=runs, args=(go,)) for _ in range(EARLY)]
    threads += [threading.Thread(target=end.wait) for _ in range(WAITING)]
    for t in threads:
        t.start()
    session.append(Session(chunks=8192))
    s = session[0]
    go.set()
    s.start()
    for t in threads[:EARLY]:
        t.join()
    end.set()
    for t in threads[EARLY:]:
        t.join()
    s.stop()
    s.decode()
    ids = [i for i, v in s.names.items() if v[1] == "early"]
    counts = [n for n in (sum(1 for k, _, i in st if k == CALL and i in ids) for st in s.streams.values()) if n]
    assert not s.dropped and counts == [CALLS] * EARLY, (s.dropped, counts)
    print("ok", ran)


main()
