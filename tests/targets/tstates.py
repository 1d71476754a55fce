"""Threads of interpreters with a GIL of their own make and delete thread states of the main interpreter all the time, as an import of
an extension module does in them: without the main interpreter's GIL. 3.13+, where ctypes can be had in such interpreters. Slot 0, 1:
how many each has made."""
import ctypes
import threading
import time

import _interpreters as interpreters
from progress import ready, slots

CODE = """
import ctypes
new, delete = ctypes.pythonapi.PyThreadState_New, ctypes.pythonapi.PyThreadState_Delete
new.restype, new.argtypes, delete.argtypes = ctypes.c_void_p, [ctypes.c_void_p], [ctypes.c_void_p]
made = ctypes.c_uint64.from_address(%d)
while True:
    tstates = [new(%d) for _ in range(64)]
    for tstate in tstates:
        delete(tstate)
    made.value += 64
"""
main_interpreter = ctypes.pythonapi.PyInterpreterState_Main
main_interpreter.restype = ctypes.c_void_p
counters = (ctypes.c_uint64 * 64).from_buffer(slots)


def churn(slot):
    interpreters.run_string(interpreters.create("isolated"), CODE % (ctypes.addressof(counters) + 8 * slot, main_interpreter()))


for slot in range(2):
    threading.Thread(target=churn, args=(slot,), daemon=True).start()
while not slots[0] or not slots[1]:
    time.sleep(0.001)
ready()
while True:
    time.sleep(0.002)
