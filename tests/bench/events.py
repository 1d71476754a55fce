"""The cost of a program's own events, in ns: events.py [VIZTRACER-FOLDER]. The least of some rounds, less that of an empty loop. With the folder of
an installed VizTracer its figures stand beside; it runs in a process of its own."""

import json
import os
import subprocess
import sys
import time

TURNS, ROUNDS = 20000, 15


def cost(statement, **names):
    """ns of the statement"""
    code = "def turn(n{}):\n    for _ in range(n):\n        {}\n"
    namespace = {}
    exec(code.format("".join(", " + name for name in names), "\n        ".join([statement] * 10)), namespace)
    full = namespace["turn"]
    exec(code.format("", "pass"), namespace)
    empty = namespace["turn"]
    best = [1 << 60, 1 << 60]
    for _ in range(ROUNDS):
        for i, work in enumerate((lambda: full(TURNS // 10, **names), lambda: empty(TURNS // 10))):
            begin = time.perf_counter_ns()
            work()
            best[i] = min(best[i], time.perf_counter_ns() - begin)
    return round((best[0] - best[1]) / TURNS, 1)


def of_viztracer():
    from viztracer import VizTracer

    found = {}
    tracer = VizTracer(verbose=0, tracer_entries=1000)
    tracer.start()
    tracer.pause()
    tracer.resume()
    found["instant, traced"] = cost("t.log_instant('name')", t=tracer)
    found["counter, traced"] = cost("t.add_counter('name', {'value': 1})", t=tracer)
    found["span with `with`, traced"] = cost("with t.log_event('name'): pass", t=tracer)
    tracer.stop()
    tracer.clear()
    found["instant, not traced"] = cost("t.log_instant('name')", t=tracer)
    found["span with `with`, not traced"] = cost("with t.log_event('name'): pass", t=tracer)
    return found


def of_ours():
    import viztracer
    from viztracer import VizTracer

    found = {}

    def measure(when):
        found["instant, " + when] = cost("instant('name')", instant=viztracer.instant)
        found["counter, " + when] = cost("counter('name', 1)", counter=viztracer.counter)
        found["span with `with`, " + when] = cost("with span('name'): pass", span=viztracer.span)
        pair = dict(begin=viztracer.span_begin, end=viztracer.span_end)
        found["span_begin and span_end, " + when] = cost("begin('name'); end('name')", **pair)

    measure("not traced")
    tracer = VizTracer(verbose=0, log_sparse=True)
    tracer.start()
    measure("traced")
    tracer.stop()
    tracer.clear()
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["--viztracer"]:
        print(json.dumps(of_viztracer()))
        sys.exit(0)
    ours, theirs = of_ours(), {}
    if sys.argv[1:]:
        env = dict(os.environ, PYTHONPATH=sys.argv[1])
        done = subprocess.run([sys.executable, os.path.abspath(__file__), "--viztracer"], env=env, stdout=subprocess.PIPE, check=True)
        theirs = json.loads(done.stdout.decode())
    print("| event | this package | VizTracer |\n|---|---|---|")
    for name, ns in ours.items():
        print("| {} | {:.0f} | {} |".format(name, ns, "{:.0f}".format(theirs[name]) if name in theirs else "-"))
