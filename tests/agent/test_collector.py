"""The start makes objects. It begins no collection, which would run code of the target in our thread; and the collector is on again
afterwards, or as it was."""
import gc, threading
from vtarena import *

where = []


class Loop:
    def __init__(self):
        self.me = self

    def __del__(self):
        where.append(threading.get_ident())


def session():
    s = Session(flags=F_C_CALLS | F_GC, exclude=["/nowhere/"])
    gc.set_threshold(1, 1, 1)
    s.start()
    s.stop()
    gc.set_threshold(700, 10, 10)
    assert s.state == GONE, (s.state, s.err)


def main():
    session()  # what is made once is there
    for on in True, False:
        del where[:]
        loops = [Loop() for _ in range(200)]
        (gc.enable if on else gc.disable)()
        gc.callbacks.append(lambda phase, info: where.append(threading.get_ident()))
        del loops
        session()
        gc.callbacks.pop()
        assert gc.isenabled() == on
        foreign = [ident for ident in where if ident != threading.get_ident()]
        assert not foreign, (on, len(foreign))
        assert where or not on
    print("ok", len(where))


gc.disable()
main()
