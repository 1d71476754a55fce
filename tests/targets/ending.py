"""Ends while its threads run: one of them for ever, one a moment longer than the main thread. It has a function to call at its end."""
import atexit
import threading
import time


def small(n):
    return n + 1


def work(times):
    for i in range(times):
        small(i)


def at_the_end():
    work(500)


def for_ever():
    while True:
        work(20)
        time.sleep(0.001)


def a_moment_longer():
    work(200)
    time.sleep(0.1)
    work(200)


atexit.register(at_the_end)
threading.Thread(target=for_ever, daemon=True).start()
threading.Thread(target=a_moment_longer).start()
work(300)
