"""Allocates in a thread, forks in the main thread: allocs.py [HOOK]. HOOK: a library with allocator hooks (gilhook.h), or -. A child
that fails is counted in slot 2. Slots 0 and 1 grow."""
import os
import sys
import threading
import time

from progress import ready, slots


def allocate():
    while True:
        kept = [bytearray(n) for n in (10, 600, 70000)]
        slots[1] += len(kept) > 0
        time.sleep(0.0005)


def in_child():
    return len([bytearray(n) for n in range(600, 700)]) - 100


hook = None
if sys.argv[1:2] and sys.argv[1] != "-":
    import ctypes

    hook = ctypes.PyDLL(sys.argv[1])
    hook.hook_install.restype = None
threading.Thread(target=allocate, daemon=True).start()
if hook:
    hook.hook_install(sys.version_info >= (3, 13))
    bytearray(100000)
    assert hook.hook_taken() > 0
ready()
while True:
    pid = os.fork()
    if pid == 0:
        code = 4
        try:
            code = in_child()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if status:
        slots[2] += 1
    slots[0] += 1
    time.sleep(0.001)
