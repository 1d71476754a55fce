"""Waits in one way or another until a line comes on stdin, then says "awake" and works on: blocked.py sleep|read|lock|idle."""
import os
import queue
import signal
import sys
import threading
import time

from progress import ready, slots


def leaf():
    slots[0] += 1


def answer():
    leaf()
    os.write(1, b"awake\n")


def read():
    ready()
    while os.read(0, 1):
        answer()


def sleep():
    """A signal cuts the sleep short: the test sends it instead of a line."""
    signal.signal(signal.SIGUSR1, lambda *_: answer())
    ready()
    while True:
        time.sleep(1000)


def lock():
    gate = queue.Queue()

    def worker():
        while True:
            gate.get()
            leaf()

    for i in range(4):
        threading.Thread(target=worker, name="pool-%d" % i, daemon=True).start()
    time.sleep(0.05)
    ready()
    while os.read(0, 1):
        for _ in range(4):
            gate.put(1)
        answer()


{"sleep": sleep, "read": read, "lock": lock}[sys.argv[1]]()
