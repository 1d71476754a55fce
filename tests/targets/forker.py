"""Forks all the time; children work a little and leave. A child that fails is counted in slot 1."""
import os

from progress import ready, slots


def leaf(n):
    return n + 1


def in_child():
    total = 0
    for i in range(50):
        total = leaf(total)
    return 0 if total == 50 else 3


ready()
while True:
    pid = os.fork()
    if pid == 0:
        code = 4
        try:
            code = in_child()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if status:
        slots[1] += 1
    slots[0] += 1
