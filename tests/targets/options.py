"""Calls whose recording the options change; one round when the test sets slot 60, slot 61 says that it is done."""
import asyncio
import gc
import math
import sys
import threading
import time

import optionlib
from progress import ready, slots


def called_back():
    return 1


def direct():
    return math.hypot(3, 4)


def by_files():
    optionlib.helper(called_back)
    direct()


def level2():
    return 2


def level1():
    return level2()


def level0():
    return level1()


def by_depth():
    t = threading.Thread(target=level0, name="depths")
    t.start()
    t.join()


def quick():
    return 0


def slow():
    end = time.perf_counter() + 0.02
    while time.perf_counter() < end:
        pass
    quick()


class Odd:
    def __repr__(self):
        raise RuntimeError("no")


def arguments(x, y, *rest, k=1, **others):
    return x + k


def gives_text():
    return "text \"quoted\" \u00e9"


def with_values():
    arguments(1, "two", 3, 4, k=5, z=[6])
    arguments(1, Odd())
    gives_text()


def imports():
    sys.modules.pop("colorsys", None)
    __import__("colorsys")


async def tasked(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def tasks():
    loop = asyncio.get_running_loop()
    made = [loop.create_task(tasked(3)) for _ in range(2)]
    for i, t in enumerate(made):
        t.set_name("job-%d" % i)
    await asyncio.gather(*made)


def collects():
    ring = []
    ring.append(ring)
    del ring
    gc.collect()


def one_round():
    by_files()
    by_depth()
    slow()
    with_values()
    imports()
    collects()
    asyncio.run(tasks())
    for _ in range(2000):
        quick()
    direct()


ready()
n = 0
while True:
    while slots[60] == n:
        time.sleep(0.001)
    n += 1
    one_round()
    slots[61] = n
