"""Works in other threads, answers questions about its own hooks in the main thread: probe.py busy|malloc|idle [THREADS].
On a line "state" it prints one line: profile= trace= tools= audited= id_ns= threads= failed=."""
import sys
import threading
import time
import zlib

from progress import ready, slots


def leaf(n):
    return n + 1


def busy(slot):
    while True:
        for i in range(50):
            leaf(i)
        hooks(slot)


def malloc(slot):
    while True:
        blocks = [bytearray(s) for s in (700, 5000, 70000, 300000)]
        zlib.compress(bytes(blocks[1]), 1)
        hooks(slot)


def hooks(slot):
    slots[slot] += 1
    slots[32 + slot] = sys.getprofile() is not None or sys.gettrace() is not None


def cost():
    best = 10**9
    call, clock, n = id, time.perf_counter, 10000
    for _ in range(30):
        began = clock()
        for _ in range(n):
            call(1)
        best = min(best, clock() - began)
    return best / n * 1e9


def state():
    tools = "-"
    if hasattr(sys, "monitoring"):
        tools = ",".join(str(sys.monitoring.get_tool(i)) for i in range(6))
        events = [sys.monitoring.get_events(i) for i in range(6) if sys.monitoring.get_tool(i)]
        tools += ":%s" % sum(events)
    hooked = sum(slots[32 + i] for i in range(threads))
    print("profile=%s trace=%s hooked=%d tools=%s id_ns=%.1f threads=%d end"
          % (sys.getprofile(), sys.gettrace(), hooked, tools, cost(), threading.active_count()), flush=True)


kind = sys.argv[1]
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
if kind != "idle":
    for i in range(threads):
        threading.Thread(target={"busy": busy, "malloc": malloc}[kind], args=(i,), daemon=True).start()
ready()
for line in sys.stdin:
    state()
