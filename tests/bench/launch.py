"""What starting a program under trace costs: launch.py PYTHON BIN OUT.jsonl [ROUNDS]. Rows, each measured in turn with a bare run:
the time of `python -c pass`; of a forked child that lives for a moment; and 8 processes that record at full speed at once, with what
was dropped and the memory of the daemon. VIZTRACER_PY is as for overhead.c; without VizTracer its row is skipped by name."""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 15
PYTHON, BIN = sys.argv[1:3]
VERSION = subprocess.check_output([PYTHON, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]).decode().strip()
FORKS = """
import os, sys
n, running = int(sys.argv[1]), 0
def child(): pass
for i in range(n):
    pid = os.fork()
    if not pid:
        child()
        os._exit(0)
    os.waitpid(pid, 0)
"""
WORKERS = """
import os, sys
def f(n):
    return n if n < 2 else f(n - 1) + f(n - 2)
pids = []
for i in range(8):
    pid = os.fork()
    if not pid:
        for k in range(int(sys.argv[1])): f(24)
        os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
"""


def daemon_of(client):
    """What /proc says of the daemon that this client has started."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/status" % pid) as f:
                status = dict(line.strip().split(":", 1) for line in f if ":" in line)
        except OSError:
            continue
        if status.get("Name", "").strip() == "viztracerd" and status.get("PPid", "").strip() == str(client):
            return status
    return {}


def timed(command):
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def ours(output):
    return [os.path.join(BIN, "viztracer"), "--quiet", "-o", output, "--"]


def put(out, row, text):
    row["python"] = VERSION
    out.write(json.dumps(row) + "\n")
    out.flush()
    print("%-8s %s" % (VERSION, text), flush=True)


def pairs(bare, other):
    """Medians of the bare time and of the difference of each pair, in seconds."""
    both = [(timed(bare), timed(other)) for _ in range(ROUNDS)]
    return statistics.median(b for b, _ in both), statistics.median(o - b for b, o in both)


def viztracer_environment():
    folder = os.path.join(os.environ.get("VIZTRACER_PY", ""), ".".join(VERSION.split(".")[:2]))
    return folder if os.environ.get("VIZTRACER_PY") and os.path.isdir(folder) else None


def launch(out, folder):
    program = [PYTHON, "-c", "pass"]
    bare, more = pairs(program, ours(folder + "/a.vzt") + program)
    put(out, {"row": "launch", "bare_ms": bare * 1e3, "more_ms": more * 1e3}, "python -c pass: %.1f ms bare, %.1f ms more under viztracer" % (bare * 1e3, more * 1e3))
    bare, more = pairs(program, ours(folder + "/a.json") + program)
    put(out, {"row": "launch-json", "bare_ms": bare * 1e3, "more_ms": more * 1e3}, "the same into .json: %.1f ms more" % (more * 1e3))
    packages = viztracer_environment()
    if not packages:
        print("%-8s SKIP VizTracer: VIZTRACER_PY has none for this version" % VERSION)
        return
    os.environ["PYTHONPATH"] = packages
    script = os.path.join(folder, "pass.py")
    with open(script, "w") as f:
        f.write("pass\n")
    bare, more = pairs([PYTHON, script], [PYTHON, "-m", "viztracer", "--quiet", "-o", folder + "/b.json", script])
    del os.environ["PYTHONPATH"]
    put(out, {"row": "launch-viztracer", "bare_ms": bare * 1e3, "more_ms": more * 1e3}, "the same under VizTracer: %.1f ms more" % (more * 1e3))


def forks(out, folder, n=200):
    program = [PYTHON, "-c", FORKS, str(n)]
    bare, more = pairs(program, ours(folder + "/f.vzt") + program)
    report = json.loads(subprocess.check_output([os.path.join(BIN, "viztracer"), "report", "--json", folder + "/f.vzt"]))
    recorded = len(report["processes"]) - 1
    put(out, {"row": "fork", "children": n, "recorded": recorded, "bare_ms": bare / n * 1e3, "more_ms": more / n * 1e3},
        "a forked child: %.2f ms bare, %.2f ms more; %d of %d recorded, %.0f a second" % (bare / n * 1e3, more / n * 1e3, recorded, n, n / (bare + more)))


def workers(out, folder, rounds=150):
    """Memory of the daemon: its own, and what it has mapped of the arenas, 256 MiB for each process at most."""
    output = folder + "/w.vzt"
    began = time.perf_counter()
    tool = subprocess.Popen(ours(output)[:1] + ours(output)[2:] + [PYTHON, "-c", WORKERS, str(rounds)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    own_kb = arenas_kb = 0
    while tool.poll() is None:
        status = daemon_of(tool.pid)
        own_kb = max(own_kb, int(status.get("RssAnon", "0 kB").split()[0]))
        arenas_kb = max(arenas_kb, int(status.get("RssShmem", "0 kB").split()[0]))
        time.sleep(0.1)
    took = time.perf_counter() - began
    said = tool.stdout.read().decode()
    size = os.path.getsize(output)
    report = json.loads(subprocess.check_output([os.path.join(BIN, "viztracer"), "report", "--json", output]))
    own = {f["name"]: f["calls"] for f in report["functions"]}.get("f", 0)
    want = 8 * rounds * 150049
    dropped = re.search(r"([\d,]+) dropped", said)
    put(out, {"row": "workers", "bytes": size, "seconds": took, "calls": own, "wanted": want, "dropped": dropped.group(1) if dropped else "0", "daemon_kb": own_kb, "arenas_kb": arenas_kb},
        "8 processes at once: %.1f MB in %.1f s, %d of %d calls, dropped: %s, daemon %.1f MB and %.1f MB of arenas" % (
            size / 1e6, took, own, want, dropped.group(1) if dropped else "none", own_kb / 1e3, arenas_kb / 1e3))


def main():
    with open(sys.argv[3], "a") as out, tempfile.TemporaryDirectory() as folder:
        os.environ["VIZTRACERD_SOCKET"] = "none"
        launch(out, folder)
        forks(out, folder)
        workers(out, folder)


main()
