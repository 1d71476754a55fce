"""Target of tests/bench/overhead.c: bench_work.py WORKLOAD MODE SCALE [LIBRARY [VIZTRACER]].
MODE: bare (also for ours, which is attached), floor-c, floor-py (LIBRARY: the hooks that do nothing), floor-c-clock, floor-py-clock (but read
the clock), cprofile, viztracer, viztracer-py, viztracer-args (VIZTRACER: the folder it is installed in). SCALE 0 = small, for counting instructions.
Prints "ready CALLS C_CALLS" of one iteration, or "unavailable". A line "N" runs N iterations and prints their CPU time in ns; a line
"steps N" runs N between two getppid() each and prints "counted"."""
import os
import sys
import threading
import time

small = len(sys.argv) > 3 and sys.argv[3] == "0"


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def make_fib():
    n = 7 if small else 16
    return lambda: fib(n)


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


def make_oo():
    n = 10 if small else 200

    def run():
        total = 0
        for i in range(n):
            total += Square(i).area()
        return total

    return run


def make_cloop():
    data, n = [1, 2, 3], 50 if small else 1000

    def run():
        for _ in range(n):
            len(data)

    return run


def make_service():
    import json
    import re

    route = re.compile(r"/(?P<kind>\w+)/(?P<id>\d+)")
    store = {i: {"id": i, "name": "item %d" % i, "tags": ["a", "b", str(i)]} for i in range(50)}
    n = 1 if small else 40

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
        for i in range(n):
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
        await asyncio.gather(*[task(i) for i in range(2 if small else 1000)])

    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(main())


def make_threads4():
    """Four threads that live as long as the process: an iteration hands each of them one fib."""
    import queue

    work, done = queue.SimpleQueue(), queue.SimpleQueue()

    def loop():
        while True:
            done.put(fib(work.get()))

    for _ in range(4):
        threading.Thread(target=loop, daemon=True).start()

    def run():
        for _ in range(4):
            work.put(7 if small else 15)
        for _ in range(4):
            done.get()

    return run


def make_flat():
    """4,000 functions that are called equally often, with some work in each: nothing is hot."""
    names = {}
    exec("".join("def f%d(x):\n    y = [i * x for i in range(8)]\n    return len(y)\n" % i for i in range(20 if small else 4000)), names)
    functions = [f for name, f in names.items() if name[0] == "f"]

    def run():
        for f in functions:
            f(3)

    return run


def make_filtered():
    """20 functions, 19 of them in a file that can be excluded."""
    import bench_other

    others, n = bench_other.all, 5 if small else 100

    def run():
        for i in range(n):
            leaf(i)
            for f in others:
                f(i)

    return run


def leaf(n):
    return n + 1


def count(fn):
    """One iteration: by a profile function in every thread, made before the threads are."""
    calls = [0, 0]

    def prof(frame, event, arg):
        if event == "call":
            calls[0] += 1
        elif event == "c_call":
            calls[1] += 1

    sys.setprofile(prof)
    fn()
    sys.setprofile(None)
    return calls[0], calls[1] - 1


def install(mode, library, viztracer):
    """True: this mode can be had here."""
    if mode == "bare":
        return True
    if mode == "cprofile":
        import cProfile

        global profiler
        profiler = cProfile.Profile()
        if name == "threads4" and sys.version_info < (3, 12):
            return False  # it sees its own thread only
        profiler.enable()
        return True
    if mode.startswith("viztracer"):
        global tracer
        try:
            sys.path.insert(0, viztracer)
            from viztracer import VizTracer
        except ImportError:
            return False
        values = mode == "viztracer-args"
        tracer = VizTracer(verbose=0, ignore_c_function=mode == "viztracer-py", exclude_files=excluded, log_func_args=values,
                           log_func_retval=values)
        tracer.start()
        return True
    import ctypes

    lib, clock = ctypes.PyDLL(library), int(mode.endswith("-clock"))
    if sys.version_info >= (3, 12):
        return lib.floor_monitoring(int(mode.startswith("floor-c")), clock) == 0
    if name == "threads4":
        return False  # the hook of one thread
    return (lib.floor_profile if mode.startswith("floor-c") else lib.floor_eval)(clock) == 0


def main():
    global name, excluded
    name, mode = sys.argv[1], sys.argv[2]
    library, viztracer = sys.argv[4:6] if len(sys.argv) > 5 else ("", "")
    excluded = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench_other.py")] if mode == "viztracer-excluded" else None
    makers = {"fib": make_fib, "oo": make_oo, "cloop": make_cloop, "service": make_service, "asyncio": make_asyncio,
              "threads4": make_threads4, "filtered": make_filtered, "flat": make_flat}
    if name == "threads4":
        c = count(lambda: fib(7 if small else 15))
        calls = 4 * (c[0] - 1), 0  # and queues: a few C calls for thousands of these
        if mode.startswith("viztracer") or mode.startswith("floor"):  # before the threads: these see new ones
            if not install(mode, library, viztracer):
                print("unavailable", flush=True)
                return
        fn = makers[name]()
    else:
        fn = makers[name]()
        fn()
        calls = count(fn)
        calls = calls[0], calls[1]
    if not (name == "threads4" and (mode.startswith("viztracer") or mode.startswith("floor"))):
        if not install(mode, library, viztracer):
            print("unavailable", flush=True)
            return
    print("ready", calls[0], calls[1], flush=True)
    clock = time.process_time_ns if name == "threads4" else time.thread_time_ns
    for line in sys.stdin:
        if line.startswith("steps"):
            for _ in range(int(line.split()[1])):
                os.getppid()
                fn()
                os.getppid()
            print("counted", flush=True)
            continue
        n = int(line)
        began = clock()
        for _ in range(n):
            fn()
        print(clock() - began, flush=True)


main()
