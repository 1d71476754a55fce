"""For remote execs: the main thread works or sleeps in one way or another until SIGUSR1 comes, then it says what they left behind."""
import asyncio
import os
import select
import signal
import sys
import threading
import time

from progress import ready, slots

done = False
gate = threading.Lock()


def finish(*_):
    global done
    done = True
    if gate.locked():
        gate.release()


def work():
    def leaf():
        slots[0] += 1

    while not done:
        leaf()


def sleep():
    while not done:
        time.sleep(0.3)


def wait():
    r, _ = os.pipe()
    while not done:
        select.select([r], [], [], 0.3)


async def loop():
    while not done:
        await asyncio.sleep(0.3)


def lock():
    gate.acquire()
    while not done:
        gate.acquire(timeout=0.2)


def blocked():
    """No Python for as long as the lock is held."""
    gate.acquire()
    gate.acquire()


signal.signal(signal.SIGUSR1, finish)
modes = {"work": work, "sleep": sleep, "wait": wait, "loop": lambda: asyncio.run(loop()), "lock": lock, "blocked": blocked}
mode = modes[sys.argv[1]]
modules, names, threads = set(sys.modules), set(globals()), threading.active_count()
ready()
mode()
left = (set(sys.modules) - modules) | (set(globals()) - names)
left = {n for n in left if "viztracer" in n or n in ("had", "fd", "e", "_imp", "posix")}
print("left:", sorted(left), threading.active_count() - threads, sys.getprofile(), flush=True)
