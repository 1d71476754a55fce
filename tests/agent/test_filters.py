"""Every filter against its rule, on random call trees: the same calls on every version, whichever way the hooks find out."""
import collections, fnmatch, random
from vtarena import *

SOURCE = """
def plain_%(k)d(node):
    for kid in node[1]:
        kid[0](kid)
    for i in range(node[2]):
        len(())
    for i in range(node[3]):
        abs(-1)

def raising_%(k)d(node):
    for kid in node[1]:
        try:
            kid[0](kid)
        except KeyError:
            pass
    for i in range(node[2]):
        len(())
    raise KeyError

def body_%(k)d(node):
    for kid in node[1]:
        yield kid[0](kid)

def looping_%(k)d(node):
    for x in body_%(k)d(node):
        len(())

class Class_%(k)d:
    def method_%(k)d(node):
        for kid in node[1]:
            kid[0](kid)
        for i in range(node[2]):
            len(())
"""
HERE = __file__
FOLDERS, MODULES = ["/one/", "/two/", "<frozen three>/"], ["pack.one", "pack.two", "other"]
KINDS = ("plain", "raising", "looping", "method")


class Made:
    """One function: what the filters know of it."""

    def __init__(self, k, kind, space):
        self.kind, self.file, self.module = kind, FOLDERS[k % 3] + "file%d.py" % k, MODULES[k % 3]
        self.name = "%s_%d" % (kind, k)
        self.qualname = "Class_%d.%s" % (k, self.name) if kind == "method" else self.name
        self.body = space["body_%d" % k]
        function = getattr(space["Class_%d" % k], self.name) if kind == "method" else space[self.name]
        self.call = guarded(function) if kind == "raising" else function


def guarded(function):
    """In this file, which is never left out."""
    def caught(node):
        try:
            function(node)
        except KeyError:
            pass
    return caught


functions = []
for k in range(6):
    space = {"__name__": MODULES[k % 3]}
    exec(compile(SOURCE % {"k": k}, FOLDERS[k % 3] + "file%d.py" % k, "exec"), space)
    functions += [Made(k, kind, space) for kind in KINDS]


def tree(rng, depth):
    made = rng.choice(functions)
    kids = [tree(rng, depth - 1) for _ in range(rng.randrange(0, 3) if depth else 0)]
    return (made.call, kids, rng.randrange(3), rng.randrange(2), made)


class Rules:
    def __init__(self, include=(), exclude=(), globs=((), (), (), ()), flags=F_C_CALLS, depth=-1):
        self.options = dict(include=include, exclude=exclude, globs=globs, flags=flags, depth=depth)
        self.include, self.exclude, self.globs, self.frozen = include, exclude, globs, flags & F_FROZEN
        self.c_calls, self.max_depth = flags & F_C_CALLS, depth

    def excluded(self, file):
        return any(file.startswith(p) for p in self.exclude)

    def outside(self, file):
        return bool(self.frozen and file.startswith("<frozen")) or bool(self.include and not any(file.startswith(p) for p in self.include))

    def by_file(self, file):
        return self.excluded(file) or self.outside(file)

    def fits(self, pattern, qualname):
        plain = qualname.split(".")[-1]
        if "." in pattern and sys.version_info >= (3, 11):
            return fnmatch.fnmatchcase(qualname, pattern)
        return fnmatch.fnmatchcase(plain, pattern.split(".")[-1])

    def listed(self, i, one):
        return (not self.globs[i] or any(one(p) for p in self.globs[i])) and not any(one(p) for p in self.globs[i + 1])

    def by_name(self, qualname, module):
        inside = lambda p: fnmatch.fnmatchcase(module, p) or module.startswith(p + ".")
        return not (self.listed(0, lambda p: self.fits(p, qualname)) and self.listed(2, inside))

    def c_left_out(self, name):
        return any(self.fits(p, "builtins." + name) for p in self.globs[1]) or "builtins" in self.globs[3]

    def expect(self, node):
        self.calls = collections.Counter()
        self.enter(node, -1, False, self.above_the_tree())
        return self.calls

    def above_the_tree(self):
        """Is the nearest function with a say that is open at the start recorded?"""
        for qualname in ("run", "<module>"):
            if self.by_file(HERE):
                return False
            if not self.by_name(qualname, "__main__"):
                return True
        return False

    def record(self, name, depth):
        if self.max_depth < 0 or depth < self.max_depth:
            self.calls[name] += 1

    def c_calls_of(self, counts, depth, recorded):
        for name, n in counts:
            for _ in range(n if recorded and self.c_calls and not self.c_left_out(name) else 0):
                self.record("builtins." + name, depth + 1)

    def function(self, qualname, made, depth, silent, above):
        """(is it recorded, its depth, what it calls is silent, a function above what it calls is recorded)"""
        silent = silent or self.excluded(made.file) or (above and self.outside(made.file))
        recorded = not silent and not self.by_file(made.file) and not self.by_name(qualname, made.module)
        if recorded:
            depth += 1
            self.record(made.name if qualname == made.qualname else qualname, depth)
        return recorded, depth, silent, above or recorded

    def enter(self, node, depth, silent, above):
        call, kids, lens, absolutes, made = node
        if made.kind == "raising" and not silent:  # the guard of this file
            silent = self.excluded(HERE) or (above and self.outside(HERE))
            if not silent and not self.by_file(HERE) and not self.by_name("guarded.<locals>.caught", "__main__"):
                depth, above = depth + 1, True
        recorded, depth, silent, above = self.function(made.qualname, made, depth, silent, above)
        if made.kind == "looping":
            for kid in kids + [None]:
                body, below, quiet, over = self.function(made.body.__name__, made, depth, silent, above)
                if kid:
                    self.enter(kid, below, quiet, over)
                    self.c_calls_of([("len", 1)], depth, recorded)
            return
        for kid in kids:
            self.enter(kid, depth, silent, above)
        self.c_calls_of([("len", lens), ("abs", absolutes if made.kind == "plain" else 0)], depth, recorded)


def seen(s):
    calls = collections.Counter()
    interesting = {f.name for f in functions} | {f.body.__name__ for f in functions}
    for stream in s.streams.values():
        for kind, name in s.events(stream):
            if kind in ("CALL", "RESUME", "C_CALL") and (name in ("builtins.len", "builtins.abs") or name.split(".")[-1] in interesting):
                calls[name if name.startswith("builtins.") else name.split(".")[-1]] += 1
        s.check_nesting([e for e in stream if e[0] != PAYLOAD and mine(s, e, interesting)])
    return calls


def mine(s, event, interesting):
    name = s.full_name(event[2]) if event[0] in ENTER | LEAVE else ""
    return name in ("builtins.len", "builtins.abs") or name.split(".")[-1] in interesting


def run(rules, node):
    s = Session(chunks=256, **rules.options)
    s.start()
    node[0](node)
    s.stop()
    assert s.state == GONE, (s.state, s.err)
    assert s.dropped == 0
    result = seen(s.decode())
    s.close()
    return result



CASES = [
    dict(include=["/one/"]), dict(include=["/two/"], flags=0), dict(include=["/one/"], globs=((), ["*_3"], (), ())), dict(include=["/one/", "/two/"], depth=2),
    dict(include=["/one/", "<frozen"], exclude=["/one/file3"]), dict(exclude=["/one/"]), dict(include=["/one/", "/two/", HERE]), dict(include=["/two/file", HERE], flags=0),
    dict(flags=F_C_CALLS | F_FROZEN), dict(exclude=["/one/file0"], flags=F_C_CALLS | F_FROZEN),
    dict(globs=((), ["plain_0", "looping_*"], (), ())), dict(globs=(["plain_*", "method_1"], (), (), ())),
    dict(globs=(["*ing_*"], ["*_3"], (), ())), dict(globs=((), ["plain_[135]", "len"], (), ())), dict(globs=((), ["builtins.abs"], (), ())),
    dict(globs=((), ["Class_2.method_2"], (), ())), dict(globs=((), (), ["pack"], ())), dict(globs=((), (), (), ["pack.one", "builtins"])),
    dict(globs=((), (), (), ["other"]), exclude=["/two/"]), dict(globs=(["plain_*", "body_*"], (), ["pack.*"], ()), exclude=["/one/file3"]),
    dict(exclude=["/one/"], depth=3), dict(globs=((), ["plain_*"], (), ()), depth=2), dict(globs=((), ["*"], (), ())),
    dict(exclude=["/"], flags=0),
]
rng = random.Random(1)
for case in CASES:
    for _ in range(4):
        rules, node = Rules(**case), tree(rng, 5)
        for again in range(2):
            got, want = run(rules, node), rules.expect(node)
            assert got == want, (case, sorted((got - want).items()), sorted((want - got).items()))
print("ok")
