"""Victims for tests of the ladder, each of which notices when something happens to it: attach_kinds.py KIND [CHECKER.so].
Slots: 0 progress, 1 things gone wrong, 3 what, 4 EINTRs."""
import ctypes
import hashlib
import math
import os
import random
import sys
import threading
import time

import progress
from progress import ready, slots

kind = sys.argv[1]


def check(ok, what):
    if not ok:
        slots[1] += 1
        slots[3] |= what


def work(slot):
    def once():
        return sum(math.sin(i * 0.37) * 1.0000001**i for i in range(300)), hashlib.md5(bytes(range(200))).hexdigest(), str(3**200)

    reference = once()
    while True:
        check(once() == reference, 1)
        slots[slot] += 1


def churn(slot):
    """Memory that malloc gives out: nobody else writes to it."""
    rand = random.Random(slot)
    kept = []
    while True:
        block = bytearray(rand.randrange(600, 200000))
        block[0] = block[-1] = slot
        kept.append(block)
        if len(kept) > 50:
            old = kept.pop(rand.randrange(50))
            check(old[0] == slot and old[-1] == slot and not any(old[1:20]), 2)
        slots[slot] += 1


def threads(target, n, main):
    for i in range(n):
        threading.Thread(target=target, args=(8 + i,), daemon=True).start()
    ready()
    while True:
        slots[0] = min(slots[8 : 8 + n])
        main()


def echo():
    ready()
    while True:
        data = os.read(0, 1)
        if not data:
            break
        slots[0] += 1
        os.write(1, data)


def sleep():
    """Nothing may wake it."""
    ready()
    try:
        time.sleep(100000)
    finally:
        check(False, 4)


def aio():
    import asyncio

    async def main():
        ready()
        while True:
            await asyncio.sleep(0.005)
            slots[0] += 1

    asyncio.run(main())


def lock():
    gate = threading.Condition()
    for i in range(4):
        threading.Thread(target=lambda: gate.acquire() and gate.wait(), daemon=True).start()
    ready()
    while True:
        time.sleep(0.01)
        slots[0] += 1


def checker(name, *args):
    lib = ctypes.CDLL(sys.argv[2])
    address = ctypes.addressof((ctypes.c_uint64 * 64).from_buffer(progress._map))
    ready()
    getattr(lib, name)(ctypes.c_void_p(address), *[ctypes.c_long(a) for a in args])


def filtered():
    """A seccomp filter that kills the process for what it does not know."""
    import struct

    # read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn ioctl pread64 madvise exit futex
    # clock_nanosleep exit_group openat newfstatat set_robust_list rseq clone3 clone getpid gettid sched_getaffinity
    known = [0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 28, 60, 202, 230, 231, 257, 262, 273, 334, 435, 56, 39, 186, 204]
    load, equal, ret = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 0)]
    for nr in known:
        program += [(equal, 0, 1, nr), (ret, 0, 0, 0x7FFF0000)]
    program.append((ret, 0, 0, 0x80000000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None)
    ready()
    libc.prctl(38, 1, 0, 0, 0)
    assert libc.prctl(22, 2, header, 0, 0) == 0
    while True:
        sum(range(1000))
        time.sleep(0.0005)
        slots[0] += 1


KINDS = {
    "filtered": filtered,
    "busy": lambda: (ready(), work(0)),
    "busy4": lambda: threads(work, 4, lambda: time.sleep(0.01)),
    "churn": lambda: threads(churn, 4, lambda: time.sleep(0.01)),
    "churn1": lambda: (ready(), churn(0)),
    "read": echo,
    "sleep": sleep,
    "aio": aio,
    "lock": lock,
    "fiber": lambda: (threading.Thread(target=checker, args=("check_fiber",), daemon=True).start(), time.sleep(100000)),
    "registers": lambda: checker("check_registers", 20000),
    "signals": lambda: checker("check_signals", 20000),
    "nanosleep": lambda: checker("check_waits", 0, 40),
    "poll": lambda: checker("check_waits", 1, 40),
    "futex": lambda: checker("check_waits", 2, 40),
    "epoll": lambda: checker("check_waits", 3, 40),
}
KINDS[kind]()
