"""fib at full speed in one thread; slot 0 counts the calls of fib that have ended, a hundred or so at a time."""
from progress import ready, slots


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


ready()
while True:
    fib(12)
    slots[0] += 465
