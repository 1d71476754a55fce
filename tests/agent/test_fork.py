"""A forked child goes inert at once, whichever thread forks; the parent stays exact. A child can be traced itself."""
import ctypes, sys, threading, time
from vtarena import *


def step(i):
    return abs(i)


def child_work():
    for i in range(1000):
        step(i)
    if hasattr(sys, "monitoring"):
        assert all(sys.monitoring.get_tool(i) != "viztracer" for i in range(6))
    with open("/proc/self/maps") as f:
        text = f.read()
    held = [line for line in text.splitlines() if "viztracer-arena" in line]
    assert len(held) == 1, held  # the test's own mapping; the agent's is not inherited
    t = threading.Thread(target=step, args=(1,))
    t.start()
    t.join()


def child_traced():
    s = Session()
    s.start()
    for i in range(10):
        step(i)
    s.stop()
    s.decode()
    n = sum(1 for k, n in s.events(s.stream_of("step")) if n == "step" and k == "CALL")
    assert n == 10, n
    s.close()


def fork(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status == 0, hex(status)


def raw_fork(work):
    """fork(2) that no library and no interpreter hears of"""
    libc = ctypes.PyDLL(None)
    libc.syscall.restype = ctypes.c_long
    pid = libc.syscall(57)
    if pid == 0:
        for i in range(1000):
            step(i)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, hex(status)


def beside(halt):
    while not halt:
        for i in range(100):
            step(i)
        time.sleep(0.0005)


def main():
    s = Session(chunks=2048)
    halt = []
    t = threading.Thread(target=beside, args=(halt,))
    t.start()
    s.start()
    for i in range(8):
        fork(child_work)
        step(i)
    for i in range(3):
        fork(child_traced)
    for i in range(3):
        raw_fork(None)
    halt.append(1)
    t.join()
    s.stop()
    s.decode()
    main_stream = s.stream_of("fork")
    mine = [x for x in s.events(main_stream)]
    assert sum(1 for k, n in mine if k == "CALL" and n == "step") == 8, sum(1 for k, n in mine if n == "step")
    assert not any(n == "child_work" for st in s.streams.values() for _, n in s.events(st))
    assert sum(1 for k, n in mine if k == "CALL" and n == "fork") == 11
    assert all(o == os.getpid() for o in [struct.unpack_from("<I", s.map, CTL + i * CHUNK + 16)[0] for i in range(s.chunks)] if o)


main()
print("ok")
