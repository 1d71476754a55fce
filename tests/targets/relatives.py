"""A family. Lines on stdin: "fork NAME", "spawn NAME" (exec of a new interpreter), "shell NAME" (the same below a shell), "exec NAME"
(this process becomes another program; it must be the last). Every member calls work_NAME and tells "NAME is PID". It ends with the
first process, and after two minutes."""
import os
import select
import subprocess
import sys
import time


def make(name):
    space = {}
    exec(compile("def work_%s():\n    return sum(range(40))\n" % name, __file__, "exec"), space)
    return space["work_" + name]


def tell(text):
    os.write(1, (text + "\n").encode())


def is_there(pid):
    try:
        os.kill(pid, 0)  # a root without /proc is one of the places where this runs
    except ProcessLookupError:
        return False
    return True


def live(name, first):
    work = make(name)
    end = time.time() + 120
    tell("%s is %d" % (name, os.getpid()))
    while time.time() < end and is_there(first):
        for _ in range(20):
            work()
        time.sleep(0.005)


def obey(line):
    how, name = line.split()
    first = os.getpid()
    argv = [sys.executable, os.path.abspath(__file__), name, str(first)]
    if how == "fork":
        if os.fork() == 0:
            live(name, first)
            os._exit(0)
    elif how == "spawn":
        subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    elif how == "shell":
        subprocess.Popen(["sh", "-c", '"$0" "$1" "$2" "$3" & wait'] + argv, stdin=subprocess.DEVNULL)
    elif how == "exec":
        os.execv(sys.executable, argv)


def main():
    work = make("parent")
    tell("ready")
    while True:
        work()
        if select.select([0], [], [], 0.005)[0]:
            line = os.read(0, 100).decode()
            if not line:
                break
            obey(line)


if len(sys.argv) > 1:
    live(sys.argv[1], int(sys.argv[2]))
else:
    main()
