"""Threads that come and go: spawning.py THREADS starts that many in each round, 50 at a time. The test sets slot 60 to the number
of the round; slot 61 says that it is done."""
import sys
import threading
import time

from progress import ready, slots

threads, batch = int(sys.argv[1]), 50
threading.stack_size(64 << 10)


def quick():
    pass


def slow():
    time.sleep(0.001)


def born():
    for _ in range(3):
        quick()
    slow()


def start_and_join(n):
    started = [threading.Thread(target=born) for _ in range(n)]
    for t in started:
        t.start()
    for t in started:
        t.join()


ready()
done = 0
while True:
    while slots[60] == done:
        time.sleep(0.002)
    for _ in range(threads // batch):
        start_and_join(batch)
    done += 1
    slots[61] = done
