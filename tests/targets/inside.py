"""Threads that wait in one system call each, one that waits again and again, and one that computes. Prints the two ends of its
connection as the trace should show them."""
import os
import select
import socket
import threading
import time

from progress import ready, slots

server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(1)
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
gate = threading.Lock()
gate.acquire()
pipe = os.pipe()


def accepting():
    server.accept()


def receiving():
    client.recv(1)


def locked():
    gate.acquire()


def reading():
    os.read(pipe[0], 1)


def selecting():
    select.select([pipe[0]], [], [])


def entering():
    with gate:
        pass


def napping():
    while True:
        time.sleep(0.2)
        slots[1] += 1


def computing():
    while True:
        slots[0] += 1


for work in (accepting, receiving, locked, reading, selecting, entering, napping, computing):
    threading.Thread(target=work, name=work.__name__, daemon=True).start()
time.sleep(1)
ready()
os.write(1, b"tcp %s:%d -> %s:%d|\n" % (client.getsockname()[0].encode(), client.getsockname()[1],
                                         client.getpeername()[0].encode(), client.getpeername()[1]))
time.sleep(1000)
