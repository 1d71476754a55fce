"""Calls in a subinterpreter whose recording the options change: interpopts.py own|shared. One round when the test sets slot 60,
slot 61 says that it is done: `one` in an interpreter that is there from the beginning, and `late_one` in one that is made for the
round, on a thread that is in recorded calls when the hooks go in."""
import sys
import time
import _thread

from progress import ready, slots

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

own = sys.argv[1] == "own"
PLACES = """
import sys
def place(module, text, **space):
    space["__name__"] = module
    exec(compile(text, "/virtual/%s.py" % module, "exec"), space)
    return space
one = place("subapp", '''APP''', helper=place("sublib", '''LIB''')["helper"])["one"]
"""
LIB = """
def helper(callback):
    callback()
    return len("abc")
"""
APP = """
import asyncio
import math
def called_back():
    return 1
def direct():
    return math.hypot(3, 4)
def by_files():
    helper(called_back)
    direct()
def level2():
    return 2
def level1():
    return level2()
def level0():
    return level1()
class Odd:
    def __repr__(self):
        raise KeyboardInterrupt
class Shown:
    def __repr__(self):
        return "<shown %d>" % direct()
def arguments(x, y, *rest, k=1, **others):
    return x + k
def gives_text():
    return "text \\\\u00e9"
def generates():
    yield [7]
async def tasked(n):
    for _ in range(n):
        await asyncio.sleep(0)
async def tasks():
    loop = asyncio.get_running_loop()
    made = [loop.create_task(tasked(3)) for _ in range(2)]
    for i, t in enumerate(made):
        t.set_name("job-%d" % i)
    await asyncio.gather(*made)
def in_tasks():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(tasks())
    loop.close()
def one():
    by_files()
    level0()
    arguments(1, "two", 3, 4, k=5, z=[6])
    arguments(1, Odd())
    arguments(1, Shown())
    gives_text()
    list(generates())
    for i in range(20):
        arguments(i, None)
    in_tasks()
"""
LATE = """
def late_level1():
    return 1
def late_level0():
    return late_level1()
"""
HOOKED = "import sys; assert not hasattr(sys, 'monitoring') or 'viztracer' in [sys.monitoring.get_tool(i) for i in range(6)]"


def create():
    if sys.version_info >= (3, 13):
        return interpreters.create("isolated" if own else "legacy")
    if sys.version_info >= (3, 12):
        return interpreters.create(isolated=own)
    return interpreters.create()


def tick():
    pass


def hooked(sub):
    """Whoever traces us looks around at an event that comes some time after the last look."""
    end = time.monotonic() + 0.03
    while time.monotonic() < end:
        tick()
    try:
        return interpreters.run_string(sub, HOOKED) is None
    except Exception:
        return False


def in_late(done):
    new = create()
    interpreters.run_string(new, LATE)
    slots[20] = any(hooked(new) for _ in range(500 if slots[21] else 1))
    interpreters.run_string(new, "late_level0()")
    interpreters.destroy(new)
    done.release()


def in_kept(done):
    interpreters.run_string(kept, "one()")
    done.release()


def on_a_thread(work):
    done = _thread.allocate_lock()
    done.acquire()
    _thread.start_new_thread(work, (done,))
    done.acquire()


kept = create()
interpreters.run_string(kept, PLACES.replace("APP", APP).replace("LIB", LIB))
ready()
n = 0
while True:
    while slots[60] == n:
        time.sleep(0.001)
    n += 1
    interpreters.run_string(kept, "pass")
    on_a_thread(in_kept)
    on_a_thread(in_late)
    slots[61] = n
