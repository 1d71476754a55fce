"""Threads that say where they are and then stay there: a line `stack TID` for each, with its name and
its frames, innermost first, as NAME|LINE|FILE, separated by tabs. Prints `ready` before that."""
import asyncio
import os
import socket
import sys
import threading
import time

from progress import ready

gate, mouth = threading.Lock(), threading.Lock()
gate.acquire()


def say():
    frame, told = sys._getframe(1), []
    while frame:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        told.append("%s|%d|%s" % (name, frame.f_lineno, code.co_filename))
        frame = frame.f_back
    with mouth:
        os.write(1, ("stack %d\t%s\t%s\n" % (threading.get_native_id(), threading.current_thread().name, "\t".join(told))).encode())


class Shop:
    def locked(self):
        def inner():
            say(); gate.acquire()  # noqa: E702

        inner()

    @property
    def price(self):
        say(); gate.acquire()  # noqa: E702


def plain():
    Shop().locked()


def in_a_property():
    return Shop().price


def numbers():
    yield 1
    say(); gate.acquire()  # noqa: E702


def in_a_generator():
    for _ in numbers():
        pass


def item(n):
    if n == 2:
        say(); gate.acquire()  # noqa: E702
    return n


def in_a_comprehension():
    return [
        item(
            n
        )
        for n in range(5)
    ]


def in_a_handler():
    try:
        raise ValueError
    except ValueError:
        with threading.Lock():
            say(); gate.acquire()  # noqa: E702


def receiving():
    a, b = socket.socketpair()
    say(); a.recv(1)  # noqa: E702


def down(n):
    if n:
        return down(n - 1)
    say(); gate.acquire()  # noqa: E702


def deep():
    down(300)


def from_c():
    list(map(lambda n: (say(), gate.acquire()), [1]))


def größe():
    say(); gate.acquire()  # noqa: E702


def 名前():
    größe()


async def coroutine():
    await asyncio.sleep(0)
    say(); gate.acquire()  # noqa: E702


def in_a_task():
    asyncio.new_event_loop().run_until_complete(coroutine())


def compiled():
    exec(compile("\n\n\nsay(); gate.acquire()", "<made/at run time>", "exec"), globals())


def far_down():
    # tables of lines with large steps
    source = "def far():\n" + "    x = 1\n" * 5 + "\n" * 70000 + "    say(); gate.acquire()\nfar()\n"
    exec(compile(source, "<far>", "exec"), globals())


wants = [plain, in_a_property, in_a_generator, in_a_comprehension, in_a_handler, receiving, deep, from_c, 名前, in_a_task, compiled,
         far_down]
ready()
for want in wants:
    threading.Thread(target=want, name=want.__name__, daemon=True).start()
say(); time.sleep(1000)  # noqa: E702
