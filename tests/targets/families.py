"""A program of several processes, started bare and under trace: families.py HOW. Every process prints one line "NAME CALLS" of the
function work_NAME, which only it calls, so that what is recorded can be counted. What is printed is the same each time."""
import multiprocessing
import os
import signal
import subprocess
import sys
import time

ME = os.path.abspath(__file__)


def work(name, n):
    space = {}
    exec(compile("def work_%s(): pass" % name, ME, "exec"), space)
    for _ in range(n):
        space["work_" + name]()
    os.write(1, b"%s %d\n" % (name.encode(), n))


def member(name, n):
    return [sys.executable, ME, "member", name, str(n)]


def work_in_child(name, n):
    pid = os.fork()
    if not pid:
        work(name, n)
        os._exit(3)
    os.waitpid(pid, 0)


def none():
    pass


def popen():
    subprocess.check_call(member("one", 5))
    subprocess.check_call(member("two", 700))


def clean():
    subprocess.check_call(member("clean", 5), env={})


def shell():
    subprocess.check_call(["sh", "-c", '"$0" "$@" && env -i "$0" "$1" member again 4'] + member("shell", 6))


def execute():
    os.execv(sys.executable, member("executed", 9))


def spawn():
    pid = os.posix_spawn(sys.executable, member("posix", 8), os.environ)
    os.waitpid(pid, 0)
    os.spawnv(os.P_WAIT, sys.executable, member("spawnv", 2))


def preexec():
    subprocess.check_call(member("child", 8), preexec_fn=lambda: work("preexec", 3))


def environment():
    code = "import os; print(sorted(k for k in os.environ if k != '_'), flush=True); os.system('env | sort | grep -v ^_=')"
    subprocess.check_call([sys.executable, "-c", code])
    subprocess.check_call("env | sort | grep -v ^_=", shell=True)
    subprocess.check_call(["env"])


def fork():
    work_in_child("first", 20)
    work_in_child("second", 3000)


def fork_falls_off_the_end():
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    else:
        work("fallen", 5)


def fork_in_thread():
    import threading
    thread = threading.Thread(target=work_in_child, args=("threaded", 30))
    thread.start()
    thread.join()


def fork_twice():
    pid = os.fork()
    if not pid:
        work_in_child("grandchild", 10)
        work("child", 11)
        os._exit(0)
    os.waitpid(pid, 0)


def killed():
    pid = os.fork()
    if not pid:
        work("killed", 40)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def not_waited_for():
    done, tell = os.pipe()
    if not os.fork():
        work("zombie", 40)
        os._exit(0)
    os.close(tell)
    os.read(done, 1)


def outlives():
    """The child's calls up to the end of the parent are in the trace; it runs on, untraced."""
    done, tell = os.pipe()
    if not os.fork():
        work("orphan", 50)
        os.write(tell, b"x")
        while os.getppid() == parent:
            time.sleep(0.01)
        time.sleep(0.3)
        for _ in range(1000):
            none()
        os.write(1, b"late 0\n")
        os._exit(0)
    os.read(done, 1)


def later(name, n):
    work(name, n)
    return name


def process(method):
    context = multiprocessing.get_context(method)
    children = [context.Process(target=later, args=(method + str(i), 30 + i)) for i in range(2)]
    for child in children:
        child.start()
        child.join()
        print(child.exitcode, flush=True)


def pool(method):
    with multiprocessing.get_context(method).Pool(1) as workers:
        print(workers.starmap(later, [("pool", 25)]), flush=True)
        workers.close()
        workers.join()


def executor(method):
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as workers:
        print(workers.submit(later, "executor", 35).result(), flush=True)


def prefork():
    """As gunicorn and uWSGI do: a master that forks workers, replaces one that died, and ends them by a signal."""
    def worker(name, n):
        pid = os.fork()
        if pid:
            return pid
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        work(name, n)
        os.write(tell, b"x")
        while True:
            time.sleep(1)
    ready, tell = os.pipe()
    workers = []
    for i in range(3):
        workers.append(worker("worker%d" % i, 10 + i))
        os.read(ready, 1)
    os.kill(workers[0], signal.SIGKILL)
    os.waitpid(workers.pop(0), 0)
    workers.append(worker("replaced", 20))
    os.read(ready, 1)
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def gateway():
    """As execnet, and with it pytest-xdist, does: an interpreter that is sent its program."""
    code = "import sys; exec(eval(sys.stdin.readline()))"
    program = "space = {'__name__': 'gate', '__file__': %r}; exec(open(%r).read(), space); space['work']('gateway', 15)" % (ME, ME)
    child = subprocess.Popen([sys.executable, "-u", "-c", code], stdin=subprocess.PIPE)
    child.communicate(repr(program).encode() + b"\n")


def sandboxed():
    """The program forbids opening files and sockets, at the price of its life, and forks then."""
    import ctypes
    import struct
    lines = [(0x20, 0, 0, 0), (0x15, 2, 0, 257), (0x15, 1, 0, 41), (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x80000000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code)))
    libc = ctypes.CDLL(None)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_void_p] * 4
    assert libc.prctl(38, 1, None, None, None) == 0 and libc.prctl(22, 2, ctypes.addressof(header), None, None) == 0
    pid = os.fork()
    if not pid:
        none()
        os._exit(4)
    print(os.waitpid(pid, 0)[1], flush=True)
    os._exit(0)


def storm(n):
    """Children that live for a moment, as many at a time as there are processors."""
    n, running = int(n), set()
    for i in range(n):
        pid = os.fork()
        if not pid:
            none()
            os._exit(0)
        running.add(pid)
        while len(running) > 4:
            running.discard(os.wait()[0])
    while running:
        running.discard(os.wait()[0])
    print(n)


parent = os.getpid()
if __name__ == "__main__":
    if sys.argv[1] == "member":
        work(sys.argv[2], int(sys.argv[3]))
    else:
        work("main", 12)
        globals()[sys.argv[1]](*sys.argv[2:])
