"""Exceptions, generators and throw() as fast as they go."""
from progress import ready, slots


def bad(n):
    raise ValueError(n)


def caught(n):
    try:
        bad(n)
    except ValueError as e:
        return e.args[0]


def numbers(n):
    try:
        for i in range(n):
            yield i
    except KeyError:
        yield -1


def delegate(n):
    yield from numbers(n)


def round_trip():
    caught(1)
    sum(delegate(5))
    g = numbers(3)
    next(g)
    g.throw(KeyError())
    g.close()
    try:
        int("no number")
    except ValueError:
        pass


ready()
while True:
    round_trip()
    slots[0] += 1
