"""Does --max_overhead hold? limit.py BIN_DIR [JSONL]: each workload in one process, in turns bare and traced with each limit, from the
first moment of the attach on. Prints CPU time and wall time of the traced turns as multiples of the bare turns around them: median, and
the least traced by the least bare one; "bare" is a bare turn by the one before it, which is what the machine adds by itself. For the work
of one thread CPU time is that thread's, else the process's; wall time also has the stops of a thread by the daemon.
One JSON object per cell goes to JSONL; cells that are there already and are not measured now stay.
VT_PYTHONS or tests/setup/interpreters.sh: on these; LIMIT_WORKLOADS="fib filtered", LIMIT_PERCENT="5 10", LIMIT_TURNS=5: a part of it."""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

WORKLOADS = ["fib", "oo", "cloop", "service", "asyncio", "threads4", "filtered", "flat"]
ROUNDS, ROUND_NS = 6, 1e8
tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def interpreters():
    """(version, command before the script, folder of the scripts as the target sees it, the same for us)"""
    lines = os.environ.get("VT_PYTHONS") or subprocess.check_output([os.path.join(tests, "setup", "interpreters.sh")], text=True)
    for line in lines.strip().splitlines():
        version, where = line.split(" ", 1)
        if where.startswith("chroot:"):
            root, inside = where[len("chroot:"):].split(":")
            yield version, ["chroot", root, inside], "/tmp/viztracer-limit", root + "/tmp/viztracer-limit"
        else:
            yield version, [where], os.path.join(tests, "targets"), None


class Target:
    def __init__(self, command, folder, workload):
        self.process = subprocess.Popen(command + [os.path.join(folder, "bench_work.py"), workload, "bare", "1"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.line()
        self.ask(10)
        self.n = int(ROUND_NS / (self.ask(10) / 10)) + 1
        self.turn()

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the target has ended")
        return line

    def ask(self, n):
        self.process.stdin.write("%d\n" % n)
        self.process.stdin.flush()
        return int(self.line())

    def turn(self):
        """Nanoseconds of CPU time and of wall time."""
        began = time.perf_counter_ns()
        cpu = sum(self.ask(self.n) for _ in range(ROUNDS))
        return cpu, time.perf_counter_ns() - began

    def traced(self, tool, options):
        output = os.path.join(tempfile.gettempdir(), "viztracer-limit-%d.vzt" % os.getpid())
        attach = subprocess.Popen([tool, "--attach", str(self.process.pid), "-o", output] + options, stdout=subprocess.PIPE, text=True)
        if "racing" not in attach.stdout.readline():
            raise RuntimeError("cannot attach")
        turn = self.turn()
        attach.send_signal(signal.SIGINT)
        said = attach.communicate()[0].strip()
        if attach.returncode:
            raise RuntimeError("nothing was saved")
        os.unlink(output)
        return turn, said[said.find("the limit of"):]


def measure(tool, command, folder, workload, limits, turns):
    target = Target(command, folder, workload)
    options = ["--exclude_files", os.path.join(folder, "bench_other.py")] if workload == "filtered" else []
    bare, traced, ratios, said = [target.turn()], {}, {}, {}
    try:
        for _ in range(turns):
            for limit in limits:
                turn, said[limit] = target.traced(tool, ["--max_overhead", "%g%%" % limit] + options)
                bare.append(target.turn())
                traced.setdefault(limit, []).append(turn)
                ratios.setdefault(limit, []).append([2 * turn[i] / (bare[-1][i] + bare[-2][i]) for i in (0, 1)])
    finally:
        target.process.kill()
        target.process.wait()
    for limit in limits:
        row = {"workload": workload, "limit_percent": limit, "turns": turns, "said": said[limit]}
        for i, kind in enumerate(("cpu", "wall")):
            row[kind + "_median"] = statistics.median(r[i] for r in ratios[limit])
            row[kind + "_least"] = min(t[i] for t in traced[limit]) / min(b[i] for b in bare)
            row[kind + "_bare"] = statistics.median(b[i] / a[i] for a, b in zip(bare, bare[1:]))
        yield row


def main():
    tool = os.path.join(os.path.abspath(sys.argv[1]), "viztracer")
    path = sys.argv[2] if len(sys.argv) > 2 else None
    workloads = os.environ.get("LIMIT_WORKLOADS", " ".join(WORKLOADS)).split()
    limits = [float(x) for x in os.environ.get("LIMIT_PERCENT", "5 10").split()]
    turns, cells, failed = int(os.environ.get("LIMIT_TURNS", "5")), {}, 0
    if path and os.path.exists(path):
        for row in map(json.loads, open(path)):
            cells[row["python"], row["workload"], row["limit_percent"]] = row
    print("%-8s %-9s %6s  %-24s  %-24s" % ("python", "workload", "limit", "CPU: median least bare", "wall: median least bare"), flush=True)
    for version, command, folder, copy in interpreters():
        if copy:
            shutil.copytree(os.path.join(tests, "targets"), copy, dirs_exist_ok=True)
        for workload in workloads:
            try:
                rows = list(measure(tool, command, folder, workload, limits, turns))
            except (RuntimeError, OSError, ValueError) as e:
                print("%-8s %-9s %s" % (version, workload, e), flush=True)
                failed = 1
                continue
            for row in rows:
                row["python"] = version
                cells[version, workload, row["limit_percent"]] = row
                print("%-8s %-9s %5g%%  %10.3f %6.3f %5.3f  %11.3f %6.3f %5.3f"
                      % ((version, workload, row["limit_percent"]) + tuple(row[k + m] for k in ("cpu", "wall") for m in ("_median", "_least", "_bare"))), flush=True)
                if os.environ.get("LIMIT_SAID"):
                    print("    " + row["said"])
            if path:
                with open(path + ".part", "w") as out:
                    out.writelines(json.dumps(row) + "\n" for row in cells.values())
                os.replace(path + ".part", path)
        if copy:
            shutil.rmtree(copy)
    return failed


if __name__ == "__main__":
    sys.exit(main())
