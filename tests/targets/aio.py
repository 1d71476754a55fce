"""An asyncio server under load from its own clients over loopback: aio.py [CLIENTS]."""
import asyncio
import json
import sys

from progress import ready, slots


async def fetch(key):
    await asyncio.sleep(0)
    return {"key": key, "value": key * 2}


async def serve(reader, writer):
    while True:
        line = await reader.readline()
        if not line:
            break
        answer = await fetch(json.loads(line)["key"])
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()


async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    n = 0
    while True:
        n += 1
        writer.write(json.dumps({"key": n}).encode() + b"\n")
        await writer.drain()
        assert json.loads(await reader.readline())["value"] == 2 * n
        slots[0] += 1


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tasks = [asyncio.ensure_future(client(port)) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 8)]
    ready()
    await asyncio.gather(*tasks)


asyncio.run(main())
