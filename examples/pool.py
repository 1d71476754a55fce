#!/usr/bin/env python3
"""A pool of processes that is slower than it looks. Runs until Ctrl+C.

    python3 examples/pool.py               then, in another terminal, with the pids that it prints:
    viztracer --attach PARENT -t 2 -o parent.html
    viztracer --attach WORKER -t 2 -o worker.html

What to see: in a worker `count_words` is a small part of the time. The rest is waiting for a piece of work: for the lock of the
queue, and in `recv_bytes`, for a long message. In the parent the thread `_handle_tasks` is busy with `dumps` and with writing to the
pipe: the whole text is pickled anew for each piece, only to have a few lines of it counted. The work is in handing it out; the cure
is to send the lines, or their numbers.
"""
import multiprocessing
import os
import random
import time
from collections import Counter

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()


def make_text(lines):
    return [" ".join(random.choice(WORDS) for _ in range(12)) for _ in range(lines)]


def count_words(job):
    text, first, last = job
    return Counter(word for line in text[first:last] for word in line.split())


def merge(parts):
    total = Counter()
    for part in parts:
        total.update(part)
    return total


def count(pool, text, step):
    jobs = [(text, at, at + step) for at in range(0, len(text), step)]  # the whole text in each of them
    return merge(pool.imap_unordered(count_words, jobs))


def main():
    with multiprocessing.get_context("fork").Pool(3) as pool:
        workers = " ".join(str(p.pid) for p in multiprocessing.active_children())
        print("pool.py: pid %d, workers %s" % (os.getpid(), workers), flush=True)
        text = make_text(4000)
        while True:
            count(pool, text, 200)
            time.sleep(0.02)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
