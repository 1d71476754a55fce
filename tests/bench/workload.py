"""Bench target: workload.py NAME MODE [FLOOR_LIBRARY]. MODE: bare (also for "ours": it is attached to), floor-c, floor-py, cprofile.
Prints "ready CALLS C_CALLS" (of one iteration), then for each line "N" on stdin runs N iterations and prints "CPU_NS"."""
import sys
import time


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def run_fib():
    fib(16)


class Shape:
    def __init__(self, w, h):
        self.w, self.h = w, h

    def area(self):
        return self.scale() * self.h

    def scale(self):
        return self.w

    @property
    def name(self):
        return "shape"


class Square(Shape):
    def __init__(self, w):
        super().__init__(w, w)

    def area(self):
        return super().area() + len(self.name)


def run_oo():
    total = 0
    for i in range(200):
        total += Square(i).area()
    return total


def run_cloop():
    data = [1, 2, 3]
    for _ in range(1000):
        len(data)


def make_service():
    import json
    import re

    route = re.compile(r"/(?P<kind>\w+)/(?P<id>\d+)")
    store = {i: {"id": i, "name": "item %d" % i, "tags": ["a", "b", str(i)]} for i in range(50)}

    def find(kind, key):
        item = store.get(key)
        if item is None:
            raise KeyError(kind)
        return item

    def handle(path):
        m = route.match(path)
        item = find(m.group("kind"), int(m.group("id")))
        body = json.dumps({"ok": True, "item": item}, sort_keys=True)
        return json.loads(body)["item"]["name"].upper()

    def run():
        for i in range(40):
            try:
                handle("/item/%d" % (i + 15))
            except KeyError:
                pass

    return run


def make_asyncio():
    import asyncio

    async def leaf(i):
        await asyncio.sleep(0)
        return i

    async def task(i):
        a = await leaf(i)
        b = await leaf(i + 1)
        return a + b

    async def main():
        await asyncio.gather(*[task(i) for i in range(200)])

    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(main())


def count(fn):
    calls = [0, 0]

    def prof(frame, event, arg):
        if event == "call":
            calls[0] += 1
        elif event == "c_call":
            calls[1] += 1

    fn()
    sys.setprofile(prof)
    fn()
    sys.setprofile(None)
    return calls[0], calls[1] - 1


def install(mode, library):
    if mode == "bare":
        return
    if mode == "cprofile":
        import cProfile

        cProfile.Profile().enable()
        return
    import ctypes

    lib = ctypes.PyDLL(library)
    if sys.version_info >= (3, 12):
        rc = lib.floor_monitoring(1 if mode == "floor-c" else 0)
    elif mode == "floor-c":
        rc = lib.floor_profile()
    else:
        rc = lib.floor_eval()
    if rc:
        print("unavailable", flush=True)
        sys.exit(0)


def main():
    name, mode = sys.argv[1], sys.argv[2]
    fn = {"fib": lambda: run_fib, "oo": lambda: run_oo, "cloop": lambda: run_cloop, "service": make_service, "asyncio": make_asyncio}[name]()
    calls = count(fn)
    install(mode, sys.argv[3] if len(sys.argv) > 3 else "")
    print("ready", calls[0], calls[1], flush=True)
    clock = time.thread_time_ns
    for line in sys.stdin:
        n = int(line)
        t = clock()
        for _ in range(n):
            fn()
        print(clock() - t, flush=True)


main()
