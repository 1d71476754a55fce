"""Small calls for ever; slot 2 holds the monotonic time of the last round in ns. clocked.py [END]: ends by itself after END seconds."""
import sys
import time

from progress import ready, slots


def tick(n):
    return n + 1


def run(limit):
    clock = time.monotonic_ns
    end = clock() + int(limit * 1e9)
    ready()
    while slots[2] < end:
        for i in range(20):
            tick(i)
        for i in range(3000):  # time without calls: traces stay small
            pass
        slots[0] += 1
        slots[2] = clock()


run(float(sys.argv[1]) if len(sys.argv) > 1 else 1e6)
