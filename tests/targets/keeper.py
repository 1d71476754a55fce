"""A thread reads a line in C and keeps the GIL meanwhile, as a careless extension does; then it goes on: keeper.py [WORD].
alone: there is no other thread, which would want the GIL. slow, quick: switch intervals as no program needs. deep: the largest limit on
recursion. strange: an interval that no program has. other: in another interpreter."""
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


INTERVALS = {"slow": 5000, "quick": 1e-7, "strange": 1e10}
word = sys.argv[1] if len(sys.argv) > 1 else None
if word in INTERVALS:
    sys.setswitchinterval(INTERVALS[word])
if word == "deep":
    sys.setrecursionlimit(2**31 - 1)
if word == "other":
    import _xxsubinterpreters

    start = f"import sys; sys.path[:] = {sys.path!r}; sys.argv = ['keeper.py', 'alone']; __file__ = {__file__!r}; "
    _xxsubinterpreters.run_string(_xxsubinterpreters.create(), start + "exec(compile(open(__file__).read(), __file__, 'exec'))")
if word:
    keep()
threading.Thread(target=keep).start()
while True:
    slots[1] += 1
    time.sleep(0.001)
