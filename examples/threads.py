#!/usr/bin/env python3
"""Four threads that want the GIL at once, and one job that does not need it. Runs until Ctrl+C.

    python3 examples/threads.py            then, in another terminal, with the pid that it prints:
    viztracer --attach PID -t 1 -o threads.html

What to see: `resize` of the four workers is pure Python and needs the GIL. Most of its calls are short; some last ten times as long
(sort the panel "Functions" by the longest, press . for the next call): in the middle of such a call nothing happens, because the
thread lost the GIL and waited until the others, one after the other, had had their turn of 5 ms. `pack` in the thread "packer"
compresses in C with the GIL released: while zlib.compress runs, calls of the workers go on. Threads do not make `resize` faster;
they do take `pack` out of its way.
"""
import os
import threading
import time
import zlib


def mix(a, b, part):
    return (a * (256 - part) + b * part) >> 8


def resize(row, width):
    """A row of pixels stretched to another width: many small calls."""
    out = []
    for x in range(width):
        at = x * (len(row) - 1) * 256 // width
        out.append(mix(row[at >> 8], row[(at >> 8) + 1], at & 255))
    return out


def worker(number):
    row = [(number * 37 + x * x) & 255 for x in range(400)]
    while True:
        picture = [resize(row, 600) for _ in range(20)]
        time.sleep(len(picture) / 1000)


def pack(data):
    return len(zlib.compress(data, 6))


def packer():
    data = os.urandom(1 << 20) + bytes(1 << 20)
    while True:
        pack(data)
        time.sleep(0.05)


def main():
    for number in range(4):
        threading.Thread(target=worker, args=(number,), name="worker-%d" % number, daemon=True).start()
    threading.Thread(target=packer, name="packer", daemon=True).start()
    print("threads.py: pid %d" % os.getpid(), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
