"""N threads that call small functions for ever: busy.py [THREADS] [main|join]. main: the main thread is one more busy thread; join: it waits."""
import sys
import threading

from progress import ready, slots


def leaf(n):
    return n + 1


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def work(slot):
    text = "abc"
    while True:
        fib(8)
        leaf(len(text))
        text.upper()
        slots[slot] += 1


threads = int(sys.argv[1]) if len(sys.argv) > 1 else 0
main = sys.argv[2] if len(sys.argv) > 2 else "main"
started = [threading.Thread(target=work, args=(i,), name="worker-%d" % i, daemon=True) for i in range(threads)]
for t in started:
    t.start()
ready()
if main == "main":
    work(threads)
for t in started:
    t.join()
