"""Works in other threads, answers questions about its own hooks in the main thread: probe.py busy|pausing|malloc|idle [THREADS].
On a line "state" it prints one line: profile= trace= hooked= main= eval= tools= threads=. On "count" it calls id(1) between two
getppid(): tests/lib/steps.c counts the instructions there."""
import ctypes
import os
import sys
import threading
import time
import zlib

from progress import ready, slots


def leaf(n):
    return n + 1


def busy(slot):
    while True:
        for i in range(50):
            leaf(i)
        hooks(slot)


def burst():
    for i in range(200):
        leaf(i)


def pausing(slot):
    """Bursts of calls. Most of the time is between two of them, and the next one there is that of hooks()."""
    while True:
        burst()
        for _ in range(20000):
            pass
        hooks(slot)


def malloc(slot):
    while True:
        blocks = [bytearray(s) for s in (700, 5000, 70000, 300000)]
        zlib.compress(bytes(blocks[1]), 1)
        hooks(slot)


thread_state = ctypes.pythonapi.PyThreadState_Get
thread_state.restype = ctypes.c_void_p
C_PROFILEFUNC = 56 if sys.version_info < (3, 11) else 64


def c_profile():
    """A profile function in C is not seen by sys.getprofile()."""
    if sys.version_info >= (3, 12):
        return sys.getprofile() is not None
    return ctypes.c_long.from_address(thread_state() + C_PROFILEFUNC).value != 0


def eval_hook():
    if not (3, 9) <= sys.version_info < (3, 12):
        return False
    get, interpreter = ctypes.pythonapi._PyInterpreterState_GetEvalFrameFunc, ctypes.pythonapi.PyInterpreterState_Get
    get.restype = interpreter.restype = ctypes.c_void_p
    get.argtypes = [ctypes.c_void_p]
    return get(interpreter()) != ctypes.cast(ctypes.pythonapi._PyEval_EvalFrameDefault, ctypes.c_void_p).value


def hooks(slot):
    slots[slot] += 1
    slots[32 + slot] = c_profile()
    running.wait()


def calls(times, mark):
    call = id
    mark()
    for _ in range(times):
        call(1)
    mark()


def count():
    """Warm first, so that the interpreter has specialised the code; and nobody asks for the GIL meanwhile."""
    running.clear()
    time.sleep(0.05)
    for _ in range(200):
        calls(100, int)
    for _ in range(4):
        calls(5, os.getppid)
    running.set()
    print("counted", flush=True)


def state():
    tools = "-"
    if hasattr(sys, "monitoring"):
        tools = ",".join(str(sys.monitoring.get_tool(i)) for i in range(6))
        events = [sys.monitoring.get_events(i) for i in range(6) if sys.monitoring.get_tool(i)]
        tools += ":%s" % sum(events)
    hooked = sum(slots[32 + i] for i in range(threads))
    print("profile=%s trace=%s hooked=%d main=%d eval=%d tools=%s threads=%d end"
          % (sys.getprofile(), sys.gettrace(), hooked, c_profile(), eval_hook(), tools, threading.active_count()), flush=True)


running = threading.Event()
running.set()
kind = sys.argv[1]
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
if kind != "idle":
    for i in range(threads):
        threading.Thread(target={"busy": busy, "pausing": pausing, "malloc": malloc}[kind], args=(i,), daemon=True).start()
ready()
for line in sys.stdin:
    {"state": state, "count": count}[line.strip()]()
