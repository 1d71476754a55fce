"""A thread reads a line in C and keeps the GIL meanwhile, as a careless extension does; then it goes on: keeper.py [alone].
alone: there is no other thread, which would want the GIL."""
import ctypes
import sys
import threading
import time

from progress import ready, slots


def leaf():
    slots[0] += 1


def keep():
    read, line = ctypes.PyDLL(None).read, ctypes.create_string_buffer(64)
    ready()
    read(0, line, 64)
    while True:
        leaf()
        time.sleep(0.001)


if "alone" in sys.argv:
    keep()
threading.Thread(target=keep).start()
while True:
    slots[1] += 1
    time.sleep(0.001)
