"""A program that starts others in ways that C libraries have: spawned.py HOW. Every process prints one line "NAME CALLS" of the
function work_NAME, which only it calls. What is printed is the same each time."""
import ctypes
import os
import signal
import subprocess
import sys
import threading

ME = os.path.abspath(__file__)
libc = ctypes.CDLL(None, use_errno=True)
libc.popen.restype = ctypes.c_void_p
libc.pclose.argtypes = [ctypes.c_void_p]
libc.fgets.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
libc.fgets.restype = ctypes.c_void_p
libc.fputs.argtypes = [ctypes.c_char_p, ctypes.c_void_p]


def work(name, n):
    space = {}
    exec(compile("def work_%s(): pass" % name, ME, "exec"), space)
    for _ in range(n):
        space["work_" + name]()
    os.write(1, b"%s %d\n" % (name.encode(), n))


def tell(*what):
    os.write(1, (" ".join(map(str, what)) + "\n").encode())


def line(name, n):
    return '"%s" "%s" member %s %d' % (sys.executable, ME, name, n)


def words(name, n):
    return [sys.executable, ME, "member", name, str(n)]


def system():
    signals = {signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD}
    tell("Statuses", os.system("exit 3"), os.system("kill -9 $$"), os.system("exec nothing-of-this-name 2>/dev/null"), os.system(""), libc.system(None))
    tell("Of python", os.system(line("python", 5)), libc.system((line("c", 6) + "; exit 7").encode()))
    tell("Below env", os.system("env -i " + line("cleaned", 7)))
    tell("Ignores", os.system("kill -2 $PPID; kill -3 $PPID; exit 4"))
    os.system("trap 'echo trapped' INT; kill -2 $$; env | grep -c VIZTRACER")
    tell("Afterwards", signals & signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    threads = [threading.Thread(target=os.system, args=("kill -2 $PPID; sleep 0.05",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        tell("Interrupted")


def pipes():
    text = ctypes.create_string_buffer(4096)

    def read(stream):
        while libc.fgets(text, len(text), stream):
            tell("Read", text.value)
        return libc.pclose(stream)
    tell("Status", read(libc.popen(b"echo one; echo two; exit 5", b"r")))
    tell("Status", read(libc.popen(b"echo three", b"re")), libc.popen(b"echo four", b"rw"), libc.popen(b"echo five", b"x"))
    tell("Status", read(libc.popen(line("reader", 8).encode(), b"r")))
    first, second = libc.popen(b"cat", b"w"), libc.popen(b"cat >&2", b"w")
    libc.fputs(b"to the first\n", first)
    libc.fputs(b"to the second\n", second)
    tell("Status", libc.pclose(first), libc.pclose(second))  # hangs if the second child has the first one's pipe
    many = [libc.popen(b"read a; exit %d" % i, b"w") for i in range(20)]
    tell("Many", [libc.pclose(stream) for stream in many])
    with os.popen(line("subprocess", 9)) as stream:
        tell("Read", stream.read())


def replaced():
    def child(call):
        pid = os.fork()
        if not pid:
            call()
            os._exit(9)
        tell("Ended", os.waitpid(pid, 0)[1])
    texts = [os.fsencode(word) for word in words("list", 3)]
    name = [os.fsencode(word) for word in words("found", 4)]
    given = [os.fsencode(word) for word in words("given", 5)]
    environment = (ctypes.c_char_p * 2)(b"A=1", None)
    os.environ["PATH"] = os.path.dirname(sys.executable)
    child(lambda: libc.execl(texts[0], *[ctypes.c_char_p(t) for t in texts], None))
    child(lambda: libc.execlp(os.path.basename(name[0]), *[ctypes.c_char_p(t) for t in name], None))
    child(lambda: libc.execle(given[0], *[ctypes.c_char_p(t) for t in given], None, environment))
    child(lambda: libc.execl(b"/nothing", b"nothing", None))


def fork_child(name, n):
    pid = os.fork()
    if not pid:
        work(name, n)
        os._exit(0)
    os.waitpid(pid, 0)


def fork_in_c(name, n):
    """As uWSGI does: the interpreter is not told."""
    pid = ctypes.PyDLL(None).fork()
    if not pid:
        work(name, n)
        os._exit(0)
    os.waitpid(pid, 0)


def eight():
    pids = []
    for i in range(8):
        pid = os.fork()
        if not pid:
            work("abcdefgh"[i], 20000)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)


def programs():
    fork_child("forked", 3)
    fork_in_c("inc", 2)
    sys.intern = lambda text: text  # as ansible does
    fork_child("patched", 9)
    thread = threading.Thread(target=fork_child, args=("threaded", 4))
    thread.start()
    thread.join()
    subprocess.check_call(words("popen", 5))
    thread = threading.Thread(target=subprocess.check_call, args=(words("inthread", 6),))
    thread.start()
    thread.join()
    os.waitpid(os.posix_spawn(sys.executable, words("posix", 7), os.environ), 0)
    subprocess.check_call(["sh", "-c", 'env -i "$0" "$@"; exit $?'] + words("below", 8))


if __name__ == "__main__":
    if sys.argv[1] == "member":
        work(sys.argv[2], int(sys.argv[3]))
    else:
        work("main", 12)
        globals()[sys.argv[1]]()
