"""A function that stays in its innermost call while its variables are read. Prints `ready`, then a line `value NAME TEXT`
for each variable of `work` as repr() tells it, then `said`. What runs code of the program when it is asked for its text
prints `harmed` instead. With an argument: a function whose variables change all the time."""
import collections
import os
import sys
import threading
import time

from progress import ready


class Order:
    def __repr__(self):
        os.write(1, b"harmed\n")
        return "no"

    class Line:
        pass


class Number(int):
    def __repr__(self):
        os.write(1, b"harmed\n")
        return "no"


def told(name, value):
    os.write(1, ("value %s %s\n" % (name, value)).encode("utf-8", "surrogateescape"))


def at(name, what, value):
    told(name, "<%s at 0x%x>" % (what, id(value)))


def work(argument, *rest, key=None, **options):
    zero, one, minus, word = 0, 1, -1, 2**30
    large, huge = -(10**40), 2**700 + 12345678901234567890
    too_large = 1 << 3000
    yes, no, none = True, False, None
    f0, f1, f2, f3, f4, f5 = 0.0, -1.5, 0.1, 1e16, 1.5e-7, 123456789012345.6
    f6, f7, f8 = float("inf"), 2.0**70, 1e-4
    text, quoted, wide, sky, empty = "plain", "it's \"x\"\n\\", "größe", "名前\U0001f600", ""
    alone, odd, zeros = "\udc80", "\x01\x7f\x85", "a\0b"
    raw, raw_odd = b"bytes'", b"\x00\xff\"'\n"
    a_list, a_tuple, pair, no_tuple = [1, "two", None], (1,), (1, (2, [3])), ()
    a_dict, by_number, no_dict = {"a": 1, "b": [2.5]}, {1: "one", None: ()}, {}
    removed = {"x": 1, "y": 2, "z": 3}
    del removed["y"]
    a_set, frozen, no_set = {7}, frozenset([b"x"]), set()
    round_list = [1]
    round_list.append(round_list)
    order, line, number = Order(), Order.Line(), Number(5)
    deque, held = collections.deque(), [Order]
    used_inside = [4711]
    for i in range(3):
        pass
    later = 1
    del later

    def inner():
        mine = used_inside
        gate.acquire()
        return mine

    names = ("rest key options zero one minus word large huge yes no none f0 f1 f2 f3 f4 f5 f6 f7 f8 text quoted wide sky empty "
             "odd zeros raw raw_odd a_list a_tuple pair no_tuple a_dict by_number no_dict removed a_set frozen no_set round_list "
             "used_inside i").split()
    values = locals()
    for name in names:
        told(name, repr(values[name]))
    told("too_large", "<int of 3030 bits>")
    told("alone", "'\\udc80'")
    at("argument", "Order" if __name__ == "" else "__main__.Order", argument)
    at("order", "__main__.Order", order)
    at("line", "__main__.Order.Line", line)
    at("number", "__main__.Number", number)
    at("deque", "collections.deque", deque)
    told("held", "[<type at 0x%x>]" % id(Order))
    at("inner", "function", inner)
    os.write(1, b"said\n")
    inner()


gate = threading.Lock()
gate.acquire()
ready()
if len(sys.argv) > 1:  # variables that change all the time
    def spin(x, a, b, c, d, e, f, g, h, i, j, y):
        while True:
            x += 1
            y = x  # noqa: F841

    spin(10**9, *[{k: [k] * 5 for k in range(m, m + 50)} for m in range(10)], 10**9)
else:
    work(Order(), 1, "more", key=2.5, extra=[1])
    time.sleep(0)
