"""A C call that holds the GIL for about SECONDS (2), again and again, with a little Python between: holder.py [SECONDS], of CPU time."""
import sys
import time

from progress import ready, slots


def leaf(n):
    return n + 1


def hold(n):
    return sum(range(n))


n = 10**6
began = time.process_time()
hold(n)
took = max(time.process_time() - began, 1e-4)
n = int(n * (float(sys.argv[1]) if len(sys.argv) > 1 else 2.0) / took)
ready()
while True:
    hold(n)
    for i in range(100):
        leaf(i)
    slots[0] += 1
