"""Recursion 15,000 deep in a thread, with calls at the bottom for ever: deep.py [DEPTH]."""
import sys
import threading

from progress import ready, slots


def leaf(n):
    return n + 1


def bottom():
    ready()
    while True:
        for i in range(20):
            leaf(i)
        slots[0] += 1


def down(n):
    if n:
        return down(n - 1)
    return bottom()


depth = int(sys.argv[1]) if len(sys.argv) > 1 else 15000
sys.setrecursionlimit(depth + 1000)
threading.stack_size(512 << 20)
t = threading.Thread(target=down, args=(depth,), name="deep", daemon=True)
t.start()
t.join()
