"""Filters with VizTracer's subtree rule, depth, arguments, return values, collector counters, tasks."""
import asyncio, collections, functools, gc, json, sys
from vtarena import *

space = {}
exec(compile("def excluded(f):\n    return f()\n\ndef other():\n    return len('x')\n", "/elsewhere/lib.py", "exec"), space)
excluded, other = space["excluded"], space["other"]


def leaf():
    return len("ab")


def mid():
    excluded(leaf)
    return leaf()


def outer():
    mid()
    other()
    gen = iter_twice()
    excluded(lambda: next(gen))
    next(gen)
    return leaf()


def iter_twice():
    yield leaf()
    yield leaf()


def run(work, **options):
    s = Session(**options)
    s.start()
    work()
    s.stop()
    assert s.state == GONE, (s.state, s.err)
    s.decode()
    return s


def count(s, function):
    return sum(1 for st in s.streams.values() for k, n in s.events(st) if n == function and k in ("CALL", "C_CALL"))


def filters():
    s = run(outer, exclude=["/elsewhere/"])
    assert count(s, "excluded") == 0 and count(s, "other") == 0
    # leaf in mid's excluded call and in the generator's first step belong to an excluded subtree
    assert count(s, "leaf") == 3, count(s, "leaf")
    assert count(s, "builtins.len") == 3, count(s, "builtins.len")
    assert not any(v[2] == "/elsewhere/lib.py" and count(s, v[1]) for v in s.names.values())
    s = run(outer, include=["/elsewhere/"])
    # above the first included function nothing is hidden; below it what is not included is, with all that it calls
    assert count(s, "leaf") == 0 and count(s, "outer") == 0 and count(s, "mid") == 0
    assert count(s, "other") == 1 and count(s, "excluded") == 2 and count(s, "builtins.len") == 1
    s = run(lambda: other(), include=["/elsewhere/", run.__code__.co_filename])
    assert count(s, "other") == 1 and count(s, "builtins.len") == 1
    s = run(outer, depth=3)
    # <lambda> of run() is not there: outer is depth 0
    assert count(s, "outer") == 1 and count(s, "mid") == 1 and count(s, "other") == 1, s.events(s.stream_of("outer"))
    assert count(s, "builtins.len") == 2, count(s, "builtins.len")
    s = run(outer, depth=0)
    assert count(s, "outer") == 0 and count(s, "leaf") == 0
    s = run(outer, flags=0)
    assert count(s, "builtins.len") == 0 and count(s, "leaf") == 5, count(s, "leaf")


class Bad:
    def __repr__(self):
        raise RuntimeError("no")


class Slow:
    def __repr__(self):
        leaf()
        time.sleep(0.01)
        return "slow \u00e4"


def many(a, b=2, *rest, key=None, **more):
    x = lambda: a
    return [a, b]


def fails(a):
    raise KeyError(a)


def values_of(s, in_stream_of):
    """name -> [(arguments, (kind of the end, its value))] of each call in that stream, in order."""
    calls, pending_args, pending_ret, by = [], None, None, {}
    for kind, _, what in s.stream_of(in_stream_of):
        if kind == PAYLOAD and what[0] == PL_ARGS:
            pending_args, data = {}, what[1]
            while data:
                n, v = struct.unpack_from("<HH", data)
                pending_args[data[4:4 + n].decode()] = data[4 + n:4 + n + v].decode()
                data = data[4 + n + v:]
        elif kind == PAYLOAD and what[0] == PL_RETVAL:
            pending_ret = what[1].decode()
        elif kind == CALL:
            calls.append([s.full_name(what).split(".")[-1], pending_args, None])
            pending_args = None
        elif kind in (RETURN, UNWIND, YIELD):
            for c in calls[::-1]:
                if c[0] == s.full_name(what).split(".")[-1] and c[2] is None:
                    c[2] = (kind, pending_ret)
                    break
            pending_ret = None
    for name, args, ret in calls:
        by.setdefault(name, []).append((args, ret))
    return by


def arguments():
    def work():
        many(1, "t\u00e4xt", 3.5, Bad(), key=Slow(), extra=True)
        many("y" * 5000, list(range(100000)))
        try:
            fails(None)
        except KeyError:
            pass
        leaf()

    by = values_of(run(work, flags=F_C_CALLS | F_ARGS | F_RETVAL | F_REPR, repr_limit=60), "many")
    args, ret = by["many"][0]
    assert list(args) == ["a", "b", "key", "rest", "more"], args
    assert args["a"] == "1" and args["b"] == "'t\u00e4xt'" and args["key"] == "slow \u00e4", args
    assert args["rest"] == "(3.5, <repr raised RuntimeError>)", args
    assert args["more"] == "{'extra': True}", args
    assert ret == (RETURN, "[1, 't\u00e4xt']"), ret
    args, ret = by["many"][1]
    assert len(args["a"]) == 60 and args["a"] == "'" + "y" * 56 + "..." and args["b"] == repr(list(range(100)))[:57] + "...", args
    args, ret = by["fails"][0]
    assert args == {"a": "None"} and ret == (UNWIND, None), (args, ret)
    # leaf() called by repr is not part of the program
    assert len(by["leaf"]) == 1, by["leaf"]


class Long(list):
    pass


class Lazy:
    """Counting it would be work."""

    def __len__(self):
        raise SystemExit

    def __repr__(self):
        return "lazy"


def texts():
    """The text of a value is its repr, or the beginning of it; never the work for all of it."""
    ring, shared = [1], (2,)
    ring.append(ring)
    deep = []
    for _ in range(100):
        deep = [deep]
    plain = [0, -1, 2 ** 40, 2 ** 62, -2 ** 63, 2 ** 64, 10 ** 300, True, False, None, 1.5, float("inf"), -0.0, 1e300, "", "it's", 'a"b', "\n\\",
             "\u20ac", "x" * 100, b"ab\x00", (), (1,), (1, 2), [], [None], {}, {1: "a", "b": [2]}, set(), {3}, frozenset(), frozenset([4]),
             [shared, shared, ()], Lazy(), "\x7f\x00\t\r", "it's \"both\"", "'", "a" * 198, "a" * 199, "'" * 100, "\n" * 150, -5, 2 ** 31,
             -2 ** 30, 2 ** 60, 2 ** 63, float("nan"), 1e-7, 123456789.0, 5e-324, "x" * 199 + "\u20ac", "\u20ac" * 300, "\U0001f600", Long([1, 2]), range(3), len, type, Ellipsis, "\ud800"]
    odd = [ring, deep, Long(range(20000)), [Bad(), 1], {1: Bad()}, collections.deque(range(20000)), 10 ** 5000,
           list(range(10 ** 6)), {i: i for i in range(10 ** 6)}, set(range(10 ** 5)), "z" * 10 ** 7, b"z" * 10 ** 7, [[["q" * 500]]]]

    def give(x):
        return x

    def work():
        for x in plain + odd:
            give(x)

    s = run(work, flags=F_RETVAL | F_REPR, repr_limit=200)
    stream, got, pending = s.stream_of("give" if sys.version_info < (3, 11) else "texts.<locals>.give"), [], None
    for kind, _, what in stream:
        if kind == PAYLOAD and what[0] == PL_RETVAL:
            pending = what[1].decode("utf-8", "surrogateescape")
        elif kind == RETURN:
            if s.full_name(what).split(".")[-1] == "give":
                got.append(pending)
            pending = None

    def short(text):
        return text if len(text) <= 200 else text[:197] + "..."

    assert len(got) == len(plain + odd), len(got)
    for x, text in zip(plain, got):
        assert text == short(repr(x)), (x, text)
    ring_text, deep_text, long_text, bad, bad_value, queue, huge, items, pairs, numbers, string, data, nested = got[len(plain):]
    assert ring_text == repr(ring) and deep_text.startswith("[[[[[") and "..." in deep_text, (ring_text, deep_text)
    assert long_text == "<Long of 20000 items>" and queue == "<collections.deque of 20000 items>", (long_text, queue)
    assert bad == "[<repr raised RuntimeError>, 1]" and bad_value == "{1: <repr raised RuntimeError>}", (bad, bad_value)
    assert huge == "<int of 16610 bits>", huge
    for value, text in ((list(range(1000)), items), ({i: i for i in range(1000)}, pairs), ("z" * 300, string), (b"z" * 300, data), ([[["q" * 500]]], nested)):
        assert text == short(repr(value)), text
    assert len(numbers) == 200 and numbers.startswith("{0, 1, 2"), numbers


def positional(a, b=2, *rest, key="k", **more):
    return a


def captured(cell, plain, *rest, key, **more):
    """An argument that an inner function uses is in a cell."""
    def inner():
        return cell, rest, key, more
    return inner


def is_cell(box):
    return box


def holds_cell(box, other):
    return lambda: other


def deletes(gone, stays):
    del gone
    yield stays
    yield stays


def no_arguments():
    a = 1
    return a


def many_of_them(a, b, c, d, e, f, g, h, i, j, k, l):
    return l


def where():
    """Every kind of argument, from wherever the interpreter keeps it: the same as what was given."""
    cell, given = captured(0, 1, key=2).__closure__[0], []

    def call(f, *args, **kwargs):
        given.append((f, args, kwargs))
        r = f(*args, **kwargs)
        if f is deletes:
            list(r)

    def work():
        for turn in range(40):  # the first calls are how the agent makes sure where arguments are
            call(positional, turn)
            call(positional, turn, "text", 1.5, None, key=True, other=turn)
            call(captured, turn, "p", 3, 4, key="x", more=b"y")
            call(is_cell, cell)
            call(holds_cell, cell, cell)
            call(deletes, turn, "s")
            call(no_arguments)
            call(many_of_them, *["'%d\n" % i + "x" * 20 * i for i in range(12)])
            call(many_of_them, *[{turn: [i]} for i in range(12)])

    by = values_of(run(work, flags=F_ARGS | F_RETVAL, repr_limit=1000), "call" if sys.version_info < (3, 11) else "where.<locals>.call")
    expected = {}
    for f, args, kwargs in given:
        code, names = f.__code__, {}
        n = code.co_argcount
        defaults = dict(zip(code.co_varnames[n - len(f.__defaults__ or ()):n], f.__defaults__ or ()))
        for i, name in enumerate(code.co_varnames[:n]):
            names[name] = args[i] if i < len(args) else defaults[name]
        for name in code.co_varnames[n:n + code.co_kwonlyargcount]:
            names[name] = kwargs[name] if name in kwargs else f.__kwdefaults__[name]
        if code.co_flags & 4:
            names["rest"] = args[n:]
        if code.co_flags & 8:
            names["more"] = {k: v for k, v in kwargs.items() if k not in names}
        expected.setdefault(f.__name__, []).append({k: repr(v) for k, v in names.items()} or None)
    for name, wanted in expected.items():
        got = [args for args, _ in by[name]]
        if name == "deletes" and sys.version_info < (3, 12):  # generators that go on look like calls
            assert [a for a in got if len(a) == 2] == wanted and all(a in (w, {"stays": "'s'"}) for a in got for w in [got[0]] if len(a) == 1), got
            continue
        assert got == wanted, (name, got[:3], wanted[:3])
    assert [r for _, r in by["many_of_them"]][0] == (RETURN, repr(given[7][1][-1])), by["many_of_them"][0]


def collector():
    def work():
        gc.collect()
        a = []
        a.append(a)
        del a
        gc.collect()

    s = run(work, flags=F_C_CALLS | F_GC)
    counters = [struct.unpack("<QQQ", e[2][1]) for st in s.streams.values() for e in st if e[0] == PAYLOAD and e[2][0] == PL_COUNTER]
    assert len(counters) >= 4 and counters[0][0] == 1 and counters[1][0] == 0, counters
    assert any(c[1] >= 1 for c in counters), counters
    assert not gc.callbacks


async def tick(n):
    for _ in range(n):
        await asyncio.sleep(0)
    return n


async def both():
    await asyncio.gather(asyncio.ensure_future(tick(3)), asyncio.ensure_future(tick(3)))


def tasks():
    s = run(lambda: asyncio.run(both()), flags=F_ASYNC)
    stream = s.stream_of("tick")
    names, current, seen = {0: None}, 0, collections.Counter()
    for kind, _, what in stream:
        if kind == PAYLOAD and what[0] == PL_TASK:
            address, number, n = struct.unpack_from("<QII", what[1])
            names[number] = what[1][16:16 + n].decode()
        elif kind == TASK:
            current = what
        elif kind in (CALL, RESUME) and s.full_name(what) == "tick":
            assert current, "tick outside of a task"
            seen[names[current]] += 1
    assert len(seen) == 2 and all(n == 4 for n in seen.values()), seen
    assert current == 0, "a task is still current"


filters()
arguments()
texts()
where()
collector()
tasks()
print("ok")
