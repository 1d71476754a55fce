"""A service with known waits, in rounds (slot 60: the wanted one, slot 61: the last one done). Each wait has a task of its own,
"KIND-TURN", which reads the clock right before and after it. Prints a line `KIND-TURN NS` for each, and `told` after a round."""
import asyncio
import os
import socket
import threading
import time

from progress import ready, slots

TURNS = 6
WAIT = 0.01
told = []


class Reading:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.begun = time.perf_counter_ns()

    def __exit__(self, *unused):
        told.append("%s %d" % (self.name, time.perf_counter_ns() - self.begun))


def named(coroutine, name):
    task = asyncio.ensure_future(coroutine)
    task.set_name(name)
    return task


async def timer(name):
    with Reading(name):
        await asyncio.sleep(WAIT)


async def helper():
    await asyncio.sleep(WAIT)


async def task(name):
    other = named(helper(), "helper of " + name)
    with Reading(name):
        await other


async def gather(name):
    with Reading(name):
        await asyncio.gather(helper(), helper())


async def wait_for(name):
    with Reading(name):
        await asyncio.wait_for(helper(), 60)


async def holds(lock):
    async with lock:
        await asyncio.sleep(WAIT)


async def lock(name):
    it = asyncio.Lock()
    named(holds(it), "holder of " + name)
    await asyncio.sleep(0)  # the holder gets it: no wait
    with Reading(name):
        await it.acquire()


async def event(name):
    it = asyncio.Event()
    asyncio.get_running_loop().call_later(WAIT, it.set)
    with Reading(name):
        await it.wait()


async def puts(queue):
    await asyncio.sleep(WAIT)
    await queue.put(1)


async def queue(name):
    it = asyncio.Queue()
    named(puts(it), "producer of " + name)
    with Reading(name):
        await it.get()


async def executor(name):
    release = threading.Event()  # by the loop: the job cannot be over before it is awaited
    job = asyncio.get_running_loop().run_in_executor(None, release.wait)
    asyncio.get_running_loop().call_later(WAIT, release.set)
    with Reading(name):
        await job


async def stream(name):
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    asyncio.get_running_loop().call_later(WAIT, theirs.send, b"x\n")
    with Reading(name):
        await reader.readline()
    writer.close()
    theirs.close()


async def items():
    for item in range(3):
        yield item


async def generator(name):
    """Items of an async generator are no waits."""
    async for _ in items():
        pass
    with Reading(name):
        await asyncio.sleep(WAIT)


async def cancelled(name):
    other = named(asyncio.sleep(3600), "cancelled by " + name)
    await asyncio.sleep(0)
    other.cancel()
    with Reading(name):
        try:
            await other
        except asyncio.CancelledError:
            await asyncio.sleep(WAIT)


KINDS = timer, task, gather, wait_for, lock, event, queue, executor, stream, generator, cancelled


async def main():
    ready()
    while True:
        while slots[60] == slots[61]:
            await asyncio.sleep(0.002)
        wanted = slots[60]
        for turn in range(TURNS):
            for kind in KINDS:
                name = "%s-%d" % (kind.__name__, turn)
                await named(kind(name), name)
        os.write(1, ("\n".join(told) + "\ntold\n").encode())
        told.clear()
        slots[61] = wanted


asyncio.run(main())
