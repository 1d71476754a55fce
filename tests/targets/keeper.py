"""A thread reads a line in C and keeps the GIL meanwhile, as a careless extension does; then all threads go on."""
import ctypes
import threading
import time

from progress import ready, slots


def leaf():
    slots[1] += 1


def keep():
    read, line = ctypes.PyDLL(None).read, ctypes.create_string_buffer(64)
    ready()
    read(0, line, 64)
    while True:
        leaf()
        time.sleep(0.001)


threading.Thread(target=keep).start()
while True:
    slots[0] += 1
    time.sleep(0.001)
