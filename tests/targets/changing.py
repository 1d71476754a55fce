"""Sets its user ids again and again, to what they are. For that the C library sends a signal to each thread and waits for all of them."""
import os
import threading

from progress import ready, slots


def leaf(n):
    return n + 1


os.setresuid(-1, -1, -1)  # installs the handler
for _ in range(3):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
ready()
while True:
    os.setresuid(-1, -1, -1)
    leaf(1)
    slots[0] += 1
