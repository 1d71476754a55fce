"""Many threads that wait: crowd.py THREADS."""
import sys
import threading

from progress import ready

gate = threading.Event()
threading.stack_size(64 << 10)


def waiting():
    gate.wait()


for _ in range(int(sys.argv[1])):
    threading.Thread(target=waiting, daemon=True).start()
ready()
gate.wait()
