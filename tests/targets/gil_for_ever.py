"""A C call that never ends and never gives up the GIL, in a thread; two more threads want to run."""
import threading
import time

from progress import ready


def hold():
    return sum(range(10**16))


def turn():
    while True:
        time.sleep(0)


threading.Thread(target=turn, name="turning", daemon=True).start()
ready()
threading.Thread(target=hold, name="holding", daemon=True).start()
turn()
