"""A thread that C code starts runs Python code: cborn.py asleep|busy one|each LIBRARY. The main thread sleeps or runs; the thread has one
thread state, or one for each call. When the test sets slot 60: for some CPU time it calls `early`, then 300 times
`late`. Slot 10: calls of early; slot 61: done."""
import ctypes
import sys
import time

from progress import ready, slots

main_is, states, library = sys.argv[1:4]
lib = ctypes.CDLL(library)
SECONDS = 0.4
over = ctypes.c_int.in_dll(lib, "over")


def spin():
    x = 0
    while x < 500:
        x += 1


def early():
    spin()


def late():
    return 1


def first():
    early()
    slots[10] += 1


def all_in_one():
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        early()
        slots[10] += 1
    for _ in range(300):
        late()


def last():
    late()


callback = ctypes.CFUNCTYPE(None)
calls = callback(all_in_one if states == "one" else first), callback(last if states == "each" else 0)
ready()
while not slots[60]:
    time.sleep(0.001)
lib.born_start(calls[0], ctypes.c_uint64(0 if states == "one" else int(SECONDS * 1e9)), calls[1])
while main_is == "busy" and not over.value:
    spin()
lib.born_join()
slots[61] = 1
time.sleep(60)
