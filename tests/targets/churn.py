"""N threads that allocate and free all the time, through malloc and without the GIL where they can: churn.py THREADS."""
import hashlib
import json
import sys
import threading
import zlib

from progress import ready, slots


def churn(slot):
    sizes = [600, 5000, 70000, 300000]
    row = {"key-%d" % i: list(range(20)) for i in range(20)}
    n = 0
    while True:
        n += 1
        size = sizes[n % 4]
        blocks = [bytearray(size) for _ in range(20)]
        zlib.compress(bytes(blocks[0]), 1)
        hashlib.sha256(blocks[1]).digest()
        json.loads(json.dumps(row))
        del blocks
        slots[slot] += 1


threads = int(sys.argv[1])
for i in range(threads - 1):
    threading.Thread(target=churn, args=(i,), name="churn-%d" % i, daemon=True).start()
ready()
churn(threads - 1)
