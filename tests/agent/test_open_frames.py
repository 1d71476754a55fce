"""Filters and frames that are open at the start: calls from those frames are recorded, calls of the same function that begin later
silence what they call, and nothing of a function that is left out stays switched on."""
import dis
from vtarena import *

OUT = """
def outer(n, then):
    if n:
        outer(n - 1, then)
    else:
        then()
    leaf()

def raising(n):
    if n:
        raising(n - 1)
    leaf()
    raise KeyError

def own_function(at):
    return c_void_p.from_address(at).value

def producer(n):
    for i in range(n):
        leaf()
        yield i
"""
space = {}
exec(compile("def leaf():\n    return abs(1)\n", "/in/leaf.py", "exec"), space)
space["c_void_p"] = ctypes.c_void_p
exec(compile(OUT, "/out/outer.py", "exec"), space)
leaf, outer, raising, producer = (space[n] for n in ("leaf", "outer", "raising", "producer"))


def nothing():
    pass


def excluded_work():
    outer(3, nothing)
    for i in range(3):
        try:
            raising(4)
        except KeyError:
            pass
    list(producer(3))


def counts(s):
    got = {}
    for st in s.streams.values():
        for kind, name in s.events(st):
            got[name, kind] = got.get((name, kind), 0) + 1
    return got


def session(depth, inside, **options):
    s = Session(**options)

    def then():
        s.start()
        inside()

    outer(depth, then)
    excluded_work()
    leaf()
    s.stop()
    assert s.state == GONE
    return counts(s.decode())


def by_file():
    for depth in (0, 3, 40):
        for inside in (nothing, excluded_work, leaf):
            for more in ({"exclude": ["/out/"]}, {"include": ["/in/", os.path.dirname(os.path.abspath(__file__)), "test_"]}):
                got = session(depth, inside, **more)
                expected = depth + 2 + (inside is leaf)
                for name, enter, leave in (("leaf", "CALL", "RETURN"), ("builtins.abs", "C_CALL", "C_RETURN")):
                    assert got.get((name, enter)) == expected == got.get((name, leave)), (depth, inside, more, got)
                assert not any(name in ("outer", "raising", "producer") for name, kind in got), got


def by_name():
    """A function that is left out by its name silences nothing."""
    for depth in (0, 3):
        got = session(depth, nothing, globs=((), ("outer", "raising", "producer"), (), ()))
        assert got["leaf", "CALL"] == depth + 1 + 4 + 3 + 3 + 1 == got["leaf", "RETURN"], got
        assert not any(name in ("outer", "raising", "producer") for name, kind in got), got


def is_instrumented(function):
    at = next(i.offset for i in dis.get_instructions(function) if i.opname.startswith("RESUME"))
    return dis.opname[function.__code__._co_code_adaptive[at]].startswith("INSTRUMENTED")


def switched_off():
    """3.12+: the function had open frames at the start; one of them is still open."""
    seen = []
    s = Session(exclude=["/out/"])

    def then():
        s.start()
        excluded_work()
        excluded_work()
        seen.append([is_instrumented(f) for f in (outer, producer)])

    outer(5, then)
    seen.append([is_instrumented(f) for f in (outer, producer)])
    s.stop()
    assert seen == [[False, False], [False, False]], seen


def own_function_here(at):
    return ctypes.c_void_p.from_address(at).value


def switched_by_frame():
    """Below 3.12: a function that is left out runs without any profile function, one that is recorded with ours, also where one
    calls the other."""
    state = ctypes.pythonapi.PyThreadState_Get
    state.restype = ctypes.c_void_p
    at = state() + (64 if sys.version_info >= (3, 11) else 56)
    for more in ({"exclude": ["/out/"]}, {"globs": ((), ("own_function",), (), ())}):
        s = Session(**more)
        s.start()
        seen = [space["own_function"](at), own_function_here(at), space["own_function"](at)]
        s.stop()
        after = own_function_here(at)
        assert seen[0] is None and seen[1] and seen[2] is None and after is None, (more, seen, after)
    s = Session()
    s.start()
    seen = space["own_function"](at)
    s.stop()
    assert seen, "without filters ours is always on"


by_file()
by_name()
if sys.version_info >= (3, 12):
    switched_off()
else:
    switched_by_frame()
print("ok")
