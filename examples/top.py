#!/usr/bin/env python3
"""Where the time went: functions of a Chrome JSON trace by self time.  top.py TRACE.json[.gz] [LINES]"""
import gzip
import json
import sys
from collections import defaultdict


def slices(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", errors="replace") as f:
        events = json.load(f)["traceEvents"]
    calls = [e for e in events if e["ph"] in "XB"]
    end = max((e["ts"] + e.get("dur", 0) for e in calls), default=0)
    threads = defaultdict(list)
    for e in calls:
        threads[e["tid"]].append((e["ts"], -e.get("dur", end - e["ts"]), e["name"]))
    return threads


def measure(threads):
    own, total, count = defaultdict(float), defaultdict(float), defaultdict(int)
    for calls in threads.values():
        calls.sort(key=lambda c: c[:2])
        stack = []  # [end, name]
        for start, negative, name in calls:
            while stack and stack[-1][0] <= start:
                stack.pop()
            if stack:
                own[stack[-1][1]] += negative
            if all(name != other for _, other in stack):
                total[name] -= negative
            own[name] -= negative
            count[name] += 1
            stack.append((start - negative, name))
    return own, total, count


def main(path, lines=12):
    threads = slices(path)
    own, total, count = measure(threads)
    print("%12s %12s %10s  function" % ("self ms", "total ms", "calls"))
    for name in sorted(own, key=own.get, reverse=True)[: int(lines)]:
        print("%12.2f %12.2f %10d  %s" % (own[name] / 1000, total[name] / 1000, count[name], name[-80:]))
    print("%d calls of %d functions in %d threads" % (sum(count.values()), len(count), len(threads)))


if __name__ == "__main__":
    main(*sys.argv[1:])
