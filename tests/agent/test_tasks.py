"""Which asyncio task runs: of tasks that start at once, tasks written in Python, steps inside steps, cancelled tasks; and what it costs to know."""
import asyncio, time
from vtarena import *

NEW = sys.version_info >= (3, 12)


def mark(who):
    return who


async def plain(who, n=2):
    for _ in range(n):
        mark(who)
        await asyncio.sleep(0)
    mark(who)


def traced(main, **options):
    """[(what mark was given, name of the task in which it was called, at the end of the session)]; the task that is left at the end."""
    s = Session(flags=F_C_CALLS | F_ASYNC | F_ARGS, **options)
    s.start()
    main()
    s.stop()
    s.decode()
    stream = s.stream_of("mark")
    names, current, got, given = {0: None}, 0, [], None
    for kind, _, what in stream:
        if kind == PAYLOAD and what[0] == PL_TASK:
            address, number, n = struct.unpack_from("<QII", what[1])
            names[number] = what[1][16:16 + n].decode()
        elif kind == TASK:
            current = what
        elif kind == PAYLOAD and what[0] == PL_ARGS:
            given = what[1]
        elif kind == CALL and s.full_name(what) == "mark":
            got.append((text_of(given), current))
    assert current == 0, "a task is still current"
    s.close()
    return [(who, names[number]) for who, number in got]


def text_of(args):
    quoted = args.decode("utf-8", "replace").split("'")
    return quoted[1]


def of(got, who):
    return [name for w, name in got if w == who]


# ---- tasks that start at once, 3.12+ ----

async def parent(names):
    mark("parent")
    for name in names:
        t = asyncio.create_task(plain(name), name=name)
        mark("parent")  # the step of this task goes on
        del t
    done = asyncio.create_task(plain("done", 0), name="done")
    mark("parent")
    assert done.done()
    await asyncio.sleep(0.01)
    mark("parent")


async def eager():
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    await parent(["one", "two"])
    async with asyncio.TaskGroup() as group:
        group.create_task(plain("grouped"), name="grouped")
        mark("parent")


def eager_tasks():
    got = traced(lambda: asyncio.run(eager()))
    for who in ("one", "two", "grouped"):
        assert of(got, who) == [who] * 3, (who, of(got, who))
    assert of(got, "done") == ["done"], of(got, "done")
    parents = of(got, "parent")
    assert len(parents) == 6 and len(set(parents)) == 1 and parents[0], parents


# ---- tasks written in Python ----

async def python_main():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, coro, **more: asyncio.tasks._PyTask(coro, loop=loop, **more))
    await asyncio.gather(*[asyncio.create_task(plain(n), name=n) for n in ("py-1", "py-2")])
    loop.set_task_factory(None)
    await asyncio.create_task(plain("c-1"), name="c-1")


def python_tasks():
    got = traced(lambda: asyncio.run(python_main()))
    for who in ("py-1", "py-2", "c-1"):
        assert of(got, who) == [who] * 3, (who, of(got, who))


# ---- a loop inside a step; coroutines that are driven by hand; await through a generator ----

class Await:
    def __init__(self, coroutine):
        self.coroutine = coroutine

    def __await__(self):
        return (yield from self.coroutine.__await__())


def drive(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


class Bare:
    def __await__(self):
        yield


async def by_hand():
    mark("hand")
    await Bare()
    mark("hand")


async def outer():
    mark("outer")
    drive(by_hand())
    mark("outer")
    await Await(plain("outer"))
    mark("outer")


def nested_steps():
    async def main():
        await asyncio.create_task(outer(), name="outer")

    got = traced(lambda: asyncio.run(main()))
    assert of(got, "outer") == ["outer"] * 6, of(got, "outer")
    assert of(got, "hand") == ["outer"] * 2, of(got, "hand")


# ---- cancelled tasks: the exception is thrown into the innermost coroutine ----

async def holds_on():
    mark("held")
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        mark("held")
        await asyncio.sleep(0)
        mark("held")
        raise


async def around():
    await holds_on()


def cancelled():
    async def main():
        t = asyncio.ensure_future(around())
        if hasattr(t, "set_name"):
            t.set_name("held")
        await asyncio.sleep(0)
        t.cancel()
        try:
            await t
        except asyncio.CancelledError:
            pass
        mark("main")

    got = traced(lambda: asyncio.run(main()))
    assert of(got, "held") == ["held"] * 3, of(got, "held")
    assert of(got, "main")[0].startswith("Task-"), of(got, "main")


# ---- a new name ----

def renamed():
    async def main():
        mark("a")
        asyncio.current_task().set_name("new")
        await asyncio.sleep(0)
        mark("b")

    got = traced(lambda: asyncio.run(main()))
    assert of(got, "a") != ["new"] and of(got, "b") == ["new"], got


# ---- cost ----

def not_asked():
    """Below 3.12 asyncio's function, which asks the kernel for the process id, is not called: here it would give a number."""
    async def main():
        await asyncio.create_task(plain("plain"), name="plain")

    kept, asyncio.tasks.current_task = asyncio.tasks.current_task, time.time
    try:
        got = traced(lambda: asyncio.run(main()))
    finally:
        asyncio.tasks.current_task = kept
    assert of(got, "plain") == ["plain"] * 3, got


python_tasks()
nested_steps()
cancelled()
renamed()
if NEW:
    eager_tasks()
else:
    not_asked()
print("ok")
