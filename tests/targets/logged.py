"""Assignments of every kind, for --log_var and its kind. The names that are told are x, y, n, attr; the function is steps."""
import os as x
import sys

import logged_module


class Holder:
    pass


def steps(y, *rest, key=2):
    """A docstring stays the first statement."""
    total = y + key
    total += 1
    return total


def assigned(x):
    x = 1
    x += 1
    x: int = 3
    (x, *more), other = (4, 5, 6), 7
    if (x := 8) > 3:
        pass
    [x for x in (9,)]
    with open(os_devnull) as x:
        x = 10
    try:
        raise ValueError("told")
    except ValueError as x:
        pass
    for x in (11,):
        pass
    holder = Holder()
    holder.attr = 12
    holder.attr += 1
    (holder.attr, other) = (14, 15)
    table = {}
    table["x"] = 16
    x = "é\"\\\n"
    del x


async def asynchronous(x):
    async for x in Two():
        pass
    async with Two() as x:
        pass


class Two:
    left = 2

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.left -= 1
        if self.left < 0:
            raise StopAsyncIteration
        return self.left

    async def __aenter__(self):
        return "entered"

    async def __aexit__(self, *_):
        return None


def run(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        pass


def numbers():
    n = 1
    n = 2.5
    n = True
    n = float("inf")
    n = 10**20
    n = "text"


def comments():
    value = 3  # !viztracer: log
    len("abc")  # !viztracer: log if value == 3
    len("abc")  # !viztracer: log if value == 4
    # !viztracer: log_var("named", value + 1)
    # !viztracer: log_var("object", {"k": value})
    # !viztracer: log_instant("moment")
    # !viztracer: log_instant("never") if value == 4
    # !viztracer: log_instant("with args", args=[value])
    return [value,  # !viztracer: log
            """
# !viztracer: log_var("in a text", 1)
"""]


def last_line():
    raise KeyError("the end")


if __name__ == "__main__":
    os_devnull = x.devnull
    assigned(0)
    run(asynchronous(0))
    steps(5)
    numbers()
    comments()
    print(logged_module.answer(20), sys._getframe().f_back, sorted(globals()))
    if len(sys.argv) > 1:
        last_line()
