"""Interpreters made, used and ended while the process runs: interps.py own|shared. Threads 0 to 2 each make one, call into it and
end it, until slot 63 is set; slot 62: how many there were. Meanwhile rounds 1 to 3 (before, during and after a trace), each when the
test sets slot 60 (4: the end): thread 3 makes 300 calls of `in_kept` in an interpreter that is there from the beginning, and 200 of `in_new` in
one that it makes for the round. Slot 20+round: 1 when sys.monitoring is as it should be in both, slot 40: the thread id of the
round, slot 61: the round that is done."""
import sys
import threading
import time

from progress import ready, slots

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

own = sys.argv[1] == "own"
SCRIPT = """
def %s(i):
    return abs(i)
def loop(n):
    for i in range(n):
        %s(i)
"""
TOOLS = "import sys; tools = [sys.monitoring.get_tool(i) for i in range(6)] if hasattr(sys, 'monitoring') else %s\n"
TRACED, FREE = TOOLS % "['viztracer']" + "assert 'viztracer' in tools", TOOLS % "[]" + "assert 'viztracer' not in tools"


def create():
    if sys.version_info >= (3, 13):
        return interpreters.create("isolated" if own else "legacy")
    if sys.version_info >= (3, 12):
        return interpreters.create(isolated=own)
    return interpreters.create()


def works(sub, code):
    try:
        return interpreters.run_string(sub, code) is None
    except Exception:
        return False


def churn():
    while not slots[63]:
        sub = create()
        works(sub, SCRIPT % ("in_churn", "in_churn") + "loop(100)")
        works(sub, "loop(100)")
        interpreters.destroy(sub)
        slots[62] += 1


def tick():
    pass


def some_events(seconds):
    """Whoever traces us looks around at an event that comes some time after the last look."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tick()


def one_round(n, kept):
    check = TRACED if n == 2 else FREE
    new = create()
    works(new, SCRIPT % ("in_new", "in_new"))
    some_events(0.1)
    good = works(kept, "pass") and works(new, "pass")
    good = works(kept, check) and works(new, check) and good
    works(kept, "loop(300)")
    works(new, "loop(200)")
    interpreters.destroy(new)
    slots[20 + n] = good


def rounds():
    slots[40] = threading.get_native_id()
    kept = create()
    works(kept, SCRIPT % ("in_kept", "in_kept"))
    n = 1
    while slots[60] < 4:
        if slots[60] == n:
            one_round(n, kept)
            slots[61] = n
            n += 1
        time.sleep(0.001)
    interpreters.destroy(kept)


threads = [threading.Thread(target=churn) for _ in range(3)]
threads.append(threading.Thread(target=rounds))
for t in threads:
    t.start()
ready()
threads[-1].join()
slots[63] = 1
for t in threads:
    t.join()
