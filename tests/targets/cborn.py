"""A thread that C code starts runs Python code: cborn.py asleep|busy one|each LIBRARY. The main thread sleeps or runs; the thread has one
thread state, or one for each call. When the test sets slot 60: it calls `early` until a look of the agent has found it, and a while longer, then
300 times `late`. Slot 10: calls of early; slot 11: of them, those before it was found; slot 61: done."""
import ctypes
import sys
import time

from hooked import has_function, is_checked
from progress import ready, slots

main_is, states, library = sys.argv[1:4]
lib = ctypes.CDLL(library)
over = ctypes.c_int.in_dll(lib, "over")
is_found = has_function if states == "one" else is_checked
CALLS, ENOUGH, GIVEN_UP = 300, 0.1, 30.0


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
    found = is_found()
    slots[11] += not found
    return (found and time.thread_time() > ENOUGH) or time.thread_time() > GIVEN_UP


def all_in_one():
    while not first():
        pass
    for _ in range(CALLS):
        late()
    return True


def last():
    late()


calls = ctypes.CFUNCTYPE(ctypes.c_int)(all_in_one if states == "one" else first), ctypes.CFUNCTYPE(None)(last if states == "each" else 0)
ready()
while not slots[60]:
    time.sleep(0.001)
lib.born_start(*calls)
while main_is == "busy" and not over.value:
    spin()
lib.born_join()
slots[61] = 1
time.sleep(60)
