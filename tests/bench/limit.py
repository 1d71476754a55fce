"""Does --max_overhead hold? limit.py BIN_DIR PYTHON... [-- ATTACH OPTIONS]: each workload in one process, in turns bare and traced with
the limit, from the first moment of the attach on. Prints the slowdown: median of the turns, each against the bare turns around it."""
import os
import signal
import statistics
import subprocess
import sys

TURNS, ROUNDS, WORKLOADS = 5, 6, ["fib", "oo", "cloop", "service", "asyncio"]
here = os.path.dirname(os.path.abspath(__file__))


def ask(target, n):
    target.stdin.write("%d\n" % n)
    target.stdin.flush()
    return int(target.stdout.readline())


def turn(target, n):
    return sum(ask(target, n) for _ in range(ROUNDS))


def slowdown(tool, python, workload, options):
    target = subprocess.Popen([python, os.path.join(here, "..", "targets", "bench_work.py"), workload, "bare", "1"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    target.stdout.readline()
    ask(target, 10)
    n = int(1e8 / (ask(target, 10) / 10)) + 1  # about 0.1 s
    turn(target, n)
    output, said, ratios, bare = "/tmp/viztracer-limit-%d.vzt" % os.getpid(), "", [], [turn(target, n)]
    traced = []
    for _ in range(TURNS):
        attach = subprocess.Popen([tool, "--attach", str(target.pid), "-o", output] + options, stdout=subprocess.PIPE, text=True)
        attach.stdout.readline()
        traced.append(turn(target, n))
        attach.send_signal(signal.SIGINT)
        said = attach.communicate()[0]
        bare.append(turn(target, n))
        ratios.append(2 * traced[-1] / (bare[-1] + bare[-2]))
    target.kill()
    target.wait()
    os.unlink(output)
    return statistics.median(ratios), min(traced) / min(bare), said.strip().splitlines()[-1]


if __name__ == "__main__":
    args, options = sys.argv[1:], ["--max_overhead", "5%"]
    if "--" in args:
        options = args[args.index("--") + 1:]
        args = args[:args.index("--")]
    only = os.environ.get("WORKLOADS", " ".join(WORKLOADS)).split()
    for python in args[1:]:
        for workload in only:
            median, least, said = slowdown(os.path.join(args[0], "viztracer"), python, workload, options)
            print("%-12s %-8s median %.3f  min/min %.3f" % (os.path.basename(python), workload, median, least), flush=True)
            if os.environ.get("SAID"):
                print("    " + said)
