"""A program that works for a second, says what it was given, and exits with the status in its first argument; `signal` waits for
Ctrl+C first."""
import os
import sys
import time


def working():
    end = time.monotonic() + 1
    while time.monotonic() < end:
        sum(range(1000))


def interrupted():
    try:
        print("waits", flush=True)
        while True:
            sum(range(1000))
    except KeyboardInterrupt:
        print("interrupted", flush=True)


working()
print("said", sys.argv[2:], os.environ.get("LD_PRELOAD"), flush=True)
if sys.argv[2:] == ["signal"]:
    interrupted()
sys.exit(int(sys.argv[1]))
