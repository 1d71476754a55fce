"""A thread of an interpreter with a GIL of its own makes and deletes thread states of the main interpreter all the time, as the
import of an extension module does in it: without the main interpreter's GIL. One interpreter only: ctypes does not
stand two that call it at once. Slot 0: how many there were."""
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
counter = ctypes.addressof((ctypes.c_uint64 * 64).from_buffer(slots))
code = CODE % (counter, main_interpreter())
threading.Thread(target=lambda: interpreters.run_string(interpreters.create("isolated"), code), daemon=True).start()
while not slots[0]:
    time.sleep(0.001)
ready()
while True:
    time.sleep(0.002)
