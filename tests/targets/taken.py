"""C code sets a profile function in this process and removes it again, and with it any other one: in the main thread, in a thread beside it
that sleeps, and in one beside it that runs. Each starts when the test sets slot 60, and calls 300 times `before`; then its function is gone. It
calls `lost` until a look of the agent has put it back, then 300 times `after`. Slot 10: calls of lost; slot 61: all are done."""
import ctypes
import threading
import time

from hooked import has_function
from progress import ready, slots

CALLS, ENOUGH, GIVEN_UP = 300, 0.05, 30.0
function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(lambda *unused: 0)


def before():
    return 1


def lost():
    x = 0
    while x < 500:
        x += 1


def after():
    return 1


def request():
    for _ in range(CALLS):
        before()
    ctypes.pythonapi.PyEval_SetProfile(function, None)
    ctypes.pythonapi.PyEval_SetProfile(None, None)
    begun = time.thread_time()
    while time.thread_time() < begun + (ENOUGH if has_function() else GIVEN_UP):
        lost()
        slots[10] += 1
    for _ in range(CALLS):
        after()


def request_beside(main_does):
    thread = threading.Thread(target=request)
    thread.start()
    while thread.is_alive():
        main_does()


ready()
while not slots[60]:
    time.sleep(0.001)
request()
request_beside(lambda: time.sleep(0.05))
request_beside(lost)
slots[61] = 1
time.sleep(60)
