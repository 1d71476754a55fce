"""Tasks of asyncio that wait for each other and stay so. Prints `ready`, then a line `task NAME WAITS FRAMES` for each: WAITS are
the names of the tasks that it waits for, with commas between them, or the type of the future; FRAMES as NAME|LINE|FILE, innermost
first. Then `said`."""
import asyncio
import os
import sys
import threading

from progress import ready

told = {}


def where():
    frame = sys._getframe(1)
    code = frame.f_code
    return "%s|%d|%s" % (getattr(code, "co_qualname", code.co_name), frame.f_lineno, code.co_filename)


def tell(task, waits, *frames):
    told[task] = "task %s\t%s\t%s\n" % (task, waits, "\t".join(reversed(frames)))


async def innermost(outer):
    tell("deep", "Future", outer[0], outer[1], where()); await asyncio.get_running_loop().create_future()  # noqa: E702


class Middle:
    async def step(self, outer):
        await innermost([outer, where()])


async def deep():
    await Middle().step(where())


async def generator(outer):
    tell("loops", "Future", outer, where()); await asyncio.get_running_loop().create_future()  # noqa: E702
    yield 1


async def loops():
    async for item in generator(where()):
        return item


async def wants(task, name):
    tell(name, task.get_name(), where()); await task  # noqa: E702


async def gathers(*tasks):
    tell("gathers", ",".join(t.get_name() for t in tasks), where()); await asyncio.gather(*tasks)  # noqa: E702


async def ready_soon():
    pass


class Own(asyncio.Task):
    pass


async def main():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, coro, **kw: Own(coro, loop=loop, **kw))
    first = loop.create_task(deep())
    first.set_name("deep")
    loop.set_task_factory(None)
    second = loop.create_task(loops())
    second.set_name("loops")
    third = loop.create_task(wants(first, "wants-deep"))
    third.set_name("wants-deep")
    fourth = loop.create_task(wants(third, "größe"))
    fourth.set_name("größe")
    last = loop.create_task(gathers(second, fourth))
    last.set_name("gathers")
    done = loop.create_task(ready_soon())
    await done
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asyncio.current_task().set_name("main")
    tell("main", "", where()); stay()  # noqa: E702


def stay():
    os.write(1, "".join(told.values()).encode() + b"said\n")
    gate.acquire()  # the loop stands: nothing moves


gate = threading.Lock()
gate.acquire()
ready()
asyncio.run(main())
