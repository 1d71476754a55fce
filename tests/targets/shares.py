"""Two functions share a CPU, three quarters and one quarter of its time; another thread waits."""
import threading
import time

from progress import ready, slots


def much(until):
    while time.thread_time() < until:
        slots[0] += 1


def little(until):
    while time.thread_time() < until:
        slots[1] += 1


def waiting():
    threading.Event().wait()


threading.Thread(target=waiting, name="waiting", daemon=True).start()
ready()
at = time.thread_time()
while True:
    at += 0.0075
    much(at)
    at += 0.0025
    little(at)
