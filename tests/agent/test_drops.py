"""A starved arena: what was written + what was dropped = what was emitted; gap records say where. Clock wraps."""
from vtarena import *


def step():
    pass


def work(n):
    for _ in range(n):
        step()


def free_chunks(s):
    """What the daemon does with closed chunks; returns the calls it read."""
    n = 0
    for i in range(s.chunks):
        at = CTL + i * CHUNK
        if s.get("I", at + 28) != 2:
            continue
        data = s.map[at:at + CHUNK]
        chunks.append(data)
        s.map[at:at + CHUNK] = bytes(CHUNK)
        word = O["free"] + i // 64 * 8
        s.put("Q", word, s.get("Q", word) | 1 << i % 64)
        s.put("Q", O["freed"], s.get("Q", O["freed"]) + 1)
    return n


chunks = []


def main():
    n = 200000
    s = Session(flags=0, chunks=16)
    s.start()
    work(n)
    assert s.dropped > 0
    lost_before = s.dropped
    free_chunks(s)
    work(10000)
    s.stop()
    for i in range(16):
        at = CTL + i * CHUNK
        if s.get("Q", at + 16):
            chunks.append(s.map[at:at + CHUNK])
    words = [struct.unpack("<8192Q", c) for c in chunks]
    order = sorted(words, key=lambda w: (w[4] & 0xffffffff, w[3] & 0xffffffff))
    calls = returns = gaps = 0
    names = {}
    for w in order:
        i = 8
        while i < 8192 and w[i]:
            kind, ident = w[i] & 15, w[i] >> 4 & 0x3ffffff
            if kind == PAD:
                break
            if kind == GAP:
                gaps += w[i] >> 4
            if kind == PAYLOAD:
                if ident >> 20 == PL_NAME:
                    data = struct.pack("<8192Q", *w)[(i + 1) * 8:(i + 1) * 8 + (ident & 0xfffff)]
                    number, line, nlen, flen, k = struct.unpack_from("<IIHHB", data)
                    names[number] = data[16:16 + nlen]
                i += ((ident & 0xfffff) + 7) // 8
            if kind == CALL and names.get(ident) == b"step":
                calls += 1
            if kind == RETURN and names.get(ident) == b"step":
                returns += 1
            i += 1
    total = 2 * (n + 10000)
    others = s.dropped - (total - calls - returns)
    # the few calls of this driver itself that fell into the gap
    assert 0 <= others <= 400, (others, s.dropped, calls, returns)
    assert gaps == s.dropped, (gaps, s.dropped)
    slot = struct.unpack_from("<I4xQ", s.map, O["drops"])
    assert sum(struct.unpack_from("<I4xQ", s.map, O["drops"] + i * 16)[1] for i in range(1024)) == s.dropped

    # 34 bits of TSC wrap every 7 s or so: run over at least one wrap
    s = Session(chunks=64, span=2 * TICKS_PER_MS)
    s.start()
    end = time.time() + 8.5
    count = 0
    while time.time() < end:
        step()
        count += 1
        time.sleep(0.05)
    s.stop()
    s.decode()
    got = s.events(s.stream_of("step"))
    assert sum(1 for k, name in got if name == "step" and k == "CALL") == count
    clocks = [c for k, c, _ in s.stream_of("step")]
    assert clocks[0] >> 34 != clocks[-1] >> 34, "no wrap happened"
    assert 7 < (clocks[-1] - clocks[0]) / (TICKS_PER_MS * 1000) < 14, clocks[-1] - clocks[0]

    s = Session(clock=1, span=20000000)
    s.start()
    t0 = time.monotonic_ns()
    step()
    t1 = time.monotonic_ns()
    s.stop()
    s.decode()
    stamp = [c for k, c, i in s.stream_of("step") if k == CALL and s.full_name(i) == "step"]
    assert len(stamp) == 1 and t0 <= stamp[0] <= t1, (t0, stamp, t1)


main()
print("ok")
