"""A limit on the overhead: what is thrown out and what is told of it. The limit here is so low that it must act; timings are not
looked at."""
from vtarena import *

PL_WINDOW, PL_THROTTLED = 8, 9
WHY_STOP, WHY_LEASE = 1, 2
WAKE, WAKE_CPU_NS = 3, O["wake_cpu_ns"]
NEW = sys.version_info >= (3, 12)


def hot():
    return 1


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def steps(n):
    for i in range(n):
        yield i


def raising():
    raise KeyError


def rare(n):
    """Now and then, with hot ones below."""
    total = 0
    for _ in range(n):
        total += hot() + len("ab")
        try:
            raising()
        except KeyError:
            pass
    for i in steps(20):
        total += i
    fib(6)
    return total


calls = {}


def work(seconds, clock):
    end = clock() + seconds
    while clock() < end:
        rare(200)
        calls["rare"] = calls.get("rare", 0) + 1


def run(seconds=1.0, clock=time.time, **options):
    calls.clear()
    s = Session(chunks=2048, rearm=100, **options)
    s.start()
    work(seconds, clock)
    s.stop()
    assert s.state == GONE and s.dropped == 0, (s.state, s.err, s.dropped)
    return s.decode()


def windows(s):
    return [what for stream in s.streams.values() for kind, _, what in stream if kind == PAYLOAD and what[0] == PL_WINDOW]


def told(s):
    """The newest word on each throttled function: name -> (off, since, counted, estimated). `off` is 3 where the
    estimate is a lower bound."""
    result = {}
    for stream in s.streams.values():
        for kind, _, what in stream:
            if kind == PAYLOAD and what[0] == PL_THROTTLED:
                assert len(what[1]) % 32 == 0
                for ident, off, since, counted, estimated in struct.iter_unpack("<IIQQQ", what[1]):
                    name = s.full_name(ident).split(".")[-1] if s.names[ident][0] == 0 else s.full_name(ident)
                    before = result.get(name)
                    assert not before or before[2] <= counted, ("a count goes back", name, before, counted)
                    result[name] = (off, since, counted, estimated)
    return result


def nested(s):
    """Readers' rules: no end of a call that has begun may be missing before another begins or ends around it."""
    lost, unmatched = 0, 0
    for stream in s.streams.values():
        stack = []
        for kind, _, what in stream:
            if kind == PAYLOAD and what[0] == PL_WINDOW:
                n, _ = struct.unpack_from("<II", what[1])
                stack = list(struct.unpack_from("<%dI" % n, what[1], 8))
            elif kind in ENTER:
                stack.append(what)
            elif kind in LEAVE:
                if what not in stack:
                    unmatched += 1
                    continue
                while stack.pop() != what:
                    lost += 1
    return lost, unmatched


def events(s, name, kinds):
    return sum(1 for stream in s.streams.values() for kind, _, what in stream
               if kind in kinds and s.full_name(what).split(".")[-1] == name)


def limit_off():
    s = run(0.1)
    assert not told(s) and not windows(s)
    s = run(0.1, overhead=10000 * 1000)
    assert not told(s) and not windows(s), "a limit that is never reached has thrown something out"
    assert events(s, "rare", {CALL}) == calls["rare"], (events(s, "rare", {CALL}), calls)
    assert events(s, "hot", {CALL}) == 200 * calls["rare"]
    assert nested(s)[0] == 0


def throttled():
    s = run(1.0, time.process_time, overhead=50)  # others may have the processor meanwhile
    functions = told(s)
    assert functions, "nothing was throttled"
    lost, _ = nested(s)
    assert lost == 0, ("ends of calls are lost", lost)
    for name in ("hot", "raising"):
        assert name in functions, (name, functions)
        off, since, counted, estimated = functions[name]
        recorded, real = events(s, name, {CALL}), 200 * calls["rare"]
        assert events(s, name, {RETURN, UNWIND}) == recorded, (name, "a call has lost one end")
        assert recorded + counted <= real, (name, recorded, counted, real)
        everything = recorded + counted + estimated
        if off & 2:
            assert estimated > 0 and everything < real * 1.15, (name, recorded, counted, estimated, real)
        elif off:
            assert real / 1.5 < everything < real * 1.5, (name, recorded, counted, estimated, real)
        else:
            assert recorded + counted == real and not estimated, (name, recorded, counted, real)
    # all is gone with the session
    s = run(0.05)
    assert events(s, "hot", {CALL}) == 200 * calls["rare"] and not told(s)


def down(n):
    return n and down(n - 1)


def open_ends():
    """Thrown out while a hundred of its calls are open: each that was recorded still gets its end."""
    s = Session(chunks=1024, rearm=100, overhead=50)
    s.start()
    end = time.time() + 0.4
    while time.time() < end:
        down(100)
    s.stop()
    s.decode()
    assert "down" in told(s) and nested(s)[0] == 0, nested(s)
    assert events(s, "down", {CALL}) == events(s, "down", {RETURN}) > 0, (events(s, "down", {CALL}), events(s, "down", {RETURN}))


def still_open(s, deep, calls):
    """Open before the session and hot in it: at most `calls` more, so that draining it is not given up unless that is forbidden."""
    if deep:
        s.start()
        for _ in range(calls):
            still_open(s, False, 0)
    return deep


def open_at_start():
    """The end of a call that was open at the start is recorded, too; where calls are told by their ends, however long that takes."""
    space = {}
    exec(compile("def far():\n    return 1\n", "/elsewhere/lib.py", "exec"), space)
    for calls, options in (20000, {}), (100000, {"exclude": ["/elsewhere/"]}):
        s = Session(chunks=2048, rearm=100, overhead=50, **options)
        space["far"]()
        still_open(s, True, calls)
        s.stop()
        assert s.state == GONE and s.dropped == 0
        s.decode()
        entered, left = events(s, "still_open", {CALL}), events(s, "still_open", {RETURN})
        assert "still_open" in told(s) and left == entered + 1, (calls, entered, left, told(s))


ROUNDS_MOST = 1000000  # ends a loop that waits for the agent: no clock tells how long this process was kept from running


def all_dark():
    """Where nothing of ours is called any more, the daemon sends a thread in when that is due, and a look begins.
    The functions that ask here are seen in each look until it has 16 calls of them. Short rounds end that before the next look
    begins by itself, also where other programs take most of the processor."""
    n = 0
    s = Session(chunks=1024, rearm=100, overhead=50)
    s.start()
    for looks in range(3):
        rounds = 0
        while not s.get("Q", WAKE_CPU_NS) or time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID) < s.get("Q", WAKE_CPU_NS):
            assert rounds < ROUNDS_MOST, ("no look is wanted", looks, s.get("Q", WAKE_CPU_NS), s.state)
            for _ in range(1000):
                hot()
            n += 1000
            rounds += 1
        due = s.get("Q", WAKE_CPU_NS)
        s.run(WAKE)
        assert s.get("Q", WAKE_CPU_NS) > due, "no look has begun"
    s.stop()
    assert s.state == GONE and s.dropped == 0
    s.decode()
    assert told(s)["hot"][0] and events(s, "hot", {CALL}) + told(s)["hot"][2] < n


def looks_end():
    """Of a function that is switched off a look sees a small part; the others are estimated from it, and said to be."""
    looks, calls = 3, 1000000
    s = Session(chunks=1024, rearm=100, overhead=500)
    rounds = 0

    def both(n):
        for _ in range(n):
            hot()
            len("ab")

    s.start()
    while not s.get("Q", WAKE_CPU_NS):
        assert rounds < ROUNDS_MOST, "nothing is switched off"
        rounds += 1
        both(20000)
    both(200000)
    for _ in range(looks):
        s.put("Q", WAKE_CPU_NS, 1)  # it is due now
        s.run(WAKE)
        assert s.get("Q", WAKE_CPU_NS) > 1, "no look has begun"
        both(calls)
    s.stop()
    assert s.state == GONE and s.dropped == 0
    s.decode()
    for name in "hot", "builtins.len":
        off, since, counted, estimated = told(s)[name]
        assert off and estimated > looks * calls / 10, (name, off, estimated)
        assert looks * 16 <= counted < looks * calls / 5, (name, counted, estimated)


def slow_enough():
    """Long enough for the cost of its events to hardly matter."""
    for _ in range(200):
        pass


def looks_that_wait():
    """A look lasts for some CPU time: that of a program which waits for a processor meanwhile tells the same rate."""
    n, due, looks, end = 0, 0, 0, time.process_time_ns() + 20 * 10**9
    s = Session(chunks=1024, rearm=100, overhead=50, flags=0, exclude=[sys.modules["vtarena"].__file__, ctypes.__file__])
    s.start()
    while looks < 3:
        for _ in range(100):
            slow_enough()
        n += 100
        due, now = s.get("Q", WAKE_CPU_NS), time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)
        assert now < end, "looks do not go on"
        if due and now >= due:
            s.run(WAKE)
            looks += s.get("Q", WAKE_CPU_NS) > due
            time.sleep(0.005)
    for _ in range(2000):
        slow_enough()
    n += 2000
    s.stop()
    assert s.state == GONE and s.dropped == 0
    s.decode()
    off, _, counted, estimated = told(s)["slow_enough"]
    everything = events(s, "slow_enough", {CALL}) + counted + estimated
    assert off and everything < n * 1.5 and (off & 2 or everything > n / 1.5), (off, counted, estimated, everything, n)


def counted_exactly():
    """What is only counted is counted exactly. Which limit makes that of a function depends on the machine."""
    for limit in 400, 800, 1600, 3200, 6400:
        s = run(0.5, overhead=limit)
        functions = told(s)
        for name, per_rare in ("rare", 1), ("fib", 25), ("hot", 200), ("raising", 200):
            if name in functions and not functions[name][0]:
                counted, estimated = functions[name][2:]
                recorded = events(s, name, {CALL})
                assert recorded + counted == per_rare * calls["rare"] and not estimated, (name, recorded, counted, estimated, calls)


def quiet():
    return 1


def hands_on(f=None):
    return f() if f else 1


def with_filters():
    """What is below a function that is left out stays left out when functions are throttled, also those in between."""
    space = {"hot": hot, "hands_on": hands_on, "quiet": quiet}
    exec(compile("def far():\n    return hands_on(quiet)\n", "/elsewhere/lib.py", "exec"), space)
    exec(compile("def outside():\n    return inside_of()\n", "/elsewhere/lib.py", "exec"), space)
    exec(compile("def inside_of():\n    hot()\n    return [hot() for _ in range(50)]\n", __file__, "exec"), space)
    for limit in 50, 1000:
        s = Session(chunks=1024, rearm=100, overhead=limit, exclude=["/elsewhere/"])
        s.start()
        end = time.time() + 0.7
        while time.time() < end:
            space["outside"]()
            space["far"]()
            for _ in range(1000):
                hands_on()
            rare(50)
        s.stop()
        assert s.state == GONE and s.dropped == 0
        s.decode()
        assert events(s, "inside_of", {CALL}) == 0 and events(s, "outside", {CALL}) == 0
        assert events(s, "quiet", {CALL}) == 0, (limit, events(s, "quiet", {CALL}))
        assert nested(s)[0] == 0


def hooks_out():
    s = run(1.0, overhead=50)
    assert not told(s)
    n, off = s.get("I", O["windows"]), s.get("Q", O["off_ticks"])
    assert n >= 1 and off > 0, (n, off)
    assert n >= len(windows(s)) >= n - 1 or sys.version_info >= (3, 11), (n, len(windows(s)))
    assert nested(s)[0] == 0, nested(s)
    assert events(s, "rare", {CALL}) <= calls["rare"]
    assert sys.getprofile() is None
    s = run(0.05)
    assert events(s, "hot", {CALL}) == 200 * calls["rare"] and not windows(s)
    s = run(0.6, overhead=50, flags=0)
    assert s.get("I", O["windows"]) >= 1 and nested(s)[0] == 0


def until(s, condition, what, seconds=60):
    """For what comes when the CPU time has been had, however long that takes; we are the daemon."""
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, what
        rare(20)
        due = s.get("Q", WAKE_CPU_NS)
        if due and time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID) >= due:
            s.run(WAKE)
            assert not s.get("Q", WAKE_CPU_NS), "told when, and then not ready"


def hooked():
    """Is a hook in this thread, or in its interpreter?"""
    thread, pythonapi = ctypes.pythonapi.PyThreadState_Get, ctypes.pythonapi
    thread.restype = ctypes.c_void_p
    if ctypes.c_long.from_address(thread() + (56 if sys.version_info < (3, 11) else 64)).value:
        return True
    if sys.version_info < (3, 9):
        return False
    get, interpreter = pythonapi._PyInterpreterState_GetEvalFrameFunc, pythonapi.PyInterpreterState_Get
    get.restype = interpreter.restype = ctypes.c_void_p
    get.argtypes = [ctypes.c_void_p]
    return get(interpreter()) != ctypes.cast(pythonapi._PyEval_EvalFrameDefault, ctypes.c_void_p).value


def comes_back():
    """The hooks come in again when it is time, not before, and the thread that puts them in leaves nothing behind."""
    for flags in F_C_CALLS, 0:
        s = Session(chunks=1024, flags=flags)
        s.start()
        assert hooked() or (flags == 0 and sys.version_info < (3, 9)), "this test cannot tell"
        s.stop()
        s = Session(chunks=4096, overhead=50, flags=flags)
        s.start()
        until(s, lambda: s.get("Q", O["off_since"]), "the hooks stay in")
        assert not hooked(), "they are out, and one is still in"
        s.run(WAKE)
        assert s.get("Q", O["off_since"]) and s.get("I", O["windows"]) == 1, "they came back too early"
        until(s, lambda: s.get("I", O["windows"]) >= 3, "the hooks stay out")
        s.stop()
        s.decode()
        assert s.state == GONE and s.dropped == 0
        active = sum(any(kind in ENTER for kind, _, _ in stream) for stream in s.streams.values())
        assert len(windows(s)) >= 2 and active == 1, (len(windows(s)), active)
        assert nested(s)[0] == 0


def begun(s):
    """[(kind, name, frames that its WINDOW payload says to be open)] of the first event of each thread in each new window."""
    first = []
    for stream in s.streams.values():
        frames = None
        for kind, _, what in stream:
            if kind == PAYLOAD:
                if what[0] == PL_WINDOW:
                    n, _ = struct.unpack_from("<II", what[1])
                    assert len(what[1]) == 8 + 4 * n
                    frames = [s.full_name(i).split(".")[-1] for i in struct.unpack_from("<%dI" % n, what[1], 8)]
            elif frames is not None and kind in ENTER | LEAVE:
                first.append((kind, s.full_name(what).split(".")[-1], frames))
                frames = None
    return first


def open_now(depth):
    """Names of the frames from the caller on, outermost first; that many at most."""
    names, frame = [], sys._getframe(1)
    while frame and len(names) < depth:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names[::-1]


def entered():
    return 1


def first_is(s, what):
    """Out, and in again here: the next event of this thread is that of `what`. The frames that are open before it."""
    libc, thread, boot = ctypes.CDLL(None), ctypes.c_uint64(), s.boot(WAKE)
    create, join, iterator = libc.pthread_create, libc.pthread_join, steps(1)
    arguments = ctypes.byref(thread), None, ctypes.cast(lib().vt_agent_main, ctypes.c_void_p), ctypes.byref(boot)
    while time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID) < s.get("Q", WAKE_CPU_NS):
        pass
    frames = open_now(1024)
    create(*arguments)
    join(thread, None)
    if what == "call":
        entered()
    elif what == "generator":
        for _ in iterator:
            pass
    elif what == "c_call":
        len("ab")
    return frames


def deeper(n, s, what):
    return deeper(n - 1, s, what) if n else first_is(s, what)


def new_window():
    """The first event after the hooks were out is told with the frames that are open before it: what it enters is not among them."""
    sys.setrecursionlimit(2500)
    for depth, what, kind, name in ((0, "call", CALL, "entered"), (3, "generator", CALL, "steps"), (3, "c_call", C_CALL, "len"),
                                    (3, "return", RETURN, "first_is"), (1100, "call", CALL, "entered")):
        s = Session(chunks=4096, overhead=50, exclude=["/elsewhere/"])
        space = {"deeper": deeper}
        exec(compile("def left_out(*arguments):\n    return deeper(*arguments)\n", "/elsewhere/lib.py", "exec"), space)
        s.start()
        until(s, lambda: s.get("Q", O["off_since"]), "the hooks stay in")
        frames = space["left_out"](depth, s, what)
        assert not s.get("Q", O["off_since"]), "they did not come back"
        s.stop()
        s.decode()
        frames = [name for name in frames if name != "left_out"]
        got = [(k, n, f) for k, n, f in begun(s) if "first_is" in f]
        assert len(got) == 1 and got[0][:2] == (kind, name), (what, kind, name, got and got[0][:2])
        assert got[0][2] == frames, (what, len(frames), frames[-5:], got[0][2][-5:])
        assert nested(s)[0] == 0
    s = Session(chunks=4096, overhead=50, flags=0)
    s.start()
    until(s, lambda: s.get("Q", O["off_since"]), "the hooks stay in")
    first_is(s, "call")
    s.stop()
    s.decode()
    assert begun(s)[0] == (CALL, "entered", []), begun(s)[0]  # of frames that were open this hook sees no end


def leaves_while_out():
    """Nothing of ours is called while the hooks are out: who is sent to bring them back finds that it is over."""
    for why in WHY_STOP, WHY_LEASE:
        s = Session(chunks=1024, overhead=10)
        s.start()
        until(s, lambda: s.get("Q", O["off_since"]), "the hooks stay in")
        if why == WHY_STOP:
            s.ask_stop()
        else:
            s.put("Q", O["lease"], 1)
        s.run(WAKE)
        assert s.state == GONE and s.why == why, (s.state, s.why)
    s.run(WAKE)  # no session at all


limit_off()
if NEW:
    throttled()
    open_ends()
    open_at_start()
    all_dark()
    looks_end()
    looks_that_wait()
    counted_exactly()
    with_filters()
else:
    hooks_out()
    comes_back()
    new_window()
    leaves_while_out()
print("ok")
