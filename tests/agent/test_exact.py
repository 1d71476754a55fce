"""A known call tree gives exactly those calls: functions, methods, generators, exceptions, C functions."""
import sys
from vtarena import *


def leaf(x):
    return len([x])


def gen(n):
    for i in range(n):
        yield leaf(i)


def guarded():
    try:
        yield 1
    except KeyError:
        yield 2


def inner():
    yield 1


def delegating():
    yield from inner()


class Wait:
    def __await__(self):
        yield 1


async def coroutine():
    await Wait()
    return 3


async def stream():
    yield 1


def pieces():
    g = guarded()
    next(g)
    g.throw(KeyError())
    g.close()
    list(delegating())
    co = coroutine()
    for _ in range(2):
        try:
            co.send(None)
        except StopIteration:
            pass
    s = stream()
    try:
        s.__anext__().send(None)
    except StopIteration:
        pass
    kept[0] = s


kept = [None]


def raiser():
    raise ValueError("x")


def catch():
    try:
        raiser()
    except ValueError:
        pass


def apply(f, x):
    return f(x)


class Thing:
    def method(self):
        return "a,b".split(",")

    @staticmethod
    def static():
        return sorted([2, 1])


def workload():
    for i in range(3):
        leaf(i)
    list(gen(2))
    pieces()
    catch()
    apply(leaf, 1)
    apply(abs, -1)
    t = Thing()
    t.method()
    Thing.static()
    [].append(1)
    {}.get(1)
    try:
        int.from_bytes(1, 2, 3)
    except TypeError:
        pass
    dict.fromkeys([1])


def c(name):
    return [("C_CALL", name), ("C_RETURN", name)]


def py(name, *inner):
    out = [("CALL", name)]
    for i in inner:
        out += i
    return out + [("RETURN", name)]


NEW = sys.version_info >= (3, 11)


def q(cls, name):
    return cls + "." + name if NEW else name


LEAF = py("leaf", c("builtins.len"))


def expected():
    e = LEAF * 3
    e += [("CALL", "gen")] * 1
    if sys.version_info >= (3, 11):
        pass
    return e


def main():
    s = Session()
    s.start()
    workload()
    s.stop()
    assert s.state == GONE and s.why == 1, (s.state, s.why)
    s.decode()
    got = s.span_of(s.stream_of("workload"), "workload")
    s.check_nesting(s.stream_of("workload"))
    if os.environ.get("VT_SHOW"):
        for e in got:
            print(e)
    counts = {}
    for e in got:
        counts[e] = counts.get(e, 0) + 1
    for kind, name, n in [("CALL", "leaf", 6), ("RETURN", "leaf", 6), ("C_CALL", "builtins.len", 6), ("C_RETURN", "builtins.len", 6),
                          ("CALL", "catch", 1), ("CALL", "raiser", 1), ("UNWIND", "raiser", 1), ("RETURN", "catch", 1),
                          ("CALL", "apply", 2), ("C_CALL", "builtins.abs", 1), ("C_RETURN", "builtins.abs", 1),
                          ("CALL", q("Thing", "method"), 1), ("C_CALL", "str.split", 1), ("CALL", q("Thing", "static"), 1),
                          ("C_CALL", "builtins.sorted", 1), ("C_CALL", "list.append", 1), ("C_CALL", "dict.get", 1),
                          ("C_CALL", "int.from_bytes", 1), ("C_RAISE", "int.from_bytes", 1), ("C_CALL", "dict.fromkeys", 1),
                          ("CALL", "gen", 1), ("YIELD", "gen", 2), ("RESUME", "gen", 2), ("RETURN", "gen", 1)]:
        assert counts.get((kind, name), 0) == n, (kind, name, counts.get((kind, name), 0), n)
    # calls, yields, pieces that a resume or a throw began, returns, exceptions
    for name, want in [("guarded", (1, 2, 2, 0, 1)), ("inner", (1, 1, 1, 1, 0)), ("delegating", (1, 1, 1, 1, 0)),
                       (q("Wait", "__await__"), (1, 1, 1, 1, 0)), ("coroutine", (1, 1, 1, 1, 0)), ("stream", (1, 1, 0, 0, 0))]:
        n = [counts.get((kind, name), 0) for kind in ("CALL", "YIELD", "RESUME", "THROW", "RETURN", "UNWIND")]
        assert (n[0], n[1], n[2] + n[3], n[4], n[5]) == want, (name, n, want)
    stack = [x for x in s.stacks if x[4]]
    mine = [[s.full_name(i) for i in x[4]] for x in stack]
    assert any(m[-1] == "run" or m[-1].endswith(".run") for m in mine), mine
    line = [v for v in s.names.values() if v[1] == "leaf"][0]
    assert line[2].endswith("test_exact.py") and line[3] == leaf.__code__.co_firstlineno, line
    assert s.dropped == 0


main()
print("ok")
