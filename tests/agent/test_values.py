"""Texts of values without a line of the program's code: equal to repr() where its type has none, and nothing runs for hostile objects."""
import collections, dataclasses, datetime, decimal, enum, fractions, gc, pathlib, re, sys, threading, uuid
from vtarena import *

LIMIT = 200
ran = []


def give(x):
    return x


def texts(values, limit=LIMIT, **options):
    """The text of each value as the agent tells it."""
    s = Session(flags=F_RETVAL, repr_limit=limit, **options)
    s.start()
    for x in values:
        give(x)
    s.stop()
    assert s.state == GONE, (s.state, s.err)
    s.decode()
    got, pending = [], None
    for kind, _, what in s.stream_of("give"):
        if kind == PAYLOAD and what[0] == PL_RETVAL:
            pending = what[1].decode("utf-8")
        elif kind == RETURN:
            if s.full_name(what) == "give":
                got.append(pending)
            pending = None
    assert len(got) == len(values), (len(got), len(values))
    return got


class Color(enum.Enum):
    RED = 1
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 3


class Perm(enum.Flag):
    R = 4


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Data:
    a: int
    b: str = "x"
    hidden: int = dataclasses.field(default=1, repr=False)
    c: list = dataclasses.field(default_factory=list)


class Plain:
    def __init__(self, **fields):
        for k, v in fields.items():
            setattr(self, k, v)


class Slots:
    __slots__ = ("a", "b", "unset")

    def __init__(self):
        self.a, self.b = 1, [2]


class SlotsAndDict(Slots):
    pass


class Own(Exception):
    pass


def short(text):
    return text if len(text) <= LIMIT else text[:LIMIT - 3] + "..."


def same_as_repr():
    zone = datetime.timezone.utc
    values = [0, -1, 7, 2 ** 40, 2 ** 62, -2 ** 63, 2 ** 63, 2 ** 64, -2 ** 64, 10 ** 30, 10 ** 18 * 7, 10 ** 60 + 1, -10 ** 300, (1 << 1199) + 12345, True, False, None,
              1.5, float("inf"), float("nan"), -0.0, 1e300, 5e-324, 2 + 3j, "", "it's", 'a"b', "'\"", "\n\\\t\r\x00\x7f", "\u20ac", "t\xe4xt", "\xa0\xad", "\u200b\u4e00'", "\U0001f600\U000e0001",
              "\ud800x", "x" * 500, "\u20ac" * 500, b"", b"ab\x00'\"\\\n", b"'", b"z" * 500, bytearray(b"x'y"), bytearray(), (), (1,), (1, (2,)), [], [None, [1]], {}, {1: "a", "b": [2]},
              set(), {3}, frozenset(), frozenset([4]), {("a", 1)}, range(5), range(1, 9), range(1, 9, 2), range(0, -5, -1), range(10 ** 30), slice(None), slice(1, 2, None), slice("a", [1], 3),
              datetime.date(2026, 1, 31), datetime.datetime(2026, 11, 30, 1, 2), datetime.datetime(2026, 11, 30, 1, 2, 3), datetime.datetime(1, 1, 1, 0, 0, 0, 4),
              datetime.timedelta(0), datetime.timedelta(3, 4, 5), datetime.timedelta(microseconds=-1), datetime.timedelta(days=-3),
              uuid.UUID(int=0), uuid.UUID("12345678-9abc-def0-1234-56789abcdef0"), uuid.UUID(int=2 ** 128 - 1), Color.RED, Color.GREEN, Perm.R,
              [Color.RED, {"k": Color.GREEN}], Point(1, "y"), Point([1], Point(2, 3)), Data(1), Data(2, "y", 5, [Data(3)]), ValueError(), ValueError("x"), KeyError("k", 3), OSError(2, "no"),
              len, "x".join, [].append, str.join, give, (lambda: 0), give.__code__, type, int, Plain, collections.OrderedDict, object(), Ellipsis, NotImplemented, math_pi]
    values += [decimal.Decimal(t) for t in ("0", "-0", "1", "123.45", "-0.001", "1E+5", "1.2E+40", "1E-7", "0.000001", "0E-10", "Infinity", "-Infinity", "NaN", "sNaN", "1" * 19, "1" * 20, "9" * 60, "0." + "1" * 45, "1000000000000000000000.5")]
    values += [pathlib.PurePosixPath("/usr/lib"), pathlib.PurePosixPath("a"), pathlib.Path("/tmp/x.y")]
    wrong = [(repr(v)[:80], t) for v, t in zip(values, texts(values)) if t != short(repr(v))]
    assert not wrong, wrong


math_pi = 3.141592653589793


def documented():
    plain, slots, both, bare = Plain(a=1, b="x", c=[1, 2]), Slots(), SlotsAndDict(), Plain()
    both.more = "m"
    touched = Plain(a=1)
    touched.__dict__["z"] = (2,)
    replaced = Plain(a=1)
    replaced.__dict__ = {"n": 5}
    inner = Plain(child=Plain(leaf=1))
    counter, queue = collections.Counter("aab"), collections.deque([1])
    name = __name__ + "."

    def at(x, rest, kind=None):
        return "<%s at 0x%x%s>" % (kind or name + type(x).__name__, id(x), rest)

    class Local:
        pass

    local, zoned = Local(), datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
    cases = [(plain, at(plain, " a=1 b='x' c=[1, 2]")), (slots, at(slots, " a=1 b=[2]")), (both, at(both, " a=1 b=[2] more='m'")), (bare, at(bare, "")),
             (touched, at(touched, " a=1 z=(2,)")), (replaced, at(replaced, " n=5")), (inner, at(inner, " child=" + at(inner.child, " leaf=1"))),
             (counter, at(counter, " {'a': 2, 'b': 1}", "collections.Counter")), (queue, at(queue, "", "collections.deque")), (local, at(local, "", name + "documented.<locals>.Local")),
             (Own("t"), "Own('t')"), (1 << 100000, "0x1" + "0" * (LIMIT - 6) + "..."), (-(1 << 4000), "-0x1" + "0" * (LIMIT - 7) + "..."), (Level.LOW, "<Level.LOW: 3>"),
             ([plain], "[" + at(plain, " a=1 b='x' c=[1, 2]") + "]")]
    for (value, wanted), got in zip(cases, texts([v for v, _ in cases])):
        assert got == short(wanted), (got, wanted)
    assert texts([zoned])[0].startswith("datetime.datetime(2026, 1, 1, 0, 0, tzinfo=<datetime.timezone at 0x"), texts([zoned])


class Meta(type):
    def __getattribute__(cls, name):
        ran.append("Meta." + name)
        return super().__getattribute__(name)

    def __repr__(cls):
        ran.append("Meta.__repr__")
        return "meta"


def hostile_methods(space):
    def method(name):
        def run(self, *args, **kwargs):
            ran.append(name)
            raise RuntimeError(name)
        return run

    for name in ("__repr__", "__str__", "__len__", "__iter__", "__getattr__", "__bool__", "__int__", "__index__", "__float__", "__format__", "__bytes__", "__getitem__", "__keys__",
                 "keys", "items", "__contains__", "__dir__", "__reduce__", "__fspath__", "utcoffset", "tzname", "__next__"):
        space[name] = method(name)
    space["__eq__"] = lambda self, other: bool(ran.append("__eq__"))
    space["__hash__"] = lambda self: 1
    space["__class__"] = property(lambda self: ran.append("__class__") or int)
    return space


def hostile():
    classes = [type("H" + base.__name__, (base,), hostile_methods({})) for base in (object, int, str, bytes, float, list, tuple, dict, set, frozenset, bytearray, complex, decimal.Decimal,
                                                                                     datetime.datetime, datetime.date, datetime.timedelta, datetime.tzinfo, ValueError, uuid.UUID, pathlib.PurePosixPath,
                                                                                     collections.OrderedDict, collections.deque, fractions.Fraction, threading.Thread)]
    by = {c.__name__: c for c in classes}
    values = []
    for c in classes:
        try:
            values.append(c.__new__(c, 2026, 1, 2) if issubclass(c, datetime.date) else c.__new__(c))
        except Exception:
            values.append(object.__new__(c) if c.__mro__[-2] is c else c)
    values += [by["Hint"](5), by["Hstr"]("text"), by["Hbytes"](b"b")]
    key, other = by["Hobject"](), by["Hobject"]()
    odd = {key: 1, 1: other}  # int 1 has the hash of the keys
    keyed = Plain(a=1)
    keyed.__dict__[key] = 2
    half = Slots.__new__(Slots)
    half_data = Data.__new__(Data)
    half_uuid, half_path, half_error = uuid.UUID.__new__(uuid.UUID), pathlib.PurePosixPath.__new__(pathlib.PurePosixPath), ValueError.__new__(ValueError)
    lying = Meta("Lying", (), hostile_methods({}))
    ring, loop, round = [1], {}, Plain()
    ring.append(ring)
    loop["me"] = loop
    round.me = round
    deep = Plain(x=None)
    for _ in range(100):
        deep = Plain(x=[deep])
    member = Plain(a=1)
    member.__class__ = Plain
    false_enum = type("Enum", (), {"_name_": 5, "_value_": by["Hobject"]()})()
    false_tuple = type("T", (tuple,), {"_fields": (by["Hstr"]("n"),)})((1,))
    false_data = type("D", (), {"__dataclass_fields__": {by["Hstr"]("a"): by["Hobject"](), "b": 3}})()
    false_uuid = type("UUID", (), {"__module__": "uuid"})()
    false_uuid.int = by["Hint"](7)
    false_path = type("PosixPath", (), {"__module__": "pathlib"})()
    false_path._raw_paths = [by["Hstr"]("p"), "q"]
    nested = {"a": [other, (other,), {"k": other}], "s": slice(other, key, None), "r": range(3), "e": ValueError(other, key)}
    values += [odd, keyed, half, half_data, half_uuid, half_path, half_error, lying, Meta("Empty", (), {})(), lying.__new__(lying), ring, loop, round, deep, member, false_enum, false_tuple,
               false_data, false_uuid, false_path, nested, {"k" * 300: other}, set(range(10 ** 5)), {i: i for i in range(10 ** 5)}, list(range(10 ** 6)), "z" * 10 ** 7, b"z" * 10 ** 7,
               (x for x in values), threading.Lock(), re.compile("x"), sys, sys.modules, gc, Plain.__dict__, Plain.__init__, member.__init__, open(os.devnull), memoryview(b"x"), iter([1]), zip(), object,
               datetime.datetime(2026, 1, 1, tzinfo=by["Htzinfo"]()), fractions.Fraction(1, 3), collections.defaultdict(list, a=[other]), threading.current_thread(), sys._getframe()]
    gc.collect()
    collections_before, references = gc.get_stats(), [sys.getrefcount(x) for x in (key, other, nested, ring)]
    ran.clear()
    dicts = sum("dict" in [type(r).__name__ for r in gc.get_referents(x)] for x in (round, Plain()))
    for limit in (1, 7, 60, LIMIT, 2000):
        got = texts(values, limit)
        seen = list(ran)
        assert not seen, seen[:5]
        assert all(len(t) <= limit for t in got), [t for t in got if len(t) > limit]
    assert references == [sys.getrefcount(x) for x in (key, other, nested, ring)], references
    assert dicts == sum("dict" in [type(r).__name__ for r in gc.get_referents(x)] for x in (round, Plain())), "a dict was made"
    by_value = dict(zip(map(id, values), texts(values)))
    assert by_value[id(ring)] == "[1, [...]]" and by_value[id(loop)] == "{'me': {...}}", (by_value[id(ring)], by_value[id(loop)])
    assert " me=<" in by_value[id(round)] and by_value[id(round)].endswith("...>>"), by_value[id(round)]
    assert re.match(r"<\S+Hint at 0x[0-9a-f]+ 5>$", by_value[id(values[len(classes)])]), by_value[id(values[len(classes)])]


def no_collection():
    """A collection that starts while a text is made would run finalizers: values make nothing that counts."""
    calls = []
    values = [[{1, 2}, frozenset([3]), {"a": (1,)}, Plain(a=1), 10 ** 100, "\u20ac", Color.RED] for _ in range(300)]
    gc.collect()
    gc.callbacks.append(lambda *a: calls.append(a))
    s = Session(flags=F_RETVAL, repr_limit=LIMIT)
    s.start()
    gc.collect()
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    gc.set_threshold(30)
    calls.clear()
    for x in values:
        give(x)
    n = len(calls)
    gc.set_threshold(*threshold)
    s.stop()
    gc.callbacks.clear()
    assert n <= 2, n


def first_arguments():
    """The first arguments of the process are read without an object that the garbage collector counts: with it a collection could
    start in the hook, and run code of the program. From 3.12 on collections wait until the hook is left."""
    if sys.version_info >= (3, 12):
        return
    inside, seen, value = False, [], Plain(a=1)
    held = []

    def take(first, second):
        return first

    s = Session(flags=F_ARGS, repr_limit=LIMIT)
    s.start()
    take(value, value)  # now it has a name
    gc.callbacks.append(lambda *_: seen.append(inside))
    threshold, rounds = gc.get_threshold(), iter(range(40))
    held += [[] for _ in range(200)] + [{} for _ in range(200)]  # the interpreter keeps no free ones now
    gc.set_threshold(1)
    for _ in rounds:
        held.append({})  # takes the free dict that the interpreter keeps
        held.append([])  # one more object, and a collection is due
        inside = True
        take(value, value)
        inside = False
    gc.set_threshold(*threshold)
    gc.callbacks.clear()
    s.stop()
    s.decode()
    told = [what[1] for kind, _, what in s.stream_of(take.__qualname__ if sys.version_info >= (3, 11) else "take") if kind == PAYLOAD and what[0] == PL_ARGS]
    assert len([text for text in told if b"first" in text and b"Plain" in text]) == 41, told[:3]
    assert seen and not any(seen), "%d collections in the hook" % sum(seen)


def changing_classes():
    """What is kept of a class is told anew when the class changes, or another class lies where it was."""

    class Changing:
        pass

    one = Changing()
    one.a = 1

    def text():
        try:
            one.missing  # the interpreter gives the class a version tag
        except AttributeError:
            pass
        return re.sub("0x[0-9a-f]+", "0x", texts([one, one])[1])

    name = Changing.__qualname__
    assert text() == "<__main__.%s at 0x a=1>" % name, text()
    Changing.__module__ = "elsewhere"
    assert text() == "<elsewhere.%s at 0x a=1>" % name, text()
    Changing.__dataclass_fields__ = {"a": Data.__dataclass_fields__["a"]}
    assert text() == name + "(a=1)", text()
    del Changing.__dataclass_fields__
    assert text() == "<elsewhere.%s at 0x a=1>" % name, text()
    for i in range(60):
        entries = {"__module__": "m%d" % i, "x%d" % (i % 2): 1, "__dataclass_fields__" if i % 2 else "other": {"a": Data.__dataclass_fields__["a"]}}
        kind = type("Made", (), entries)
        one = kind()
        one.a = i
        got = text()
        assert got == ("Made(a=%d)" % i if i % 2 else "<m%d.Made at 0x a=%d>" % (i, i)), (i, got)
        del kind, one
        gc.collect()
        one = None


first_arguments()  # before any other session
same_as_repr()
documented()
hostile()
no_collection()
changing_classes()
print("ok")
