"""Signals at a high rate, threads that come and go, profilers for each request and faulthandler, all at once. Slot 0: alarms; slot 1: threads;
slot 2: requests; slot 3: what a profiler or a thread has seen wrong."""
import cProfile
import faulthandler
import os
import profile
import signal
import sys
import threading
import time

from progress import ready, slots

devnull = open(os.devnull, "w")


def alarm(number, frame):
    slots[0] += 1
    if slots[0] % 64 == 0:
        faulthandler.dump_traceback(file=devnull, all_threads=False)


def work():
    return sum(len(str(i)) for i in range(20))


def requested():  # by one thread only. From 3.12 on cProfile sees the calls of all threads as if they were of one, also without us
    return work()


def churn():
    while True:
        done = []
        threads = [threading.Thread(target=lambda: done.append(work())) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        slots[1] += 1
        slots[3] += len(done) != 3


def request():
    p = cProfile.Profile()
    p.enable()
    requested()
    p.disable()
    calls = [e.callcount for e in p.getstats() if e.code is requested.__code__]
    slots[3] += sys.version_info < (3, 12) and calls != [1]
    profile.Profile(timer=lambda: 0).runcall(requested)
    sys.setprofile(lambda frame, event, arg: None)
    requested()
    sys.setprofile(None)


def requests():
    while True:
        try:
            request()
        except Exception as e:  # else the thread would end, and the cause would be lost
            slots[3] += 1
            print(repr(e), flush=True)
        slots[2] += 1
        time.sleep(0.0005)


def kills():
    while True:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.001)


faulthandler.enable(devnull)
signal.signal(signal.SIGALRM, alarm)
signal.signal(signal.SIGUSR1, lambda number, frame: None)
for function in (churn, churn, requests, kills):
    threading.Thread(target=function, daemon=True).start()
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
ready()
while True:
    time.sleep(1)
