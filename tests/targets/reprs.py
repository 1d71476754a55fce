"""Values whose repr() hurts, in rounds (slot 60: the one that is wanted, 61: the last one done): reprs.py lock|alarm.
lock: a __repr__ takes the lock that the method which is called holds. alarm: a __repr__ runs while a signal handler raises; slot 2
counts the time limits that held, slot 3 those that were lost."""
import signal
import sys
import threading
import time

from progress import ready, slots


class Cache:
    def __init__(self):
        self.lock = threading.Lock()
        self.rows = {}

    def __repr__(self):
        with self.lock:
            return "<Cache of %d>" % len(self.rows)

    def put(self, key, value):
        with self.lock:
            store(self, key, value)


def store(cache, key, value):
    cache.rows[key] = value


class Frame:
    def __init__(self):
        self.rows = list(range(300))

    def __repr__(self):
        return "\n".join("%5d | %r" % (i, r) for i, r in enumerate(self.rows))


class TimeLimit(Exception):
    pass


def on_alarm(number, frame):
    raise TimeLimit


def step(frame):
    return 1


def steps():
    frame, end = Frame(), time.time() + 3
    while time.time() < end:
        step(frame)


def limited():
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        steps()  # not the loop itself: on 3.13 its jump back is not inside of the try
        slots[3] += 1
    except TimeLimit:
        slots[2] += 1


def locked():
    cache = Cache()
    for i in range(10):
        cache.put(i, i)


def work():
    if sys.argv[1] == "lock":
        locked()
    else:
        for i in range(3):
            limited()


signal.signal(signal.SIGALRM, on_alarm)
ready()
while True:
    if slots[60] != slots[61]:
        wanted = slots[60]
        work()
        slots[61] = wanted
    time.sleep(0.002)
