"""Writes the tables of docs/benchmarks.md from what `make bench` measured: tables.py OVERHEAD.jsonl LIMIT.jsonl docs/benchmarks.md.
The tables are between the lines <!-- bench --> and <!-- /bench -->, <!-- limit --> and <!-- /limit -->. Nothing else changes.
"-" in place of a file leaves its tables as they are."""
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


def four(rows, python, workload, modes):
    """floor / floor and clock / ours / VizTracer"""
    found = [rows.get((python, workload, m)) for m in modes]
    if not any(found):
        return "–"
    return " / ".join(cell(r, "over_bare_ns_per_event") for r in found)


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def limit_table(path):
    """CPU time / wall time as multiples of the bare run."""
    rows = {}
    for row in map(json.loads, open(path)):
        rows[row["python"], row["workload"], row["limit_percent"]] = row
    out, workloads = [], WORKLOADS + ["filtered", "flat"]
    for limit in sorted({limit for _, _, limit in rows}):
        pythons = sorted({p for p, _, one in rows if one == limit}, key=lambda p: [int(x) for x in p.split(".")])

        def two(python, workload):
            row = rows.get((python, workload, limit))
            return "%.2f / %.2f" % (row["cpu_median"], row["wall_median"]) if row else "–"

        out += ["", "`--max_overhead %g%%`:" % limit, ""] + table(["python"] + workloads, [[p] + [two(p, w) for w in workloads] for p in pythons])
    return out[1:]


def put(text, mark, lines):
    before, rest = text.split("<!-- %s -->\n" % mark, 1)
    after = rest.split("<!-- /%s -->" % mark, 1)[1]
    return before + "<!-- %s -->\n" % mark + "\n".join(lines) + "\n<!-- /%s -->" % mark + after


def cost_tables(path):
    rows = load(path)
    pythons = list(dict.fromkeys(p for p, _, _ in rows))
    rounds = sorted({row["rounds"] for row in rows.values()})
    rounds = "%d" % rounds[0] if len(rounds) == 1 else "%d to %d" % (rounds[0], rounds[-1])
    out = ["Overhead in ns per event (a call or a return), least of %s interleaved rounds: no-op hook / one that reads the clock /" % rounds,
           "viztracer / VizTracer 1.1.1.", "",
           "With C calls:", ""]
    modes = ["floor", "floor-clock", "ours", "viztracer"]
    out += table(["python"] + WORKLOADS, [[p] + [four(rows, p, w, modes) for w in WORKLOADS] for p in pythons])
    out += ["", "Python functions only (`--ignore_c_function`):", ""]
    modes = ["floor-py", "floor-py-clock", "ours-py", "viztracer-py"]
    some = [w for w in WORKLOADS if w != "cloop"]
    out += table(["python"] + some, [[p] + [four(rows, p, w, modes) for w in some] for p in pythons])
    out += ["", "Other settings: time as a multiple of the bare run. \"Constant clock\" is ns per event over bare on fib with an agent that does not",
            "read the clock: what is left above the no-op hook is all that the agent does besides.", ""]
    get = rows.get
    out += table(["python", "fib: bare ns/call", "viztracer", "constant clock, ns/event", "with arguments and return values", "VizTracer, the same", "cProfile",
                  "everything excluded", "a no-op hook (below 3.12: frame evaluation)", "19 of 20 functions excluded", "a no-op hook", "VizTracer, the same"],
                 [[p, "%.1f" % (get((p, "fib", "bare"))["ns_per_iteration"] / (get((p, "fib", "bare"))["calls"] or 1)) if get((p, "fib", "bare")) else "–",
                   cell(get((p, "fib", "ours")), "x_bare", 2), cell(get((p, "fib", "ours-noclock")), "over_bare_ns_per_event"),
                   cell(get((p, "fib", "ours-args")), "x_bare", 2), cell(get((p, "fib", "viztracer-args")), "x_bare", 2),
                   cell(get((p, "fib", "cprofile")), "x_bare", 2),
                   cell(get((p, "fib", "ours-nothing")), "x_bare", 2), cell(get((p, "fib", "floor-py")), "x_bare", 2),
                   cell(get((p, "filtered", "ours-excluded")), "x_bare", 2), cell(get((p, "filtered", "floor-py")), "x_bare", 2), cell(get((p, "filtered", "viztracer-excluded")), "x_bare", 2)]
                  for p in pythons])
    return out


def main():
    overhead, limit, page = sys.argv[1:]
    text = open(page).read()
    if overhead != "-":
        text = put(text, "bench", cost_tables(overhead))
    if limit != "-":
        text = put(text, "limit", limit_table(limit))
    open(page, "w").write(text)


main()
