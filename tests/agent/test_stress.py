"""Sessions started and stopped in a row beside busy threads: calls, exceptions, generators, forks, new threads, collector.
Each stream must nest and each session must end; VT_SESSIONS sets how many."""
import gc, sys, threading, warnings
from vtarena import *

warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads is the point here
SESSIONS = int(os.environ.get("VT_SESSIONS", "7"))
halt = []


def step(i):
    return abs(i)


def raiser(i):
    if i % 3 == 0:
        raise KeyError(i)
    return len([i])


def gen(n):
    for i in range(n):
        yield step(i)


def calls():
    while not halt:
        for i in range(50):
            step(i)
        sum(gen(10))


def exceptions():
    while not halt:
        for i in range(50):
            try:
                raiser(i)
            except KeyError:
                pass
        g = gen(3)
        next(g)
        try:
            g.throw(ValueError)
        except ValueError:
            pass


def objects():
    while not halt:
        a = [[str(i)] for i in range(100)]
        a.append(a)
        sorted(a[:5], key=lambda x: x[0])


def threads():
    while not halt:
        t = threading.Thread(target=step, args=(1,))
        t.start()
        t.join()


def new_code():
    n = 0
    while not halt:
        n += 1
        space = {}
        exec("def f%d(x):\n  return x\nf%d(1)" % (n, n), space)


def forks():
    while not halt:
        pid = os.fork()
        if pid == 0:
            try:
                for i in range(20):
                    step(i)
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
        time.sleep(0.005)


failed = []
threading.excepthook = lambda a: (failed.append(a), sys.__excepthook__(a.exc_type, a.exc_value, a.exc_traceback))


def main():
    sys.setswitchinterval(0.0005)
    pool = [threading.Thread(target=f) for f in (calls, exceptions, objects, threads, new_code, forks)]
    for t in pool:
        t.start()
    options = [dict(), dict(flags=0), dict(flags=F_C_CALLS | F_ARGS | F_RETVAL | F_GC), dict(exclude=["/nowhere"], depth=20),
               dict(rearm=1, span=TICKS_PER_MS), dict(clock=1, span=1000000), dict(chunks=16)]
    for n in range(SESSIONS):
        s = Session(**dict(dict(chunks=2048), **options[n % len(options)]))
        s.start()
        time.sleep(0.02)
        if n % 3 == 0:
            s.stop()
        else:
            s.ask_stop()
        s.wait_gone()
        if s.dropped == 0:
            s.decode()
            for serial, stream in s.streams.items():
                frames = [s.full_name(i) for x in s.stacks if x[0] == s.idents[serial] for i in x[4]]
                if s.hook != 3 and "depth" not in options[n % len(options)] and stream:
                    try:
                        s.check_nesting(stream, frames)
                    except AssertionError:
                        # an ident that is used again: frames of a thread that ended meanwhile
                        s.check_nesting(stream)
        s.close()
        assert not failed
    halt.append(1)
    for t in pool:
        t.join()


main()
print("ok")
