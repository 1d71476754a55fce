"""A known call tree, run once when the test sets slot 60; slot 61 says that it is done. The counts stand in tests/integration/exact.c."""
import math
import threading
import time

from progress import ready, slots

SEQUENCE = 2000
STEPS = 100000

namespace = {}
exec("\n".join("def f_%d(x):\n    return x + %d" % (i, i) for i in range(SEQUENCE)), namespace)
sequence = [namespace["f_%d" % i] for i in range(SEQUENCE)]


def c():
    return "text".upper()


def b():
    c()
    c()
    for _ in range(5):
        len("abc")


def a():
    b()
    b()
    b()


def step(i):
    return i


def in_order():
    x = 0
    for f in sequence:
        x = f(x)


def many():
    for i in range(STEPS):
        step(i)


def counting(n):
    for i in range(n):
        yield i


def guarded():
    try:
        yield 1
    except KeyError:
        yield 2
    finally:
        pass


def delegated():
    yield 1
    yield 2


def delegating():
    yield from delegated()


def generators():
    for _ in counting(5):
        pass
    for _ in delegating():
        pass
    g = guarded()
    next(g)
    g.throw(KeyError())
    g.close()
    g = guarded()
    next(g)
    g.close()


class Wait:
    def __await__(self):
        yield 1


async def stream():
    yield 1
    yield 2


async def coroutine():
    await Wait()
    await Wait()
    return 3


def coroutines():
    co = coroutine()
    for _ in range(3):
        try:
            co.send(None)
        except StopIteration:
            pass
    values = stream()
    for _ in range(3):
        try:
            values.__anext__().send(None)
        except (StopIteration, StopAsyncIteration):
            pass


def raiser(n):
    raise ValueError(n)


def middle(n):
    raiser(n)


def exceptions():
    for i in range(10):
        try:
            middle(i)
        except ValueError:
            pass
    for i in range(7):
        try:
            math.sqrt(-1)
        except ValueError:
            pass


def recurse(n):
    return recurse(n - 1) + 1 if n else 0


class Shape:
    def area(self):
        def inner():
            return 1

        return inner()

    @classmethod
    def make(cls):
        return cls()

    @staticmethod
    def unit():
        return 1


def methods():
    for _ in range(4):
        Shape.make().area()
        Shape.unit()


def c_functions():
    rows = []
    for i in range(6):
        rows.append(i)
        math.floor(1.5)
    rows.sort()
    {}.get(1)


def extra_work():
    return 1


def extra():
    for _ in range(50):
        extra_work()


def new_threads():
    threads = [threading.Thread(target=extra, name="extra-%d" % i) for i in range(3)]
    kept.extend(threads)  # else their weak references call back when they go
    for t in threads:
        t.start()
    for t in threads:
        t.join()


kept = []


def known():
    a()
    in_order()
    many()
    generators()
    coroutines()
    exceptions()
    recurse(200)
    methods()
    c_functions()
    new_threads()


def beyond():
    """Open when tracing stops."""
    slots[61] = 1
    while slots[60] < 2:
        time.sleep(0.001)


def inner_open():
    """Open when tracing starts."""
    while not slots[60]:
        time.sleep(0.001)


def outer_open():
    inner_open()
    known()
    beyond()


ready()
outer_open()
