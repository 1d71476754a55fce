"""Writes the tables of README's benchmark section from what `make bench` measured: readme.py OVERHEAD.jsonl README.md. They stand between
the lines <!-- bench --> and <!-- /bench -->; nothing else is touched."""
import json
import sys

WORKLOADS = ["fib", "oo", "cloop", "service", "asyncio", "threads4"]


def load(path):
    rows = {}
    for line in open(path):
        row = json.loads(line)
        rows[row["python"], row["workload"], row["mode"]] = row
    return rows


def cell(row, key, digits=1):
    return "–" if row is None or not row[key] else "%.*f" % (digits, row[key])


def three(rows, python, workload, modes):
    """floor / ours / VizTracer"""
    found = [rows.get((python, workload, m)) for m in modes]
    if not any(found):
        return "–"
    return " / ".join(cell(r, "over_bare_ns_per_event") for r in found)


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def main():
    rows = load(sys.argv[1])
    pythons = list(dict.fromkeys(p for p, _, _ in rows))
    rounds = sorted({row["rounds"] for row in rows.values()})
    rounds = "%d" % rounds[0] if len(rounds) == 1 else "%d to %d" % (rounds[0], rounds[-1])
    out = ["Overhead in ns per event (a call or a return), least of %s interleaved rounds: no-op hook / viztracer / VizTracer 1.1.1." % rounds, "",
           "With C calls:", ""]
    modes = ["floor", "ours", "viztracer"]
    out += table(["python"] + WORKLOADS, [[p] + [three(rows, p, w, modes) for w in WORKLOADS] for p in pythons])
    out += ["", "Python functions only (`--ignore_c_function`):", ""]
    modes = ["floor-py", "ours-py", "viztracer-py"]
    some = [w for w in WORKLOADS if w != "cloop"]
    out += table(["python"] + some, [[p] + [three(rows, p, w, modes) for w in some] for p in pythons])
    out += ["", "Other settings: time as a multiple of the bare run. \"Constant clock\" is ns per event over bare on fib with an agent that does not",
            "read the clock: what is left above the no-op hook is all that the agent does besides.", ""]
    get = rows.get
    out += table(["python", "fib: bare ns/call", "viztracer", "constant clock, ns/event", "with arguments and return values", "VizTracer, the same", "cProfile",
                  "19 of 20 functions excluded", "VizTracer, the same"],
                 [[p, "%.1f" % (get((p, "fib", "bare"))["ns_per_iteration"] / (get((p, "fib", "bare"))["calls"] or 1)) if get((p, "fib", "bare")) else "–",
                   cell(get((p, "fib", "ours")), "x_bare", 2), cell(get((p, "fib", "ours-noclock")), "over_bare_ns_per_event"),
                   cell(get((p, "fib", "ours-args")), "x_bare", 2), cell(get((p, "fib", "viztracer-args")), "x_bare", 2),
                   cell(get((p, "fib", "cprofile")), "x_bare", 2),
                   cell(get((p, "filtered", "ours-excluded")), "x_bare", 2), cell(get((p, "filtered", "viztracer-excluded")), "x_bare", 2)]
                  for p in pythons])
    text = open(sys.argv[2]).read()
    before, rest = text.split("<!-- bench -->\n", 1)
    after = rest.split("<!-- /bench -->", 1)[1]
    open(sys.argv[2], "w").write(before + "<!-- bench -->\n" + "\n".join(out) + "\n<!-- /bench -->" + after)


main()
