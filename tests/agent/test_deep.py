"""15,000 open frames at the start; recursion while traced; exceptions and generators that are thrown into."""
import sys, threading
from vtarena import *

DEEP = 15000
result = {}


def down(n, then):
    if n == 0:
        return then()
    return down(n - 1, then)


def at_bottom():
    s = result["s"] = Session(chunks=256)
    s.start()
    return 7


def gen():
    while True:
        try:
            yield 1
        except KeyError:
            yield 2


def body():
    sys.setrecursionlimit(DEEP * 2)
    assert down(DEEP, at_bottom) == 7
    g = gen()
    next(g)
    assert g.throw(KeyError("x")) == 2
    g.close()
    down(3000, int)
    result["s"].stop()


def main():
    threading.stack_size(512 << 20)
    t = threading.Thread(target=body, name="deep")
    t.start()
    t.join()
    s = result["s"].decode()
    parts = [x for x in s.stacks if x[0] == [y for y in s.stacks if y[3] == "deep"][0][0]]
    assert [x[2] for x in parts] == list(range(len(parts))), [x[2] for x in parts]
    frames = [s.full_name(i) for x in parts for i in x[4]]
    assert frames.count("down") == DEEP + 1, frames.count("down")
    stream = s.stream_of("gen")
    left = s.check_nesting(stream, frames)
    returns = sum(1 for k, n in s.events(stream) if k == "RETURN" and n == "down")
    assert returns == DEEP + 1 + 3001, returns
    kinds = [k for k, n in s.events(stream) if n == "gen"]
    if sys.version_info >= (3, 12):
        assert kinds == ["CALL", "YIELD", "THROW", "YIELD", "THROW", "UNWIND"], kinds


main()
print("ok")
