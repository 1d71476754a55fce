"""Greenlets that switch in the middle of their calls, in rounds: the test sets slot 60 to the wanted round, slot 61 is the last one
done. The rounds run inside a greenlet; the main one and another one have been switched away from before. The counts are in
tests/integration/greenlets.c. Says "module: no" and waits if there is no greenlet module. With the argument "late" the module is imported in
the first round. VT_GREENLETS: a folder with the module by version, as 3.12/greenlet."""
import os
import sys
import threading
import time

from progress import ready, slots

REPEAT = 5


def module():
    global greenlet, getcurrent
    if "VT_GREENLETS" in os.environ:
        sys.path.append(os.path.join(os.environ["VT_GREENLETS"], "%d.%d" % sys.version_info[:2]))
    from greenlet import greenlet, getcurrent


def leaf(x):
    return x


def home():
    return getcurrent().parent


def inner(k):
    leaf(k)
    home().switch()
    leaf(k)


def worker():
    for i in range(REPEAT):
        inner(i)


def deep(n):
    if n:
        return deep(n - 1)
    for i in range(REPEAT):
        home().switch()
        leaf(i)


def generating():
    for i in range(REPEAT):
        home().switch()
        yield leaf(i)


def consuming():
    for i in generating():
        pass


def dying():
    home().switch()
    raise KeyError


def killed():
    try:
        home().switch()
    finally:
        leaf(0)


def quick():
    leaf(0)


def parked():
    while True:
        home().switch()
        leaf(0)


def at_home(x):
    return x


def turns(greenlets):
    while greenlets:
        for g in list(greenlets):
            g.switch()
            at_home(g)
            if g.dead:
                greenlets.remove(g)


def drive():
    turns([greenlet(worker), greenlet(worker), greenlet(lambda: deep(30)), greenlet(consuming), greenlet(lambda: deep(600))])
    g = greenlet(dying)
    g.switch()
    try:
        g.switch()
    except KeyError:
        at_home(g)
    g = greenlet(killed)
    g.switch()
    g.throw()
    g = greenlet(killed)
    g.switch()
    del g
    for _ in range(200):
        greenlet(quick).switch()


def in_thread():
    drive()


def one_round():
    drive()
    waiting.parent = getcurrent()
    waiting.switch()
    t = threading.Thread(target=in_thread)
    t.start()
    t.join()
    getcurrent().parent.switch()


def outside(x):
    return x


def serve():
    n = 0
    while True:
        while slots[60] == n:
            time.sleep(0.001)
        n += 1
        one_round()
        slots[61] = n


def start():
    global waiting
    waiting = greenlet(parked)
    waiting.switch()
    return greenlet(serve)


late = sys.argv[1:] == ["late"]
found = b"yes"
try:
    if not late:
        module()
        serving = start()
except ImportError:
    found = b"no"
    late = True
ready()
os.write(1, b"module: " + found + b"\n")
if late:
    while slots[60] == 0:
        time.sleep(0.001)
    module()
    serving = start()
while True:
    serving.switch()
    outside(0)
