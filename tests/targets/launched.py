"""A program that is started bare and under trace: launched.py WHAT [ARG...]. All that it prints must be equal both times."""
import os
import signal
import sys
import time


def marked():  # called once by every case
    pass


def is_open(fd):  # there may be no /proc
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def show_process(*_):
    print(sys.argv, __name__, __file__, sys.path[:2], sys.flags, sys.executable, sys.prefix, sys.stdin and sys.stdin.isatty())
    print(sorted(sys.modules), sorted(vars(sys.modules["__main__"])))
    print(sys.gettrace(), sys.getprofile(), sys.getrecursionlimit(), sys.stdout.encoding)
    print([(s, signal.getsignal(s)) for s in sorted(signal.valid_signals())], signal.pthread_sigmask(signal.SIG_BLOCK, []))
    print([fd for fd in range(64) if is_open(fd)], os.getcwd(), os.umask(0o22), os.nice(0))
    try:
        import resource
    except ImportError:  # not in every installation
        return
    print([resource.getrlimit(i) for i in range(16)])


def show_environment():
    print([item for item in sorted(os.environ.items()) if item[0] != "_"], os.environb.get(b"LD_PRELOAD"), flush=True)
    os.system("env | grep -v ^_= | sort")


def show_stack():
    import traceback
    traceback.print_stack()


def fail():
    raise ValueError("as asked")


def kill_self(number):
    sys.stdout.flush()
    os.kill(os.getpid(), int(number))


def overflow():
    def deeper(n):
        return deeper(n + 1)
    try:
        deeper(0)
    except RecursionError as e:
        print(type(e).__name__)


def exit_in_thread():
    import threading
    thread = threading.Thread(target=sys.exit, args=(5,))
    thread.start()
    thread.join()


def exit_functions():
    import atexit
    atexit.register(at_the_end)


def at_the_end():
    print("at the end")


def fork():
    pid = os.fork()
    if not pid:
        print("child", flush=True)
        os._exit(3)
    print(os.waitpid(pid, 0)[1])


def run_child():
    import subprocess
    code = "import os; print(sorted(k for k in os.environ if k != '_'))"
    print(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE).stdout)


def exec_other():
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-c", "print('second')"])


def threads():
    import threading
    work = [threading.Thread(target=lambda: [called() for _ in range(100)]) for _ in range(4)]
    for thread in work:
        thread.start()


def called():
    pass


def read_memory():
    import ctypes
    ctypes.string_at(0)


def hook_audit():
    seen = []
    sys.addaudithook(lambda event, _: seen.append(event) if event in ("open", "import", "exec") else None)
    open("/dev/null").close()
    print(seen)


def wait_for_signal(*numbers):
    got = []
    for n in numbers:
        signal.signal(int(n), lambda number, _: got.append(number))
    print("ready", flush=True)
    while not got:
        time.sleep(0.02)  # pause() would miss a signal that comes right before it
    print(got, flush=True)


def count_signals():
    got = []
    signal.signal(signal.SIGUSR1, lambda number, _: (got.append(number), print("got", number, flush=True)))
    signal.signal(signal.SIGUSR2, lambda number, _: got.append(number))
    print("ready", flush=True)
    while signal.SIGUSR2 not in got:
        time.sleep(0.02)
    print(got, flush=True)


def interrupted():
    try:
        print("ready", flush=True)
        time.sleep(30)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        kill_self(signal.SIGINT)


def show_terminal():
    size = os.get_terminal_size(0)
    print(size.columns > 0, os.isatty(1), os.tcgetpgrp(0) == os.getpgrp(), sys.stdin.readline())


CASES = {f.__name__: f for f in (show_process, show_environment, show_stack, fail, kill_self, overflow, exit_in_thread, exit_functions,
                                 fork, run_child, exec_other, threads, read_memory, hook_audit, wait_for_signal, count_signals, interrupted,
                                 show_terminal)}
CASES.update(exit=lambda code: sys.exit(int(code)), exit_now=lambda code: os._exit(int(code)), abort=os.abort,
             echo=lambda: print(sys.stdin.read()), nothing=lambda: None)
if __name__ == "__main__":
    marked()
    CASES[sys.argv[1]](*sys.argv[2:])
