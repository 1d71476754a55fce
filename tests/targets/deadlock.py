"""Threads that wait for each other's RLock for ever, and one that waits for a Lock: deadlock.py. Prints `ready` when all do."""
import threading
import time

from progress import ready

a, b, c = threading.RLock(), threading.RLock(), threading.RLock()
plain = threading.Lock()
plain.acquire()
met = threading.Barrier(3)


def take_a_then_b():
    with a:
        met.wait()
        with b:
            pass


def take_b_then_c():
    with b:
        met.wait()
        c.acquire()


def take_c_then_a():
    with c:
        met.wait()
        with a:
            pass


def want_plain():
    plain.acquire()


def want_a():
    with a:
        pass


threads = [threading.Thread(target=f, name=f.__name__, daemon=True) for f in (take_a_then_b, take_b_then_c, take_c_then_a, want_plain)]
for t in threads:
    t.start()
time.sleep(0.3)
threading.Thread(target=want_a, name="want_a", daemon=True).start()
time.sleep(0.3)
ready()
time.sleep(1000)
