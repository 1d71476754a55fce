"""HTTP load on 127.0.0.1:PORT from N threads: load.py PORT [N]. Slot 0 counts answers, slot 1 errors."""
import http.client
import sys
import threading

from progress import ready, slots

port = int(sys.argv[1])
clients = int(sys.argv[2]) if len(sys.argv) > 2 else 2


def run():
    while True:
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            c.request("GET", "/")
            if c.getresponse().read()[:1] == b"[":
                slots[0] += 1
            c.close()
        except OSError:
            slots[1] += 1


for i in range(clients - 1):
    threading.Thread(target=run, daemon=True).start()
ready()
run()
