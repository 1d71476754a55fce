#!/usr/bin/env python3
"""An asyncio service with customers of its own, and one call that blocks the loop. Runs until Ctrl+C.

    python3 examples/blocking.py           then, in another terminal, with the pid that it prints:
    viztracer --attach PID -t 2 --log_async -o blocking.html

What to see: with --log_async tasks have rows of their own, full of short pieces that end where the task waits. About twice a second
every row is empty for 0.2 s but one: there `read_price_list` sleeps inside `handle_report`, in the loop's thread, and nobody else
gets a turn. Search for read_price_list, and look at the calls of handle_order right behind it: all that were due come at once. The
cure is `await asyncio.to_thread(read_price_list)`.
"""
import asyncio
import itertools
import json
import os
import random
import time


def read_price_list():
    """Stands for a file on a slow disk, or a database driver that knows no asyncio."""
    time.sleep(0.2)
    return {str(n): n * 3 % 101 for n in range(200)}


async def look_up(item):
    await asyncio.sleep(0.002 + random.random() * 0.004)
    return {"item": item, "stock": item % 7}


async def handle_order(item):
    parts = await asyncio.gather(look_up(item), look_up(item + 1))
    return json.dumps(parts)


async def handle_report():
    prices = read_price_list()  # blocks everybody
    await asyncio.sleep(0)
    return json.dumps(prices)


async def serve(reader, writer):
    try:
        while line := await reader.readline():
            what, _, item = line.decode().strip().partition(" ")
            answer = await (handle_report() if what == "report" else handle_order(int(item)))
            writer.write(answer.encode() + b"\n")
            await writer.drain()
    finally:
        writer.close()


async def customer(port, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for turn in itertools.count(1):
        await asyncio.sleep(random.random() * 0.02)
        report = number == 0 and turn % 30 == 0
        writer.write(b"report\n" if report else b"order %d\n" % random.randrange(1000))
        await reader.readline()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print("blocking.py: pid %d" % os.getpid(), flush=True)
    await asyncio.gather(*(customer(port, number) for number in range(8)))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
