"""Stop by the daemon, lease, idle target, 200 sessions in a row; nothing is left behind."""
import gc, sys, threading
from vtarena import *


def step(i):
    return abs(i)


def burn(seconds=None, until=None):
    end = time.time() + (seconds or 30)
    while time.time() < end and not (until and until()):
        for i in range(100):
            step(i)


def rss():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4


def maps():
    with open("/proc/self/maps") as f:
        return len(f.readlines())


def residue():
    out = [sys.getprofile(), threading.active_count(), len(os.listdir("/proc/self/fd")), list(gc.callbacks)]
    if hasattr(sys, "monitoring"):
        out.append([sys.monitoring.get_tool(i) for i in range(6)])
    with open("/proc/self/maps") as f:
        out.append("viztracer-arena" in f.read())
    return out


def check_after(s, before):
    events = s.map[:]
    burn(0.01)
    gc.collect()
    assert s.map[:] == events, "something was written after GONE"


def main():
    # a few leftovers are once per process: mapping for thread blocks
    s = Session()
    s.start(), s.stop(), s.close()
    before = residue()

    s = Session()
    s.start()
    burn(0.02)
    s.ask_stop()
    burn(0.01)
    s.wait_gone()
    assert s.why == 1
    check_after(s, before)
    s.decode()
    s.close()
    assert residue() == before or residue()[2] == before[2], (residue(), before)

    s = Session(lease=0)
    boot = s.run(1)
    assert s.state == REFUSED and "cancelled" in s.err, (s.state, s.err)
    s.close()

    s = Session(span=TICKS_PER_MS)
    s.start()
    burn(0.01)
    s.put("Q", O["lease"], 1)
    burn(0.05)
    s.wait_gone()
    assert s.why == 2, s.why
    check_after(s, before)
    s.decode()
    s.close()

    # four busy threads
    s = Session(chunks=4000, span=TICKS_PER_MS)
    halt = []
    threads = [threading.Thread(target=burn, args=(20, lambda: halt)) for _ in range(4)]
    for t in threads:
        t.start()
    s.start()
    time.sleep(0.05)
    s.ask_stop()
    s.wait_gone()
    time.sleep(0.02)
    halt.append(1)
    for t in threads:
        t.join()
    s.decode()
    assert s.dropped == 0
    s.close()

    # a second start is refused, by name, and the first goes on
    s, other = Session(), Session()
    s.start()
    other.run(1)
    assert other.state == REFUSED and "already" in other.err, (other.state, other.err)
    step(1)
    assert s.state == TRACING
    s.stop()
    s.close(), other.close()

    def cycles(n):
        for _ in range(n):
            s = Session(chunks=64)
            s.start()
            for i in range(20):
                step(i)
            s.stop()
            assert s.state == GONE
            s.decode()
            got = sum(1 for k, n in s.events(s.stream_of("step")) if n == "step" and k == "CALL")
            assert got == 20, got
            s.close()

    cycles(20)
    gc.collect()
    m0, r0 = maps(), rss()
    cycles(200)
    gc.collect()
    m1, r1 = maps(), rss()
    assert m1 <= m0 + 2, (m0, m1)
    assert r1 <= r0 + 2000, (r0, r1)
    after = residue()
    assert after[:3] == before[:3] and after[3:] == before[3:], (before, after)
    info = Session.info(None)
    assert info.busy == 0 and info.ctl == 0
    if sys.version_info >= (3, 12):
        left = [t for t in object.__subclasses__() if t.__module__ == "viztracer_agent"]
        assert not left, left


main()
print("ok")
