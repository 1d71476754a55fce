"""Call sites that call Python and C functions: every C call is there; a site that went quiet comes back when re-armed."""
import dis
import sys
from vtarena import *


def step(x):
    return x


def apply(f, n):
    for _ in range(n):
        f(1)


def count(s, name):
    return sum(1 for st in s.streams.values() for e in s.events(st) if e == ("C_CALL", name))


class Base:
    def leaf(self):
        return 1


class Derived(Base):
    def leaf(self):
        return super().leaf()


INSTRUMENTED = 233  # and above: opcodes of instructions that call back, 3.12 and later


def watched(code):
    """Calls in it that call back. In bytes, super() and the call of what it gives lie as near as two calls can."""
    wanted = {opcode for name, opcode in dis.opmap.items() if name in ("CALL", "LOAD_SUPER_ATTR")}
    now = code._co_code_adaptive
    return [i for i in range(0, len(now), 2) if code.co_code[i] in wanted and now[i] >= INSTRUMENTED]


def quiet():
    """Sites that call no C function are switched off, neighbours, too."""
    code, derived = Derived.leaf.__code__, Derived()
    s = Session(chunks=2048)
    s.start()
    derived.leaf()
    assert len(watched(code)) == 2, (watched(code), "before")
    for i in range(3000):
        derived.leaf()
    assert watched(code) == [], watched(code)
    s.stop()


def many():
    """So many that some share a place in the agent's table: these are switched off, too."""
    names = {}
    exec("".join("def f%d(x):\n    return range(x)\n" % i for i in range(8000)), names)
    functions = [f for name, f in names.items() if name[0] == "f"]
    s = Session(chunks=1024, rearm=0, overhead=50)
    s.start()
    for _ in range(600):
        for f in functions:
            f(1)
    left = sum(1 for f in functions if watched(f.__code__))
    s.stop()
    assert left < 80, left


def main():
    if sys.version_info >= (3, 12):
        quiet()
        many()
    # mixed from the beginning, then long runs of each kind
    s = Session(chunks=2048)
    s.start()
    apply(abs, 1)
    apply(step, 3000)
    apply(abs, 500)
    apply(int, 3000)
    apply(abs, 500)
    s.stop()
    s.decode()
    assert count(s, "builtins.abs") == 1001, count(s, "builtins.abs")
    # the first C function comes while the site is still watched
    s = Session(chunks=2048)
    s.start()
    apply(step, 900)
    apply(abs, 100)
    apply(step, 3000)
    apply(abs, 100)
    s.stop()
    s.decode()
    assert count(s, "builtins.abs") == 200, count(s, "builtins.abs")
    # and after it was switched off: seen again once re-armed
    s = Session(chunks=2048, rearm=5, span=20 * TICKS_PER_MS // 20)
    s.start()
    apply(step, 5000)
    end = time.time() + 0.1
    while time.time() < end:
        step(1)
    apply(abs, 100)
    s.stop()
    s.decode()
    assert count(s, "builtins.abs") == 100, count(s, "builtins.abs")


main()
print("ok")
