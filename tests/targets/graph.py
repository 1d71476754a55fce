"""Calls all the time: graph.py [THREADS]. In the line of each call stands the name of the called function with an opening
bracket, so that any stack can be checked against this text."""
import sys
import threading

from progress import ready, slots


def leaf_a(n):
    return n + 1


def leaf_b(n):
    n = n * 3
    return n & 255


def pair(n):
    n = leaf_a(n)
    n = leaf_b(n)
    return n


def steps(n):
    for i in range(3):
        yield leaf_b(n)
        yield leaf_a(i)


def walk(n):
    for x in steps(n):
        n += x
    return n


def twice(n):
    n = pair(n)
    n = walk(n)
    return n


def deep(n):
    if n > 0:
        return deep(n - 1)
    return pair(n)


def made(n):
    f = lambda x: leaf_a(x)  # <lambda>(
    return f(n)  # <lambda>(


class Node:
    def __init__(self, n):  # Node.__init__(
        self.n = leaf_b(n)

    def value(self):
        return twice(self.n)


def node(n):
    one = Node(n)  # Node.__init__( __init__(
    return one.value()


def turn(n):
    n = twice(n)
    n = deep(12)
    n = made(n)
    n = node(n)
    n = sum(steps(n))
    return n & 1023


def spin(slot):
    n = 0
    while True:
        n = turn(n)
        slots[slot] += 1


threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
for i in range(1, threads):
    threading.Thread(target=spin, args=(i,), daemon=True).start()
while not all(slots[1:threads]):
    turn(1)
ready()
spin(0)
